// Promotion: the dtype that holds what two dtypes hold, by NumPy's rules (np.result_type of two dtypes).
//
// The smallest dtype to which both cast safely, with one exception that is NumPy's own: int64 and uint64 have none among
// the integers and meet in float64, which rounds. Scalars have no rules of their own here (NumPy 2's strong dtypes).
#pragma once

#include <optional>
#include <span>

#include "common/array/dtype.h"

namespace parcompute {
namespace promotion {

// The smallest float whose significand holds every value of the dtype; float64 for those that none holds.
constexpr DType float_for(DType dtype) {
  switch (info(dtype).kind) {
    case Kind::kFloat: return dtype;
    case Kind::kComplex: return dtype == DType::kComplex64 ? DType::kFloat32 : DType::kFloat64;
    default: return itemsize(dtype) <= 2 ? DType::kFloat32 : DType::kFloat64;
  }
}

// Of one sign the wider; of two signs the narrowest signed one that holds both, or float64.
constexpr DType promote_integers(DType a, DType b) {
  if (info(a).kind == info(b).kind) return itemsize(a) >= itemsize(b) ? a : b;
  const DType with_sign = info(a).kind == Kind::kSigned ? a : b;
  const DType without = info(a).kind == Kind::kSigned ? b : a;
  if (itemsize(with_sign) > itemsize(without)) return with_sign;
  switch (itemsize(without)) {
    case 1: return DType::kInt16;
    case 2: return DType::kInt32;
    case 4: return DType::kInt64;
    default: return DType::kFloat64;
  }
}

}  // namespace promotion

constexpr DType promote(DType a, DType b) {
  if (a == b || info(b).kind == Kind::kBool) return a;
  if (info(a).kind == Kind::kBool) return b;
  const auto is_integer = [](DType dtype) { return info(dtype).kind < Kind::kFloat; };
  if (is_integer(a) && is_integer(b)) return promotion::promote_integers(a, b);
  const bool is_wide =
      promotion::float_for(a) == DType::kFloat64 || promotion::float_for(b) == DType::kFloat64;
  if (info(a).kind == Kind::kComplex || info(b).kind == Kind::kComplex)
    return is_wide ? DType::kComplex128 : DType::kComplex64;
  return is_wide ? DType::kFloat64 : DType::kFloat32;
}

// Of one or more: the highest kind first, as NumPy does. int8 and uint16 beside float32 stay float32, which holds both, whatever
// they would make among themselves.
constexpr DType promote(std::span<const DType> dtypes) {
  std::optional<DType> common;
  for (const Kind kind : {Kind::kComplex, Kind::kFloat, Kind::kUnsigned, Kind::kSigned, Kind::kBool})
    for (const DType dtype : dtypes)
      if (info(dtype).kind == kind) common = common ? promote(*common, dtype) : dtype;
  return *common;
}

static_assert(promote(DType::kInt64, DType::kUint64) == DType::kFloat64);
static_assert(promote(DType::kInt32, DType::kComplex64) == DType::kComplex128);
static_assert(promote(DType::kUint16, DType::kFloat32) == DType::kFloat32);

}  // namespace parcompute
