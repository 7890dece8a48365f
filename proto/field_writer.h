// Fields of an encoded Protocol Buffers message, appended one by one.
//
// Messages merge what is written one after the other, so that an encoded message is its fields in a row, and one that is
// the same each time but for a few fields need not be built and encoded anew. (Wire format:
// https://protobuf.dev/programming-guides/encoding/)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace parcompute {

inline void append_varint(std::uint64_t value, std::string& message) {
  for (; value >= 0x80; value >>= 7) message.push_back(static_cast<char>(value | 0x80));
  message.push_back(static_cast<char>(value));
}

// An unsigned integer, enum or bool; of a repeated one, one element.
inline void append_number_field(int field, std::uint64_t value, std::string& message) {
  append_varint(static_cast<std::uint64_t>(field) << 3 | 0, message);  // 0: a varint
  append_varint(value, message);
}

// A string, or an encoded message in two parts.
inline void append_bytes_field(int field, std::string_view first, std::string_view second, std::string& message) {
  append_varint(static_cast<std::uint64_t>(field) << 3 | 2, message);  // 2: length-delimited
  append_varint(first.size() + second.size(), message);
  message.append(first).append(second);
}

}  // namespace parcompute
