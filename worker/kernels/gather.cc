#include "worker/kernels/gather.h"

#include <algorithm>
#include <cstring>

namespace parcompute {
namespace {

// One row: `count` elements, `stride` bytes apart.
template <std::size_t kSize>
void gather_row(const std::byte* from, std::int64_t stride, std::uint64_t count, std::byte* to) {
  for (std::uint64_t i = 0; i < count; ++i, from += stride, to += kSize) std::memcpy(to, from, kSize);
}

void gather_row(std::size_t size, const std::byte* from, std::int64_t stride, std::uint64_t count,
                std::byte* to) {
  if (stride == static_cast<std::int64_t>(size)) {
    std::memcpy(to, from, count * size);
    return;
  }
  switch (size) {
    case 1:
      return gather_row<1>(from, stride, count, to);
    case 2:
      return gather_row<2>(from, stride, count, to);
    case 4:
      return gather_row<4>(from, stride, count, to);
    case 8:
      return gather_row<8>(from, stride, count, to);
    default:
      return gather_row<16>(from, stride, count, to);
  }
}

}  // namespace

void gather(const ArraySpec& spec, const std::byte* data, std::uint64_t first, std::uint64_t count,
            std::byte* to) {
  if (count == 0) return;
  const std::size_t size = itemsize(spec.dtype);
  const std::size_t ndim = spec.ndim();
  const std::byte* at = data + spec.offset;
  if (ndim == 0) {
    std::memcpy(to, at, size);
    return;
  }
  // The first element's index along each axis; `at` stays on the current row's first element of interest.
  Dims index(ndim);
  for (std::size_t axis = ndim; axis-- > 0;) {
    const auto dim = static_cast<std::uint64_t>(spec.shape[axis]);
    index[axis] = static_cast<std::int64_t>(first % dim);
    first /= dim;
    at += index[axis] * spec.strides[axis];
  }
  const std::size_t last = ndim - 1;
  while (true) {
    const auto left_in_row = static_cast<std::uint64_t>(spec.shape[last] - index[last]);
    const std::uint64_t run = std::min(count, left_in_row);
    gather_row(size, at, spec.strides[last], run, to);
    count -= run;
    if (count == 0) return;
    to += run * size;
    // To the next row's beginning, as an odometer turns.
    at -= index[last] * spec.strides[last];
    index[last] = 0;
    for (std::size_t axis = last; axis-- > 0;) {
      at += spec.strides[axis];
      if (++index[axis] < spec.shape[axis]) break;
      at -= spec.shape[axis] * spec.strides[axis];
      index[axis] = 0;
    }
  }
}

ArraySpec coalesced(const ArraySpec& spec) {
  ArraySpec result{spec.dtype, {}, {}, spec.offset};
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis) {
    if (spec.shape[axis] == 1) continue;
    if (!result.shape.empty() && result.strides.back() == spec.shape[axis] * spec.strides[axis]) {
      result.shape.back() *= spec.shape[axis];
      result.strides.back() = spec.strides[axis];
    } else {
      result.shape.push_back(spec.shape[axis]);
      result.strides.push_back(spec.strides[axis]);
    }
  }
  return result;
}

}  // namespace parcompute
