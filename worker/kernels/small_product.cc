// Products whose right matrix fits the L1 cache, float32 and float64: our own loops, for a call of BLAS costs as much as
// such a product. Stacks of small matrices, and tall matrices by small ones.
#include <algorithm>
#include <vector>

#include "worker/kernels/contraction_kernel.h"
#include "worker/kernels/product_simd.h"

namespace parcompute {
namespace {

template <class T>
class SmallProduct final : public ContractionKernel {
 public:
  SmallProduct(KernelJob job, Contraction c, const MatmulTiling& tiling)
      : ContractionKernel(std::move(job), std::move(c), tiling),
        packed_a_(static_cast<std::size_t>(kSmallSide * kSmallSide)),
        packed_b_(static_cast<std::size_t>(kSmallSide * kSmallSide)) {}

 private:
  static constexpr std::uintptr_t kLine = 64;
  // Results above this are gone from the caches before anybody reads them.
  static constexpr double kStreamedBytes = 16.0 * 1024 * 1024;
  static constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));

  // Its elements can be read as they are, whatever lies between them.
  bool is_readable(const Part& part, DType from) const {
    return from == dtype() && reinterpret_cast<std::uintptr_t>(part.data) % alignof(T) == 0 &&
           part.row_stride % kSize == 0 && part.column_stride % kSize == 0;
  }

  // Matrices without gaps alone.
  static typename PanelProduct<T>::Ahead ahead(const std::byte* data, const Part& part, DType from) {
    const std::int64_t bytes = part.rows * part.columns * static_cast<std::int64_t>(itemsize(from));
    const bool dense = part.row_stride * part.rows == bytes || part.column_stride * part.columns == bytes;
    return {data, dense ? static_cast<std::size_t>(bytes) : 0};
  }

  void multiply(const Tile& tile) override {
    PanelProduct<T> p;
    p.n = tile.b.columns;
    p.k = tile.a.columns;
    if (is_readable(tile.b, b_dtype()) && (tile.b.column_stride == kSize || p.n == 1)) {
      p.b = reinterpret_cast<const T*>(tile.b.data);
      p.b_row = tile.b.row_stride / kSize;
    } else {
      pack(tile.b, b_dtype(), packed_b_.data(), p.n);
      p.b = packed_b_.data();
      p.b_row = p.n;
    }
    p.c = reinterpret_cast<T*>(tile.to);
    p.c_row = tile.to_row;
    p.streams = streams_ && !tile.is_partial && (reinterpret_cast<std::uintptr_t>(p.c) | static_cast<std::uintptr_t>(p.c_row * kSize) | static_cast<std::uintptr_t>(p.n * kSize)) % kLine == 0;
    if (is_readable(tile.a, a_dtype())) {
      p.m = tile.a.rows;
      p.a = reinterpret_cast<const T*>(tile.a.data);
      p.a_row = tile.a.row_stride / kSize;
      p.a_column = tile.a.column_stride / kSize;
      if (tile.next_a != nullptr) {
        p.ahead[0] = ahead(tile.next_a, tile.a, a_dtype());
        p.ahead[1] = ahead(tile.next_b, tile.b, b_dtype());
      }
      multiply_panel(p);
      return;
    }
    for (std::int64_t row = 0; row < tile.a.rows; row += kSmallSide, p.c += kSmallSide * p.c_row) {
      p.m = std::min(kSmallSide, tile.a.rows - row);
      pack(tile.a.part(row, p.m, 0, p.k), a_dtype(), packed_a_.data(), p.k);
      p.a = packed_a_.data();
      p.a_row = p.k;
      p.a_column = 1;
      multiply_panel(p);
    }
  }

  const bool streams_ = static_cast<double>(tiling().batch) * static_cast<double>(contraction().m * contraction().n * kSize) >= kStreamedBytes;
  std::vector<T> packed_a_, packed_b_;
};

}  // namespace

std::unique_ptr<Kernel> make_small_product(KernelJob job, Contraction c, const MatmulTiling& tiling) {
  if (c.dtype == DType::kFloat32) return std::make_unique<SmallProduct<float>>(std::move(job), std::move(c), tiling);
  return std::make_unique<SmallProduct<double>>(std::move(job), std::move(c), tiling);
}

}  // namespace parcompute
