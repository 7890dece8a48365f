// C++ element types and their dtypes. Included by dtype.h alone.
#pragma once

#include <complex>
#include <type_traits>

namespace parcompute {

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, bool>) return DType::kBool;
  else if constexpr (std::is_same_v<T, float>) return DType::kFloat32;
  else if constexpr (std::is_same_v<T, double>) return DType::kFloat64;
  else if constexpr (std::is_same_v<T, std::complex<float>>) return DType::kComplex64;
  else if constexpr (std::is_same_v<T, std::complex<double>>) return DType::kComplex128;
  else {
    static_assert(std::is_integral_v<T> && sizeof(T) <= 8, "no dtype for this element type");
    constexpr bool kSigned = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return kSigned ? DType::kInt8 : DType::kUint8;
    else if constexpr (sizeof(T) == 2) return kSigned ? DType::kInt16 : DType::kUint16;
    else if constexpr (sizeof(T) == 4) return kSigned ? DType::kInt32 : DType::kUint32;
    else return kSigned ? DType::kInt64 : DType::kUint64;
  }
}

// Calls visit(T{}) with the element type of a dtype.
template <class Visitor>
decltype(auto) visit_dtype(DType dtype, Visitor&& visit) {
  switch (dtype) {
    case DType::kBool: return visit(bool{});
    case DType::kInt8: return visit(std::int8_t{});
    case DType::kInt16: return visit(std::int16_t{});
    case DType::kInt32: return visit(std::int32_t{});
    case DType::kInt64: return visit(std::int64_t{});
    case DType::kUint8: return visit(std::uint8_t{});
    case DType::kUint16: return visit(std::uint16_t{});
    case DType::kUint32: return visit(std::uint32_t{});
    case DType::kUint64: return visit(std::uint64_t{});
    case DType::kFloat32: return visit(float{});
    case DType::kFloat64: return visit(double{});
    case DType::kComplex64: return visit(std::complex<float>{});
    case DType::kComplex128: return visit(std::complex<double>{});
  }
  __builtin_unreachable();
}

}  // namespace parcompute
