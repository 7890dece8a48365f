#include "worker/kernels/half.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace parcompute {
namespace {

// The exponents' biases differ by 112; infinities and NaNs have all ones in both.
constexpr std::uint32_t kBias = 112U << 23;

std::uint32_t widen(std::uint32_t half) {
  const std::uint32_t sign = (half & 0x8000) << 16;
  const std::uint32_t magnitude = half & 0x7fff;
  const std::uint32_t normal = (magnitude << 13) + kBias + (magnitude >= 0x7c00 ? kBias : 0);
  // A denormal is a count of 2^-24.
  const auto denormal =
      std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24F);
  return sign | (magnitude < 0x400 ? denormal : normal);
}

// The compiler makes vectors of this.
template <bool kSwap>
void widen_all(const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half;
    std::memcpy(&half, from + i * sizeof half, sizeof half);
    if constexpr (kSwap) half = static_cast<std::uint16_t>(half << 8 | half >> 8);
    const std::uint32_t bits = widen(half);
    std::memcpy(to + i * sizeof bits, &bits, sizeof bits);
  }
}

}  // namespace

void widen_halves(const std::byte* from, std::size_t count, bool swap_bytes, std::byte* to) {
  swap_bytes ? widen_all<true>(from, count, to) : widen_all<false>(from, count, to);
}

}  // namespace parcompute
