// Products of integers and bool: tiles packed into panels that the caches hold, multiplied by vectors.
//
// Integers wrap, so every order of additions gives the same bits, and signed and unsigned ones are multiplied alike.
// 8 bits are computed in 16, for machines multiply no bytes; their low halves are the result.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "worker/kernels/contraction_kernel.h"
#include "worker/kernels/product_simd.h"

namespace parcompute {
namespace {

// L: what is computed in, and the dtype of partial sums. T: the result's elements, no wider.
template <class L, class T>
class IntegerProduct final : public ContractionKernel {
 public:
  IntegerProduct(KernelJob job, Contraction c, const MatmulTiling& tiling)
      : ContractionKernel(std::move(job), std::move(c), tiling) {}

 private:
  static constexpr std::int64_t kPanel = kPanelBytes / static_cast<std::int64_t>(sizeof(L));

  void multiply(const Tile& tile) override {
    const std::int64_t rows = tile.a.rows, columns = tile.b.columns;
    const std::int64_t padded = (columns + kPanel - 1) / kPanel * kPanel;
    a_.resize(static_cast<std::size_t>(rows * kIntegerDepth));
    b_.assign(static_cast<std::size_t>(kPanel * kIntegerDepth), 0);
    c_.resize(static_cast<std::size_t>(rows * padded));
    for (std::int64_t begin = 0; begin < tile.a.columns; begin += kIntegerDepth) {
      const std::int64_t depth = std::min(kIntegerDepth, tile.a.columns - begin);
      pack(tile.a.part(0, rows, begin, depth), a_dtype(), a_.data(), kIntegerDepth);
      for (std::int64_t column = 0; column < columns; column += kPanel) {
        // The last panel is the narrowest, and what stands behind its columns is not looked at.
        pack(tile.b.part(begin, depth, column, std::min(kPanel, columns - column)), b_dtype(), b_.data(), kPanel);
        PanelProduct<L> p;
        p.m = rows;
        p.n = kPanel;
        p.k = depth;
        p.a = a_.data();
        p.a_row = kIntegerDepth;
        p.a_column = 1;
        p.b = b_.data();
        p.b_row = kPanel;
        p.c = c_.data() + column;
        p.c_row = padded;
        p.adds = begin != 0;
        multiply_panel(p);
      }
    }
    if (tile.is_partial)
      store<L>(tile, columns, padded);
    else
      store<T>(tile, columns, padded);
  }

  template <class To>
  void store(const Tile& tile, std::int64_t columns, std::int64_t padded) const {
    for (std::int64_t row = 0; row < tile.a.rows; ++row) {
      const L* from = c_.data() + row * padded;
      auto* to = reinterpret_cast<To*>(tile.to) + row * tile.to_row;
      for (std::int64_t column = 0; column < columns; ++column) to[column] = static_cast<To>(from[column]);
    }
  }

  std::vector<L> a_, b_, c_;
};

}  // namespace

std::unique_ptr<Kernel> make_integer_product(KernelJob job, Contraction c, const MatmulTiling& tiling) {
  const auto make = [&](auto lane, auto element) -> std::unique_ptr<Kernel> {
    return std::make_unique<IntegerProduct<decltype(lane), decltype(element)>>(std::move(job), std::move(c), tiling);
  };
  if (c.dtype == DType::kBool) return make(std::uint8_t{}, std::uint8_t{});
  switch (itemsize(c.dtype)) {
    case 1: return make(std::uint16_t{}, std::uint8_t{});
    case 2: return make(std::uint16_t{}, std::uint16_t{});
    case 4: return make(std::uint32_t{}, std::uint32_t{});
    default: return make(std::uint64_t{}, std::uint64_t{});
  }
}

}  // namespace parcompute
