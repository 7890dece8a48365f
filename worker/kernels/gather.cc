#include "worker/kernels/gather.h"

#include <algorithm>
#include <array>
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

// The same the other way round.
template <std::size_t kSize>
void scatter_row(std::byte* to, std::int64_t stride, std::uint64_t count, const std::byte* from) {
  for (std::uint64_t i = 0; i < count; ++i, to += stride, from += kSize) std::memcpy(to, from, kSize);
}

void scatter_row(std::size_t size, std::byte* to, std::int64_t stride, std::uint64_t count, const std::byte* from) {
  if (stride == static_cast<std::int64_t>(size)) {
    std::memcpy(to, from, count * size);
    return;
  }
  switch (size) {
    case 1:
      return scatter_row<1>(to, stride, count, from);
    case 2:
      return scatter_row<2>(to, stride, count, from);
    case 4:
      return scatter_row<4>(to, stride, count, from);
    case 8:
      return scatter_row<8>(to, stride, count, from);
    default:
      return scatter_row<16>(to, stride, count, from);
  }
}

// Calls row(offset, stride, count) for each row of the elements [first, first + count): bytes from element (0, ..., 0) to its
// first element, bytes between its elements, and how many there are.
template <class Row>
void for_each_row(const ArraySpec& spec, std::uint64_t first, std::uint64_t count, Row row) {
  if (count == 0) return;
  const std::size_t ndim = spec.ndim();
  if (ndim == 0) return row(std::int64_t{0}, static_cast<std::int64_t>(itemsize(spec.dtype)), std::uint64_t{1});
  // The first element's index along each axis; `at` stays on the current row's first element of interest.
  std::int64_t at = 0;
  std::array<std::int64_t, kMaxDims> index;
  for (std::size_t axis = ndim; axis-- > 0;) {
    const auto dim = static_cast<std::uint64_t>(spec.shape[axis]);
    index[axis] = static_cast<std::int64_t>(first % dim);
    first /= dim;
    at += index[axis] * spec.strides[axis];
  }
  const std::size_t last = ndim - 1;
  while (true) {
    const std::uint64_t run = std::min(count, static_cast<std::uint64_t>(spec.shape[last] - index[last]));
    row(at, spec.strides[last], run);
    count -= run;
    if (count == 0) return;
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

}  // namespace

void gather(const ArraySpec& spec, const std::byte* data, std::uint64_t first, std::uint64_t count, std::byte* to) {
  const std::size_t size = itemsize(spec.dtype);
  for_each_row(spec, first, count, [&](std::int64_t at, std::int64_t stride, std::uint64_t run) {
    gather_row(size, data + spec.offset + at, stride, run, to);
    to += run * size;
  });
}

void scatter(const ArraySpec& spec, std::byte* data, std::uint64_t first, std::uint64_t count, const std::byte* from) {
  const std::size_t size = itemsize(spec.dtype);
  for_each_row(spec, first, count, [&](std::int64_t at, std::int64_t stride, std::uint64_t run) {
    scatter_row(size, data + spec.offset + at, stride, run, from);
    from += run * size;
  });
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
