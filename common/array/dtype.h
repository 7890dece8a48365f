// NumPy's data types: one table, one row each.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace parcompute {

// Stable: these numbers travel in messages and stand in segment headers.
enum class DType : std::uint8_t {
  kBool = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint8 = 6,
  kUint16 = 7,
  kUint32 = 8,
  kUint64 = 9,
  kFloat32 = 10,
  kFloat64 = 11,
  kComplex64 = 12,
  kComplex128 = 13,
};

enum class Kind : std::uint8_t { kBool, kSigned, kUnsigned, kFloat, kComplex };

struct DTypeInfo {
  DType dtype;
  std::string_view name;   // NumPy's: "float64"
  std::string_view descr;  // .npy's, without the byte order: "f8"
  std::uint8_t itemsize;   // bytes
  Kind kind;
};

inline constexpr std::array<DTypeInfo, 13> kDTypes{{
    {DType::kBool, "bool", "b1", 1, Kind::kBool},
    {DType::kInt8, "int8", "i1", 1, Kind::kSigned},
    {DType::kInt16, "int16", "i2", 2, Kind::kSigned},
    {DType::kInt32, "int32", "i4", 4, Kind::kSigned},
    {DType::kInt64, "int64", "i8", 8, Kind::kSigned},
    {DType::kUint8, "uint8", "u1", 1, Kind::kUnsigned},
    {DType::kUint16, "uint16", "u2", 2, Kind::kUnsigned},
    {DType::kUint32, "uint32", "u4", 4, Kind::kUnsigned},
    {DType::kUint64, "uint64", "u8", 8, Kind::kUnsigned},
    {DType::kFloat32, "float32", "f4", 4, Kind::kFloat},
    {DType::kFloat64, "float64", "f8", 8, Kind::kFloat},
    {DType::kComplex64, "complex64", "c8", 8, Kind::kComplex},
    {DType::kComplex128, "complex128", "c16", 16, Kind::kComplex},
}};

constexpr const DTypeInfo& info(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype) - 1];
}
constexpr std::uint64_t itemsize(DType dtype) {
  return info(dtype).itemsize;
}
constexpr std::string_view name(DType dtype) {
  return info(dtype).name;
}

static_assert([] {
  for (std::size_t i = 0; i < kDTypes.size(); ++i)
    if (static_cast<std::size_t>(kDTypes[i].dtype) != i + 1) return false;
  return true;
}(), "info() indexes the table by the enumerator");

// From a message or a header: nothing for a number that is no dtype.
std::optional<DType> dtype_from_number(std::uint32_t number);
// "float64"; nothing for a name that is no dtype.
std::optional<DType> dtype_from_name(std::string_view name);
// "bool, int8, ..., complex128": for error messages.
std::string_view dtype_names();

// The dtype of a C++ element type: dtype_of<double>() is kFloat64.
template <class T>
constexpr DType dtype_of();

}  // namespace parcompute

#include "common/array/dtype_of.inc.h"
