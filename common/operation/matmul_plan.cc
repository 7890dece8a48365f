// The grid of tiles for products by BLAS.
#include <algorithm>
#include <array>
#include <vector>

#include "common/base/checked.h"
#include "common/operation/products_plan.h"

namespace parcompute {
namespace {

// A tile's estimated time, for the choice of the grid and the first guess of a block's time. Constants of the
// plan, not of the machine: where a block ends must not depend on who computes it.
//
// The shape of the estimate is OpenBLAS's: it copies both operands into its own order, the right one once for
// every row of tiles, the left one once for every column, and works in strips of the result's columns, so it
// loses most on narrow tiles. The numbers fit tiles of 128 to 2000 cut from products of 2000 and 6000
// (tests/bench/kernel_bench.cc, MatmulTile).
constexpr double kFlopsPerNs = 75;  // float64
constexpr double kRowLoss = 25;     // a tile of this many rows takes twice its time
constexpr double kColumnLoss = 120;
constexpr double kWriteBytesPerNs = 4;
constexpr double kCallNs = 3000;  // with its share of dispatch

// Tiles are not cut below these. Edges are multiples of kEdgeStep, for OpenBLAS's inner kernels take that
// many rows or columns at once.
constexpr std::int64_t kLeastRows = 64;
constexpr std::int64_t kLeastColumns = 128;
constexpr std::int64_t kEdgeStep = 8;
// Blocks that are longer delay progress and cancellation; a tile that has to be packed must fit into a
// worker.
constexpr double kLongestBlockNs = 1e9;
constexpr double kMostTileBytes = 256e6;
// Products below this share a block.
constexpr double kSharedBlockNs = 200e3;

double tile_ns(std::int64_t m, std::int64_t k, std::int64_t n, DType dtype) {
  const double rows = static_cast<double>(m), columns = static_cast<double>(n),
               depth = static_cast<double>(k);
  const double size = static_cast<double>(itemsize(dtype));
  const double area = rows * columns + kRowLoss * columns + kColumnLoss * rows;
  return 2 * depth * area / kFlopsPerNs * (size / 8) * (info(dtype).kind == Kind::kComplex ? 2 : 1) + rows * columns * size / kWriteBytesPerNs + kCallNs;
}

bool is_handy(std::int64_t m, std::int64_t k, std::int64_t n, DType dtype) {
  const double rows = static_cast<double>(m), columns = static_cast<double>(n);
  const double depth = static_cast<double>(std::min(k, kMatmulPackedDepth));
  const double bytes =
      static_cast<double>(itemsize(dtype)) * (rows * depth + depth * columns + rows * columns);
  return bytes <= kMostTileBytes && tile_ns(m, k, n, dtype) <= kLongestBlockNs;
}

// One way to cut one side.
struct Cut {
  std::int64_t edge;
  std::uint64_t tiles;
};

// The ways to cut `length` into equal edges that are worth a look: 1, 2, 3, 4 tiles, then about a quarter
// more each time.
std::vector<Cut> cuts(std::int64_t length, std::int64_t least_edge) {
  std::vector<Cut> ways{{length, length == 0 ? 0U : 1U}};
  for (std::int64_t wanted = 2; wanted <= length / least_edge;
       wanted = wanted < 4 ? wanted + 1 : wanted * 5 / 4) {
    const std::int64_t exact = length / wanted + (length % wanted != 0);
    const std::int64_t edge = (exact + kEdgeStep - 1) / kEdgeStep * kEdgeStep;
    const std::uint64_t tiles =
        ceil_div(static_cast<std::uint64_t>(length), static_cast<std::uint64_t>(edge));
    if (tiles != ways.back().tiles) ways.push_back({edge, tiles});
  }
  return ways;
}

// What a grid of blocks costs: how long 1, 2, 4, ... 64 workers take, added up, weighted between what a
// machine's owner sees (the work that all of them could have done meanwhile) and what the job's owner sees
// (the time). A stack of many products keeps many workers busy as it is: only the work counts.
constexpr std::uint64_t kManyWorkers = 64;
constexpr std::array<double, 7> kWeights{1, 1.5, 2.3, 3.5, 5.3, 8, 12};  // about workers^0.6
double weigh(std::uint64_t batch, std::uint64_t tiles, double block_ns) {
  const std::uint64_t blocks = batch * tiles;
  if (batch >= kManyWorkers) return static_cast<double>(blocks) * block_ns;
  double sum = 0;
  std::uint64_t workers = 1;
  for (const double weight : kWeights) {
    sum += static_cast<double>(ceil_div(blocks, workers)) * block_ns * weight;
    workers *= 2;
  }
  return sum;
}

// A stack of some products is cut only where that adds little work.
constexpr std::uint64_t kSomeProducts = 16;
constexpr double kStackLoss = 1.015;
bool is_wasteful(std::uint64_t batch, std::uint64_t tiles, double block_ns, double product_ns) {
  return batch >= kSomeProducts && static_cast<double>(tiles) * block_ns > kStackLoss * product_ns;
}

}  // namespace

std::uint64_t MatmulTiling::blocks() const {
  return products_per_block > 1 ? ceil_div(batch, products_per_block) : batch * tiles() * slices;
}

MatmulTiling tile_products(std::uint64_t batch, std::int64_t m, std::int64_t k, std::int64_t n, DType dtype) {
  MatmulTiling best{.batch = batch, .m = m, .k = k, .n = n, .slice_k = k};
  const double product_ns = tile_ns(m, k, n, dtype);
  double best_weight = 0;
  bool best_is_handy = false;
  for (const Cut& rows : cuts(m, kLeastRows)) {
    for (const Cut& columns : cuts(n, kLeastColumns)) {
      const double block_ns = tile_ns(rows.edge, k, columns.edge, dtype);
      const bool handy = is_handy(rows.edge, k, columns.edge, dtype);
      if (is_handy(m, k, n, dtype) && is_wasteful(batch, rows.tiles * columns.tiles, block_ns, product_ns))
        continue;
      // Among unhandy tiles the shortest.
      const double weight = handy ? weigh(batch, rows.tiles * columns.tiles, block_ns) : block_ns;
      const bool first = best.block_ns == 0;
      if (!first && (handy < best_is_handy || (handy == best_is_handy && weight >= best_weight))) continue;
      best.tile_m = rows.edge;
      best.tile_n = columns.edge;
      best.tiles_m = rows.tiles;
      best.tiles_n = columns.tiles;
      best.block_ns = block_ns;
      best_weight = weight;
      best_is_handy = handy;
    }
  }
  if (best.tiles() == 1 && batch > 1)
    best.products_per_block =
        std::clamp<std::uint64_t>(static_cast<std::uint64_t>(kSharedBlockNs / best.block_ns), 1, batch);
  best.block_ns *= static_cast<double>(best.products_per_block);
  return best;
}

}  // namespace parcompute
