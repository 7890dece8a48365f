// An array's elements, wherever its strides put them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "client/cpp/array.h"

namespace parcompute::cli {

// Memory that holds a strided array: an Array's mapping, or a test's buffer.
struct Elements {
  DType dtype = DType::kFloat64;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // bytes
  const std::byte* data = nullptr;    // element (0, ..., 0); null where there are no elements

  std::size_t ndim() const { return shape.size(); }
  std::uint64_t size() const {
    std::uint64_t count = 1;
    for (const std::int64_t dim : shape) count *= static_cast<std::uint64_t>(dim);
    return count;
  }
};

// Maps the array. It must outlive what is returned.
inline Elements elements_of(const Array& array) {
  return {array.dtype(), array.shape(), array.info().strides, array.size() == 0 ? nullptr : array.data()};
}

// Any address: a view's elements need not be aligned.
template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
// Any byte but 0 is true, as NumPy has it.
template <>
inline bool load<bool>(const std::byte* at) {
  return *at != std::byte{0};
}

}  // namespace parcompute::cli
