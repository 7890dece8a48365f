// .npy files written by hand, for versions, orders and lies that our own writer does not produce.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace parcompute::testing {

template <class T>
std::string raw_bytes(std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The file up to its first element, padded as NumPy pads it.
inline std::string npy_header(unsigned version, std::string_view dict) {
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t before = 8 + length_bytes;
  std::string text(dict);
  while ((before + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  for (std::size_t i = 0; i < length_bytes; ++i) file += static_cast<char>(text.size() >> (8 * i));
  return file + text;
}

inline std::string npy_dict(std::string_view descr, bool fortran_order, std::string_view shape) {
  return "{'descr': '" + std::string(descr) + "', 'fortran_order': " + (fortran_order ? "True" : "False") +
         ", 'shape': " + std::string(shape) + ", }";
}

inline std::string npy_file(unsigned version, std::string_view descr, bool fortran_order,
                            std::string_view shape, std::string_view elements) {
  return npy_header(version, npy_dict(descr, fortran_order, shape)) + std::string(elements);
}

}  // namespace parcompute::testing
