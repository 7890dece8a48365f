#include "worker/kernels/contraction_kernel.h"

#include <algorithm>
#include <array>
#include <complex>
#include <cstring>
#include <type_traits>
#include <utility>

#include <hwy/cache_control.h>

#include "common/array/promotion.h"
#include "common/base/invariant.h"
#include "worker/kernels/canonical.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/pairwise.h"

namespace parcompute {
namespace {

// Sums element i of each of `slices` runs, `stride` elements apart, pairwise by slice, some elements at a time.
constexpr std::uint64_t kAtOnce = 256;
template <class P>
void sum_slices(const P* partials, std::uint64_t stride, std::uint64_t slices, std::uint64_t count, P* sums) {
  if (slices == 1) {
    std::copy_n(partials, count, sums);
    return;
  }
  const std::uint64_t left = std::bit_floor(slices - 1);
  sum_slices(partials, stride, left, count, sums);
  std::array<P, kAtOnce> right;
  sum_slices(partials + left * stride, stride, slices - left, count, right.data());
  for (std::uint64_t i = 0; i < count; ++i) sums[i] = add_partials(sums[i], right[i]);
}

// Calls visit(P{}, T{}) with the types of partial sums and results; an integer's is unsigned, a bool's uint8.
template <class Visitor>
void visit_partials(DType partial, DType dtype, Visitor&& visit) {
  switch (partial) {
    case DType::kBool: return visit(std::uint8_t{}, std::uint8_t{});
    case DType::kInt16: return visit(std::uint16_t{}, std::uint16_t{});
    case DType::kUint16:
      return itemsize(dtype) == 1 ? visit(std::uint16_t{}, std::uint8_t{}) : visit(std::uint16_t{}, std::uint16_t{});
    case DType::kInt32:
    case DType::kUint32: return visit(std::uint32_t{}, std::uint32_t{});
    case DType::kInt64:
    case DType::kUint64: return visit(std::uint64_t{}, std::uint64_t{});
    case DType::kFloat32: return visit(float{}, float{});
    case DType::kFloat64: return itemsize(dtype) == 4 ? visit(double{}, float{}) : visit(double{}, double{});
    case DType::kComplex64: return visit(std::complex<float>{}, std::complex<float>{});
    default:
      return itemsize(dtype) == 8 ? visit(std::complex<double>{}, std::complex<float>{})
                                  : visit(std::complex<double>{}, std::complex<double>{});
  }
}

}  // namespace

ContractionKernel::ContractionKernel(KernelJob job, Contraction c, const MatmulTiling& tiling)
    : job_(std::move(job)),
      c_(std::move(c)),
      tiling_(tiling),
      a_(job_.inputs[c_.is_swapped ? 1 : 0]),
      b_(job_.inputs[c_.is_swapped ? 0 : 1]),
      out_(job_.outputs.empty() ? scalar_.data() : first_element(job_.outputs[0])) {
  PARCOMPUTE_INVARIANT(!job_.outputs.empty() || c_.shape.empty());
  PARCOMPUTE_INVARIANT(job_.scratch.size() >= job_.plan.scratch_bytes);
}

Result<void> ContractionKernel::run(std::size_t phase, BlockRange blocks, ScalarBytes& value) {
  const std::uint64_t end = blocks.first + blocks.count;
  if (phase == 1) {
    for (std::uint64_t block = blocks.first; block < end; ++block) combine(block);
  } else if (tiling_.products_per_block > 1) {
    compute_products(blocks.first * tiling_.products_per_block, std::min(tiling_.batch, end * tiling_.products_per_block));
  } else {
    for (std::uint64_t block = blocks.first; block < end; ++block) compute_tile(block);
  }
  hwy::FlushStream();  // of what was written around the caches
  if (job_.plan.scalar && phase + 1 == job_.plan.phases.size()) {
    value = {};
    std::memcpy(value.data(), out_, itemsize(*job_.plan.scalar));
  }
  return {};
}

ContractionKernel::Place ContractionKernel::place(std::uint64_t product) const {
  Place at;
  at.index.resize(c_.stack.size());
  for (std::size_t axis = c_.stack.size(); axis-- > 0;) {
    const auto length = static_cast<std::uint64_t>(c_.stack[axis]);
    at.index[axis] = static_cast<std::int64_t>(product % length);
    product /= length;
    at.a += at.index[axis] * c_.a_stack[axis];
    at.b += at.index[axis] * c_.b_stack[axis];
    at.c += at.index[axis] * c_.c_stack[axis];
  }
  return at;
}

// To the next product, as an odometer turns.
void ContractionKernel::advance(Place& at) const {
  for (std::size_t axis = c_.stack.size(); axis-- > 0;) {
    at.a += c_.a_stack[axis];
    at.b += c_.b_stack[axis];
    at.c += c_.c_stack[axis];
    if (++at.index[axis] < c_.stack[axis]) return;
    at.index[axis] = 0;
    at.a -= c_.stack[axis] * c_.a_stack[axis];
    at.b -= c_.stack[axis] * c_.b_stack[axis];
    at.c -= c_.stack[axis] * c_.c_stack[axis];
  }
}

ContractionKernel::Tile ContractionKernel::tile_at(const Place& at, std::int64_t row, std::int64_t column,
                                                   std::int64_t begin, std::int64_t depth) const {
  const std::int64_t rows = std::min(tiling_.tile_m, c_.m - row);
  const std::int64_t columns = std::min(tiling_.tile_n, c_.n - column);
  Tile tile{};
  // Without products there are no addresses: an operand without elements has no data.
  tile.a = {depth == 0 ? nullptr : first_element(a_) + at.a + row * c_.a_row + begin * c_.a_column, rows, depth,
            c_.a_row, c_.a_column};
  tile.b = {depth == 0 ? nullptr
                       : first_element(b_) + at.b + row * c_.b_by_row + begin * c_.b_row + column * c_.b_column,
            depth, columns, c_.b_row, c_.b_column};
  tile.to = out_ + (at.c + row * c_.c_row + column) * static_cast<std::int64_t>(itemsize(c_.dtype));
  tile.to_row = c_.c_row;
  return tile;
}

void ContractionKernel::multiply_or_clear(const Tile& tile) {
  if (c_.k != 0) return multiply(tile);
  const auto size = static_cast<std::int64_t>(itemsize(c_.dtype));
  for (std::int64_t row = 0; row < tile.a.rows; ++row)
    std::memset(tile.to + row * tile.to_row * size, 0, static_cast<std::size_t>(tile.b.columns * size));
}

void ContractionKernel::compute_products(std::uint64_t first, std::uint64_t last) {
  Place at = place(first);
  Tile tile = tile_at(at, 0, 0, 0, c_.k);
  for (std::uint64_t product = first; product < last; ++product) {
    Tile next{};
    if (product + 1 < last) {
      advance(at);
      next = tile_at(at, 0, 0, 0, c_.k);
      tile.next_a = next.a.data;
      tile.next_b = next.b.data;
    }
    multiply_or_clear(tile);
    tile = next;
  }
}

void ContractionKernel::compute_tile(std::uint64_t block) {
  const std::uint64_t slice = block % tiling_.slices;
  const std::uint64_t tile_index = block / tiling_.slices % tiling_.tiles();
  const std::uint64_t product = block / tiling_.slices / tiling_.tiles();
  const std::int64_t row = static_cast<std::int64_t>(tile_index / tiling_.tiles_n) * tiling_.tile_m;
  const std::int64_t column = static_cast<std::int64_t>(tile_index % tiling_.tiles_n) * tiling_.tile_n;
  const std::int64_t begin = static_cast<std::int64_t>(slice) * tiling_.slice_k;
  Tile tile = tile_at(place(product), row, column, begin, std::min(tiling_.slice_k, c_.k - begin));
  if (tiling_.slices > 1) {
    const std::int64_t elements = static_cast<std::int64_t>(tiling_.batch) * c_.m * c_.n;
    const std::int64_t at = static_cast<std::int64_t>(slice) * elements +
                            (static_cast<std::int64_t>(product) * c_.m + row) * c_.n + column;
    tile.to = job_.scratch.data() + static_cast<std::uint64_t>(at) * itemsize(partial_dtype(c_, tiling_.route));
    tile.to_row = c_.n;
    tile.is_partial = true;
  }
  multiply_or_clear(tile);
}

void ContractionKernel::combine(std::uint64_t block) {
  const std::uint64_t elements = tiling_.batch * static_cast<std::uint64_t>(c_.m * c_.n);
  const auto columns = static_cast<std::uint64_t>(c_.n), rows = static_cast<std::uint64_t>(c_.m);
  const std::uint64_t end = std::min(elements, (block + 1) * kCombinedElements);
  visit_partials(partial_dtype(c_, tiling_.route), c_.dtype, [&](auto partial, auto element) {
    using P = decltype(partial);
    using T = decltype(element);
    const auto* partials = reinterpret_cast<const P*>(job_.scratch.data());
    std::array<P, kAtOnce> sums;
    for (std::uint64_t first = block * kCombinedElements; first < end; first += kAtOnce) {
      const std::uint64_t count = std::min(kAtOnce, end - first);
      sum_slices(partials + first, elements, tiling_.slices, count, sums.data());
      for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t row = (first + i) / columns;
        const std::int64_t at = place(row / rows).c + static_cast<std::int64_t>(row % rows) * c_.c_row +
                                static_cast<std::int64_t>((first + i) % columns);
        const T x = canonical(static_cast<T>(sums[i]));
        std::memcpy(out_ + at * static_cast<std::int64_t>(sizeof(T)), &x, sizeof x);
      }
    }
  });
}

std::unique_ptr<Kernel> make_product(KernelJob job) {
  const std::array<OperandInfo, 2> operands{
      {{job.inputs[0].spec, job.inputs[0].label}, {job.inputs[1].spec, job.inputs[1].label}}};
  if (is_outer(job.operation, operands)) {
    const DType dtype = promote(operands[0].spec.dtype, operands[1].spec.dtype);
    return make_outer_product(std::move(job), dtype, tile_outer(operands, dtype));
  }
  auto c = contract(job.operation, operands);
  PARCOMPUTE_INVARIANT(c.has_value());  // the plan in `job` was made of the same operands
  const MatmulTiling tiling = tile_contraction(*c, operands);
  switch (tiling.route) {
    case ProductRoute::kBlas: return make_blas_product(std::move(job), *std::move(c), tiling);
    case ProductRoute::kSmall: return make_small_product(std::move(job), *std::move(c), tiling);
    case ProductRoute::kInteger: return make_integer_product(std::move(job), *std::move(c), tiling);
    default: return make_vector_product(std::move(job), *std::move(c), tiling);
  }
}

}  // namespace parcompute
