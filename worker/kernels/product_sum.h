// Sums of two products in one loop: a x + b y, x y - z. What is computed is what the separate loops compute, to the bit; but
// nothing lies in between, and the result may go around the caches, so that memory alone sets the pace.
#pragma once

#include <array>
#include <cstddef>

#include "common/array/dtype.h"

namespace parcompute {

// in[0] in[1] + in[2] in[3], or minus. Each is a strip, or one element for all.
struct ProductSum {
  std::array<const void*, 4> in{};
  std::array<bool, 4> is_single{};
  bool subtracts = false;
  void* out = nullptr;  // aligned for the dtype; overlaps no operand
  std::size_t count = 0;
  bool streams = false;  // others see `out` after hwy::FlushStream()
};

// float32 and float64.
void add_products(DType dtype, const ProductSum& sum);

}  // namespace parcompute
