#include "common/operation/products_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/array/promotion.h"
#include "common/base/checked.h"

namespace parcompute {
namespace {

// First guesses of speed, for block sizes: constants of the plan, not of the machine.
constexpr double kSmallFlopsPerNs = 40;
constexpr double kSmallProductNs = 60;  // what a product costs besides
constexpr double kBytesPerNs = 8;
constexpr double kRowNs = 12;           // a row of kVector
constexpr double kBlockNs = 200e3;      // what blocks of small things aim at
constexpr double kSliceNs = 5e6;        // and slices of large ones
constexpr double kLeastNs = 200;

// Slices are cut where fewer blocks than these are there without.
constexpr std::uint64_t kFewBlocks = 16;
constexpr std::int64_t kLeastSlice = 1024;
constexpr std::uint64_t kMostSlices = 4096;
constexpr std::uint64_t kMostScratchBytes = std::uint64_t{64} << 20;

constexpr std::int64_t kIntegerTile = 128;
constexpr std::int64_t kSlicedRows = 8;

double number(std::int64_t x) {
  return static_cast<double>(x);
}

// Multiplications and additions, a pair each ns.
double integer_speed(DType dtype) {
  switch (itemsize(dtype)) {
    case 1: return dtype == DType::kBool ? 80 : 40;
    case 2: return 40;
    case 4: return 12;
    default: return 6;
  }
}

std::uint64_t count_of(std::int64_t length, std::int64_t piece) {
  return length == 0 ? 0 : ceil_div(static_cast<std::uint64_t>(length), static_cast<std::uint64_t>(piece));
}

void set_grid(MatmulTiling& tiling, std::int64_t tile_m, std::int64_t tile_n) {
  tiling.tile_m = std::clamp<std::int64_t>(tile_m, 1, std::max<std::int64_t>(tiling.m, 1));
  tiling.tile_n = std::clamp<std::int64_t>(tile_n, 1, std::max<std::int64_t>(tiling.n, 1));
  tiling.tiles_m = count_of(tiling.m, tiling.tile_m);
  tiling.tiles_n = count_of(tiling.n, tiling.tile_n);
}

void share_block(MatmulTiling& tiling) {
  if (tiling.tiles() != 1 || tiling.slices != 1 || tiling.batch < 2) return;
  tiling.products_per_block =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(kBlockNs / tiling.block_ns), 1, tiling.batch);
  tiling.block_ns *= static_cast<double>(tiling.products_per_block);
}

// Cuts the inner dimension into about `wanted` slices, each a multiple of `step`.
void slice(MatmulTiling& tiling, const Contraction& c, double wanted, std::int64_t step) {
  const std::uint64_t partials = tiling.batch * static_cast<std::uint64_t>(c.m) * static_cast<std::uint64_t>(c.n);
  const std::uint64_t partial_bytes = partials * itemsize(partial_dtype(c, tiling.route));
  if (partial_bytes == 0 || partial_bytes > kMostScratchBytes / 2) return;
  const auto most = static_cast<double>(std::min(kMostSlices, kMostScratchBytes / partial_bytes));
  const double slices = std::min(wanted, most);
  if (slices < 2) return;
  const auto pieces = static_cast<std::int64_t>(slices);
  tiling.slice_k = (c.k / pieces + step - 1) / step * step;
  tiling.slices = count_of(c.k, tiling.slice_k);
  tiling.block_ns /= static_cast<double>(tiling.slices);
}

void slice_few(MatmulTiling& tiling, const Contraction& c) {
  if (tiling.batch * tiling.tiles() >= kFewBlocks || c.k < 2 * kLeastSlice) return;
  slice(tiling, c, std::min(tiling.block_ns / kSliceNs, number(c.k / kLeastSlice)), kLeastSlice);
}

void tile_small(MatmulTiling& tiling, DType dtype) {
  const double flops = 2 * number(tiling.k) * number(tiling.n);
  const double bytes = number(tiling.k + tiling.n) * static_cast<double>(itemsize(dtype));
  const double row_ns = flops / kSmallFlopsPerNs + bytes / kBytesPerNs;
  const double rows = kBlockNs / std::max(row_ns, 1.0);
  set_grid(tiling, tiling.m <= kSmallSide ? tiling.m : std::max<std::int64_t>(kSmallSide, static_cast<std::int64_t>(rows)), tiling.n);
  tiling.block_ns = kSmallProductNs + number(tiling.tile_m) * row_ns;
  share_block(tiling);
}

void tile_integer(MatmulTiling& tiling, const Contraction& c) {
  const std::int64_t edge = c.k >= 2 * kIntegerTile ? kIntegerTile : 2 * kIntegerTile;
  set_grid(tiling, edge, edge);
  const double area = number(tiling.tile_m) * number(tiling.tile_n);
  tiling.block_ns = kLeastNs + number(c.k) * area / integer_speed(c.dtype) + area / 2;
  slice_few(tiling, c);
  share_block(tiling);
}

void tile_vector(MatmulTiling& tiling, const Contraction& c, Operands inputs) {
  const ArraySpec& matrix = inputs[c.is_swapped ? 1 : 0].spec;
  const auto size = static_cast<std::int64_t>(itemsize(c.dtype));
  tiling.by_columns = matrix.dtype == c.dtype && c.a_row == size && c.a_column != size && c.m >= 4 &&
                      c.b_by_row == 0 && !c.conjugates;
  // A block reads about this much: enough to drown what it costs besides.
  const bool many = tiling.batch * count_of(c.m, kColumnRows) >= 256;
  const std::int64_t elements = (many ? std::int64_t{16} << 20 : std::int64_t{1} << 20) / size;
  if (tiling.by_columns) {
    set_grid(tiling, kColumnRows, 1);
    const std::int64_t depth = std::max<std::int64_t>(64, elements / tiling.tile_m);
    tiling.block_ns = kLeastNs + number(c.k) * number(tiling.tile_m) * number(size) / kBytesPerNs;
    if (c.k >= 2 * depth) slice(tiling, c, number(c.k / depth), 16);
  } else {
    const double row_ns = kRowNs + number(c.k) * number(size) / kBytesPerNs;
    const std::int64_t few = std::min(c.m, kSlicedRows);
    if (c.k >= 2 * elements && tiling.batch * count_of(c.m, few) < 1024) {
      // A few long rows: they share each slice of the vector while it is in cache.
      set_grid(tiling, few, 1);
      tiling.block_ns = kLeastNs + number(few) * row_ns;
      slice(tiling, c, number(c.k / std::max(kDotRun, elements / few)), kDotRun);
    } else {
      set_grid(tiling, std::max<std::int64_t>(1, static_cast<std::int64_t>(kBlockNs / row_ns)), 1);
      tiling.block_ns = kLeastNs + number(tiling.tile_m) * row_ns;
    }
  }
  share_block(tiling);
}

Result<Plan> plan_outer(Operands inputs, bool is_dot) {
  const DType dtype = promote(inputs[0].spec.dtype, inputs[1].spec.dtype);
  const OuterTiling tiling = tile_outer(inputs, dtype);
  Dims shape{tiling.m, tiling.n};
  if (is_dot) shape = inputs[0].spec.ndim() == 0 ? inputs[1].spec.shape : inputs[0].spec.shape;
  auto output = make_spec(dtype, shape);
  if (!output)
    return fail(output.error().code, fmt::format("the product of {} and {}: {}", format_operand(inputs[0]),
                                                 format_operand(inputs[1]), output.error().message));
  Plan plan;
  plan.bytes_read = byte_count(inputs[0].spec) + byte_count(inputs[1].spec);
  plan.bytes_written = byte_count(*output);
  if (plan.bytes_written != 0)
    plan.phases.push_back({tiling.tiles_m * tiling.tiles_n,
                           kLeastNs + number(tiling.tile_m) * number(tiling.tile_n) *
                                          static_cast<double>(itemsize(dtype)) / kBytesPerNs});
  if (output->ndim() == 0) plan.scalar = dtype;
  plan.output = *std::move(output);
  return plan;
}

}  // namespace

DType partial_dtype(const Contraction& c, ProductRoute route) {
  if (c.dtype == DType::kInt8 || c.dtype == DType::kUint8) return DType::kUint16;
  if (route != ProductRoute::kVector) return c.dtype;
  if (c.dtype == DType::kFloat32) return DType::kFloat64;
  return c.dtype == DType::kComplex64 ? DType::kComplex128 : c.dtype;
}

MatmulTiling tile_contraction(const Contraction& c, Operands inputs) {
  const std::uint64_t batch = c.batch();
  const Kind kind = info(c.dtype).kind;
  MatmulTiling tiling{.batch = batch, .m = c.m, .k = c.k, .n = c.n, .slice_k = c.k};
  if (c.n == 1) {
    tiling.route = ProductRoute::kVector;
    tile_vector(tiling, c, inputs);
  } else if (kind < Kind::kFloat) {
    tiling.route = ProductRoute::kInteger;
    tile_integer(tiling, c);
  } else if (kind == Kind::kFloat && c.k <= kSmallSide && c.n <= kSmallSide) {
    tiling.route = ProductRoute::kSmall;
    tile_small(tiling, c.dtype);
  } else {
    tiling = tile_products(batch, c.m, c.k, c.n, c.dtype);
    if (tiling.products_per_block == 1) slice_few(tiling, c);
  }
  return tiling;
}

bool is_outer(const wire::Operation& operation, Operands inputs) {
  using K = wire::Operation::KindCase;
  return operation.kind_case() == K::kOuter ||
         (operation.kind_case() == K::kDot && (inputs[0].spec.ndim() == 0 || inputs[1].spec.ndim() == 0));
}

OuterTiling tile_outer(Operands inputs, DType dtype) {
  constexpr std::int64_t kTileBytes = 1 << 20;
  constexpr std::int64_t kStripBytes = 32 << 10;
  const auto size = static_cast<std::int64_t>(itemsize(dtype));
  OuterTiling tiling;
  tiling.m = static_cast<std::int64_t>(element_count(inputs[0].spec));
  tiling.n = static_cast<std::int64_t>(element_count(inputs[1].spec));
  tiling.tile_n = std::clamp<std::int64_t>(tiling.n, 1, kStripBytes / size);
  tiling.tile_m = std::clamp<std::int64_t>(kTileBytes / size / tiling.tile_n, 1, std::max<std::int64_t>(tiling.m, 1));
  tiling.tiles_m = count_of(tiling.m, tiling.tile_m);
  tiling.tiles_n = count_of(tiling.n, tiling.tile_n);
  return tiling;
}

Result<Plan> plan_product(const wire::Operation& operation, Operands inputs) {
  if (is_outer(operation, inputs)) return plan_outer(inputs, operation.has_dot());
  const auto c = contract(operation, inputs);
  if (!c) return fail(c.error());
  auto output = make_spec(c->dtype, c->shape);
  if (!output) return fail(output.error());

  Plan plan;
  plan.bytes_read = byte_count(inputs[0].spec) + byte_count(inputs[1].spec);
  plan.bytes_written = byte_count(*output);
  const std::uint64_t elements = element_count(*output);
  if (elements != 0) {
    const MatmulTiling tiling = tile_contraction(*c, inputs);
    plan.phases.push_back({tiling.blocks(), tiling.block_ns});
    if (output->ndim() == 2 && tiling.batch == 1 && tiling.slices == 1) {
      plan.phases.back().tile_rows = static_cast<std::uint64_t>(tiling.tile_m);
      plan.phases.back().tile_columns = static_cast<std::uint64_t>(tiling.tile_n);
    }
    if (tiling.slices > 1) {
      const std::uint64_t partial_bytes = itemsize(partial_dtype(*c, tiling.route));
      plan.scratch_bytes = tiling.slices * elements * partial_bytes;
      const std::uint64_t combined = std::min(elements, kCombinedElements) * tiling.slices * partial_bytes;
      plan.phases.push_back({ceil_div(elements, kCombinedElements), kLeastNs + static_cast<double>(combined) / kBytesPerNs});
    }
  }
  if (output->ndim() == 0) plan.scalar = c->dtype;
  plan.output = *std::move(output);
  return plan;
}

}  // namespace parcompute
