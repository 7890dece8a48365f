#include "worker/kernels/bin_weights.h"

#include "worker/kernels/bin_counts.h"

namespace parcompute {

BinWeights::BinWeights(const View& view, DType sums)
    : own_(view.spec.dtype), reader_(view, flat_rows(view)), cast_(own_ == sums ? nullptr : find_cast(own_, sums)) {}

const std::byte* BinWeights::read_as_they_are(std::uint64_t first, std::uint64_t count) {
  const auto of = [&](auto element) { return reinterpret_cast<const std::byte*>(reader_.read<decltype(element)>(0, first, count)); };
  switch (itemsize(own_)) {
    case 1: return of(std::uint8_t{});
    case 2: return of(std::uint16_t{});
    case 4: return of(std::uint32_t{});
    default: return of(std::uint64_t{});
  }
}

const std::byte* BinWeights::read(std::uint64_t first, std::uint64_t count) {
  const std::byte* const weights = read_as_they_are(first, count);
  if (cast_ == nullptr) return weights;
  cast_ones_.resize(count);
  cast_(Strip{.in = {weights}, .out = cast_ones_.data(), .count = count});
  return reinterpret_cast<const std::byte*>(cast_ones_.data());
}

}  // namespace parcompute
