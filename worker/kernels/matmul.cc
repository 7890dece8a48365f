// matmul: np.matmul of stacks of matrices, tile by tile, by OpenBLAS (plan and tiling:
// common/operation/matmul_plan.cc).
//
// Operands whose last two axes lie as BLAS reads them, by rows or by columns, are handed over where they are.
// Others (gaps between elements, reversed or broadcast axes, rows further apart than 32 bits count, odd
// addresses) are packed first, the part that a tile needs, in slices of the inner dimension so that the
// copies stay small.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "common/base/invariant.h"
#include "common/operation/plans.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

constexpr std::int64_t kBlasMax = std::numeric_limits<std::int32_t>::max();
// The inner dimension of one call where nothing is packed.
constexpr std::int64_t kDirectDepth = std::int64_t{1} << 30;

// A part of a matrix in memory; strides in bytes.
struct Part {
  const std::byte* data;
  std::int64_t rows, columns;
  std::int64_t row_stride, column_stride;

  Part part(std::int64_t row, std::int64_t row_count, std::int64_t column, std::int64_t column_count) const {
    return {data + row * row_stride + column * column_stride, row_count, column_count, row_stride,
            column_stride};
  }
};

// The leading dimension, where `outer` lines of `inner` elements, `stride` bytes apart, are what BLAS takes.
template <class T>
std::optional<std::int32_t> leading_dimension(std::int64_t outer, std::int64_t inner, std::int64_t stride) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  if (outer == 1) return static_cast<std::int32_t>(inner);
  if (stride % kSize != 0 || stride / kSize < inner || stride / kSize > kBlasMax) return std::nullopt;
  return static_cast<std::int32_t>(stride / kSize);
}

// For a part of at most kBlasMax rows and columns. Nothing where it must be packed.
template <class T>
std::optional<BlasMatrix<T>> as_blas(const Part& part) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  if (reinterpret_cast<std::uintptr_t>(part.data) % alignof(T) != 0) return std::nullopt;
  const T* data = reinterpret_cast<const T*>(part.data);
  if (part.column_stride == kSize || part.columns == 1)
    if (const auto ld = leading_dimension<T>(part.rows, part.columns, part.row_stride))
      return BlasMatrix<T>{data, *ld, false};
  if (part.row_stride == kSize || part.rows == 1)
    if (const auto ld = leading_dimension<T>(part.columns, part.rows, part.column_stride))
      return BlasMatrix<T>{data, *ld, true};
  return std::nullopt;
}

// Copies a part's elements by rows.
template <class T>
BlasMatrix<T> pack(const Part& part, std::vector<T>& into) {
  into.resize(static_cast<std::size_t>(part.rows * part.columns));
  T* to = into.data();
  for (std::int64_t row = 0; row < part.rows; ++row) {
    const std::byte* from = part.data + row * part.row_stride;
    for (std::int64_t column = 0; column < part.columns; ++column, from += part.column_stride)
      std::memcpy(to++, from, sizeof(T));
  }
  return {into.data(), static_cast<std::int32_t>(part.columns), false};
}

// The matrices of a stack, broadcast to the result's stack.
class Stack {
 public:
  Stack(const View& view, const Dims& result_shape) : first_(view.data + view.spec.offset) {
    const ArraySpec& spec = view.spec;
    const std::size_t ndim = spec.ndim();
    rows_ = spec.shape[ndim - 2];
    columns_ = spec.shape[ndim - 1];
    row_stride_ = spec.strides[ndim - 2];
    column_stride_ = spec.strides[ndim - 1];
    const std::size_t missing = result_shape.size() - ndim;
    for (std::size_t axis = 0; axis + 2 < result_shape.size(); ++axis) {
      const bool stretched = axis < missing || spec.shape[axis - missing] == 1;
      shape_.push_back(static_cast<std::uint64_t>(result_shape[axis]));
      strides_.push_back(stretched ? 0 : spec.strides[axis - missing]);
    }
  }

  // Matrix `index` of the stack, counted in C order.
  Part matrix(std::uint64_t index) const {
    const std::byte* at = first_;
    for (std::size_t axis = shape_.size(); axis-- > 0;) {
      at += static_cast<std::int64_t>(index % shape_[axis]) * strides_[axis];
      index /= shape_[axis];
    }
    return {at, rows_, columns_, row_stride_, column_stride_};
  }

 private:
  const std::byte* first_;
  std::vector<std::uint64_t> shape_;
  std::vector<std::int64_t> strides_;
  std::int64_t rows_, columns_, row_stride_, column_stride_;
};

template <class T>
class Matmul final : public Kernel {
 public:
  Matmul(KernelJob job, const MatmulTiling& tiling)
      : job_(std::move(job)),
        tiling_(tiling),
        a_(job_.inputs[0], job_.outputs[0].spec.shape),
        b_(job_.inputs[1], job_.outputs[0].spec.shape),
        c_(reinterpret_cast<T*>(job_.outputs[0].data + job_.outputs[0].spec.offset)) {}

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (tiling_.products_per_block > 1) {
        const std::uint64_t first = block * tiling_.products_per_block;
        const std::uint64_t end = std::min(tiling_.batch, first + tiling_.products_per_block);
        for (std::uint64_t product = first; product < end; ++product) multiply_tile(product, 0);
      } else {
        multiply_tile(block / tiling_.tiles(), block % tiling_.tiles());
      }
    }
    return {};
  }

 private:
  void multiply_tile(std::uint64_t product, std::uint64_t tile) {
    const std::int64_t row = static_cast<std::int64_t>(tile / tiling_.tiles_n) * tiling_.tile_m;
    const std::int64_t column = static_cast<std::int64_t>(tile % tiling_.tiles_n) * tiling_.tile_n;
    const std::int64_t rows = std::min(tiling_.tile_m, tiling_.m - row);
    const std::int64_t columns = std::min(tiling_.tile_n, tiling_.n - column);
    T* c = c_ + (static_cast<std::int64_t>(product) * tiling_.m + row) * tiling_.n + column;
    if (tiling_.k == 0) {
      for (std::int64_t r = 0; r < rows; ++r) std::fill_n(c + r * tiling_.n, columns, T{0});
      return;
    }
    const Part a = a_.matrix(product).part(row, rows, 0, tiling_.k);
    const Part b = b_.matrix(product).part(0, tiling_.k, column, columns);
    const bool whole = tiling_.k <= kDirectDepth && tiling_.n <= kBlasMax;
    const auto direct_a = whole ? as_blas<T>(a) : std::nullopt;
    const auto direct_b = direct_a ? as_blas<T>(b) : std::nullopt;
    if (direct_b) {
      multiply(int32(rows), int32(columns), int32(tiling_.k), *direct_a, *direct_b, c, int32(tiling_.n));
    } else {
      multiply_slices(a, b, c);
    }
  }

  // The same in slices of the inner dimension: each slice's product beside c, then added to it in order.
  void multiply_slices(const Part& a, const Part& b, T* c) {
    for (std::int64_t begin = 0; begin < tiling_.k;) {
      std::int64_t depth = std::min(kDirectDepth, tiling_.k - begin);
      auto slice_a = as_blas<T>(a.part(0, a.rows, begin, depth));
      auto slice_b = as_blas<T>(b.part(begin, depth, 0, b.columns));
      if (!slice_a || !slice_b) {
        depth = std::min(kMatmulPackedDepth, tiling_.k - begin);
        const Part part_a = a.part(0, a.rows, begin, depth);
        const Part part_b = b.part(begin, depth, 0, b.columns);
        slice_a = slice_a ? as_blas<T>(part_a) : pack(part_a, packed_a_);
        slice_b = slice_b ? as_blas<T>(part_b) : pack(part_b, packed_b_);
        PARCOMPUTE_INVARIANT(slice_a && slice_b);  // a part of what BLAS takes is what BLAS takes
      }
      slice_c_.resize(static_cast<std::size_t>(a.rows * b.columns));
      multiply(int32(a.rows), int32(b.columns), int32(depth), *slice_a, *slice_b, slice_c_.data(),
               int32(b.columns));
      const T* from = slice_c_.data();
      for (std::int64_t r = 0; r < a.rows; ++r, from += b.columns) {
        T* to = c + r * tiling_.n;
        if (begin == 0)
          std::copy_n(from, b.columns, to);
        else
          std::transform(from, from + b.columns, to, to, [](T x, T sum) { return sum + x; });
      }
      begin += depth;
    }
  }

  static std::int32_t int32(std::int64_t length) {
    PARCOMPUTE_INVARIANT(length <= kBlasMax);
    return static_cast<std::int32_t>(length);
  }

  KernelJob job_;
  MatmulTiling tiling_;
  Stack a_, b_;
  T* c_;
  std::vector<T> packed_a_, packed_b_, slice_c_;
};

}  // namespace

std::unique_ptr<Kernel> make_matmul(KernelJob job) {
  const std::array<OperandInfo, 2> operands{
      {{job.inputs[0].spec, job.inputs[0].label}, {job.inputs[1].spec, job.inputs[1].label}}};
  const auto tiling = tile_matmul(operands);
  PARCOMPUTE_INVARIANT(tiling.has_value());  // the plan in `job` was made of the same operands
  if (job.inputs[0].spec.dtype == DType::kFloat32)
    return std::make_unique<Matmul<float>>(std::move(job), *tiling);
  return std::make_unique<Matmul<double>>(std::move(job), *tiling);
}

}  // namespace parcompute
