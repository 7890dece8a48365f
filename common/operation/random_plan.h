// Random numbers: their blocks, and the bits that each takes from the stream.
#pragma once

#include <cstdint>

#include "common/operation/operation.h"

namespace parcompute {

// random: block b makes the elements [b, b + 1) * kRandomBlockElements in C order. Whole blocks of the generator,
// whatever the bits of an element.
inline constexpr std::uint64_t kRandomBlockElements = 128 * 1024;

// n values from `least` on, each as its 64 bits (signed dtypes' extended by their sign).
struct IntegerRange {
  std::uint64_t least = 0;
  std::uint64_t last = 0;  // n - 1: n itself may be 2^64
  unsigned width = 64;     // bits that an element takes from the stream: 8, 16, 32, 64 or 128
};
Result<IntegerRange> integer_range(const wire::Random::Integers& integers, DType dtype);

}  // namespace parcompute
