// Products by OpenBLAS, tile by tile: float and complex ones that are too large for our own loops.
//
// Operands of the product's dtype whose axes lie as BLAS reads them, by rows or by columns, are handed over where they
// are. Others (another dtype, gaps between elements, reversed or broadcast axes, rows further apart than 32 bits count,
// odd addresses) are packed first, the part that a tile needs, in slices of the inner dimension so that the copies stay
// small.
#include <algorithm>
#include <complex>
#include <limits>
#include <optional>
#include <vector>

#include "common/base/invariant.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/contraction_kernel.h"

namespace parcompute {
namespace {

constexpr std::int64_t kBlasMax = std::numeric_limits<std::int32_t>::max();
// The inner dimension of one call where nothing is packed.
constexpr std::int64_t kDirectDepth = std::int64_t{1} << 30;

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

template <class T>
class BlasProduct final : public ContractionKernel {
 public:
  BlasProduct(KernelJob job, Contraction c, const MatmulTiling& tiling)
      : ContractionKernel(std::move(job), std::move(c), tiling) {}

 private:
  void multiply(const Tile& tile) override {
    T* c = reinterpret_cast<T*>(tile.to);
    const std::int64_t depth = tile.a.columns;
    const bool whole = depth <= kDirectDepth && tile.to_row <= kBlasMax;
    const auto a = whole ? direct(tile.a, a_dtype()) : std::nullopt;
    const auto b = a ? direct(tile.b, b_dtype()) : std::nullopt;
    if (b)
      parcompute::multiply(int32(tile.a.rows), int32(tile.b.columns), int32(depth), *a, *b, c, int32(tile.to_row));
    else
      multiply_slices(tile.a, tile.b, c, tile.to_row);
  }

  std::optional<BlasMatrix<T>> direct(const Part& part, DType from) const {
    return from == dtype() ? as_blas<T>(part) : std::nullopt;
  }
  static BlasMatrix<T> packed(const Part& part, DType from, std::vector<T>& into) {
    into.resize(static_cast<std::size_t>(part.rows * part.columns));
    pack(part, from, into.data(), part.columns);
    return {into.data(), int32(part.columns), false};
  }

  // In slices of the inner dimension: each slice's product beside c, then added to it in order.
  void multiply_slices(const Part& a, const Part& b, T* c, std::int64_t c_row) {
    for (std::int64_t begin = 0; begin < a.columns;) {
      std::int64_t depth = std::min(kDirectDepth, a.columns - begin);
      auto slice_a = direct(a.part(0, a.rows, begin, depth), a_dtype());
      auto slice_b = direct(b.part(begin, depth, 0, b.columns), b_dtype());
      if (!slice_a || !slice_b) {
        depth = std::min(kMatmulPackedDepth, a.columns - begin);
        const Part part_a = a.part(0, a.rows, begin, depth);
        const Part part_b = b.part(begin, depth, 0, b.columns);
        slice_a = slice_a ? direct(part_a, a_dtype()) : packed(part_a, a_dtype(), packed_a_);
        slice_b = slice_b ? direct(part_b, b_dtype()) : packed(part_b, b_dtype(), packed_b_);
        PARCOMPUTE_INVARIANT(slice_a && slice_b);  // a part of what BLAS takes is what BLAS takes
      }
      if (begin == 0 && c_row <= kBlasMax) {
        parcompute::multiply(int32(a.rows), int32(b.columns), int32(depth), *slice_a, *slice_b, c, int32(c_row));
      } else {
        slice_c_.resize(static_cast<std::size_t>(a.rows * b.columns));
        parcompute::multiply(int32(a.rows), int32(b.columns), int32(depth), *slice_a, *slice_b, slice_c_.data(),
                             int32(b.columns));
        const T* from = slice_c_.data();
        for (std::int64_t r = 0; r < a.rows; ++r, from += b.columns) {
          T* to = c + r * c_row;
          if (begin == 0)
            std::copy_n(from, b.columns, to);
          else
            std::transform(from, from + b.columns, to, to, [](T x, T sum) { return sum + x; });
        }
      }
      begin += depth;
    }
  }

  static std::int32_t int32(std::int64_t length) {
    PARCOMPUTE_INVARIANT(length <= kBlasMax);
    return static_cast<std::int32_t>(length);
  }

  std::vector<T> packed_a_, packed_b_, slice_c_;
};

}  // namespace

std::unique_ptr<Kernel> make_blas_product(KernelJob job, Contraction c, const MatmulTiling& tiling) {
  switch (c.dtype) {
    case DType::kFloat32: return std::make_unique<BlasProduct<float>>(std::move(job), std::move(c), tiling);
    case DType::kFloat64: return std::make_unique<BlasProduct<double>>(std::move(job), std::move(c), tiling);
    case DType::kComplex64:
      return std::make_unique<BlasProduct<std::complex<float>>>(std::move(job), std::move(c), tiling);
    default: return std::make_unique<BlasProduct<std::complex<double>>>(std::move(job), std::move(c), tiling);
  }
}

}  // namespace parcompute
