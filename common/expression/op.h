// What one instruction of an expression computes, element by element: one table, a row each.
//
// All of an instruction's operands have one dtype (the typing rules insert casts); `where` has a bool condition before
// them. What is made of other ops needs no row: typing.cc rewrites functions (clip is minimum of maximum, angle is arctan2),
// rules.cc ops of dtypes that they have no loop for (bool + bool is |, isnan of whole numbers is False).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/array/dtype.h"

namespace parcompute {

enum class Op : std::uint8_t {
  // one operand
  kNegative, kAbsolute, kSign, kInvert, kSquare, kReciprocal, kConjugate, kReal, kImag,
  kFloor, kCeil, kTrunc, kRint, kSqrt, kCbrt,
  kExp, kExpm1, kExp2, kLog, kLog1p, kLog2, kLog10,
  kSin, kCos, kTan, kArcsin, kArccos, kArctan, kSinh, kCosh, kTanh, kArcsinh, kArccosh, kArctanh,
  kErf, kGamma, kLgamma,
  kIsnan, kIsinf, kIsfinite, kSignbit,
  // two
  kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kRemainder, kFmod, kPower,
  kMinimum, kMaximum, kFmin, kFmax, kHypot, kArctan2, kCopysign,
  kBitwiseAnd, kBitwiseOr, kBitwiseXor, kLeftShift, kRightShift,
  kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual,
  // three
  kWhere,
};

// The kinds of dtype that an op has loops for.
enum KindSet : std::uint8_t { kB = 1, kI = 2, kU = 4, kF = 8, kC = 16, kIU = kI | kU, kFC = kF | kC, kIUF = kIU | kF, kIUFC = kIU | kFC, kAll = kB | kIUFC };

constexpr KindSet kind_set(DType dtype) {
  return static_cast<KindSet>(1U << static_cast<unsigned>(info(dtype).kind));
}

// The dtype of the result.
enum class Gives : std::uint8_t {
  kSame,  // the operands'
  kBool,
  kReal,  // of complex operands the component's, else the operands' own
};

struct OpInfo {
  Op op;
  std::string_view name;  // NumPy's
  std::uint8_t operands;
  KindSet kinds;
  Gives gives;
};

inline constexpr std::array<OpInfo, 68> kOps{{
    {Op::kNegative, "negative", 1, kIUFC, Gives::kSame},
    {Op::kAbsolute, "absolute", 1, kIUFC, Gives::kReal},
    {Op::kSign, "sign", 1, kIUFC, Gives::kSame},
    {Op::kInvert, "invert", 1, static_cast<KindSet>(kB | kIU), Gives::kSame},
    {Op::kSquare, "square", 1, kIUFC, Gives::kSame},
    {Op::kReciprocal, "reciprocal", 1, kIUFC, Gives::kSame},
    {Op::kConjugate, "conjugate", 1, kC, Gives::kSame},
    {Op::kReal, "real", 1, kC, Gives::kReal},
    {Op::kImag, "imag", 1, kC, Gives::kReal},
    {Op::kFloor, "floor", 1, kF, Gives::kSame},
    {Op::kCeil, "ceil", 1, kF, Gives::kSame},
    {Op::kTrunc, "trunc", 1, kF, Gives::kSame},
    {Op::kRint, "rint", 1, kFC, Gives::kSame},
    {Op::kSqrt, "sqrt", 1, kFC, Gives::kSame},
    {Op::kCbrt, "cbrt", 1, kF, Gives::kSame},
    {Op::kExp, "exp", 1, kFC, Gives::kSame},
    {Op::kExpm1, "expm1", 1, kFC, Gives::kSame},
    {Op::kExp2, "exp2", 1, kFC, Gives::kSame},
    {Op::kLog, "log", 1, kFC, Gives::kSame},
    {Op::kLog1p, "log1p", 1, kFC, Gives::kSame},
    {Op::kLog2, "log2", 1, kFC, Gives::kSame},
    {Op::kLog10, "log10", 1, kFC, Gives::kSame},
    {Op::kSin, "sin", 1, kFC, Gives::kSame},
    {Op::kCos, "cos", 1, kFC, Gives::kSame},
    {Op::kTan, "tan", 1, kFC, Gives::kSame},
    {Op::kArcsin, "arcsin", 1, kFC, Gives::kSame},
    {Op::kArccos, "arccos", 1, kFC, Gives::kSame},
    {Op::kArctan, "arctan", 1, kFC, Gives::kSame},
    {Op::kSinh, "sinh", 1, kFC, Gives::kSame},
    {Op::kCosh, "cosh", 1, kFC, Gives::kSame},
    {Op::kTanh, "tanh", 1, kFC, Gives::kSame},
    {Op::kArcsinh, "arcsinh", 1, kFC, Gives::kSame},
    {Op::kArccosh, "arccosh", 1, kFC, Gives::kSame},
    {Op::kArctanh, "arctanh", 1, kFC, Gives::kSame},
    {Op::kErf, "erf", 1, kF, Gives::kSame},
    {Op::kGamma, "gamma", 1, kF, Gives::kSame},
    {Op::kLgamma, "lgamma", 1, kF, Gives::kSame},
    {Op::kIsnan, "isnan", 1, kFC, Gives::kBool},
    {Op::kIsinf, "isinf", 1, kFC, Gives::kBool},
    {Op::kIsfinite, "isfinite", 1, kFC, Gives::kBool},
    {Op::kSignbit, "signbit", 1, kF, Gives::kBool},
    {Op::kAdd, "add", 2, kIUFC, Gives::kSame},
    {Op::kSubtract, "subtract", 2, kIUFC, Gives::kSame},
    {Op::kMultiply, "multiply", 2, kIUFC, Gives::kSame},
    {Op::kDivide, "divide", 2, kFC, Gives::kSame},
    {Op::kFloorDivide, "floor_divide", 2, kIUF, Gives::kSame},
    {Op::kRemainder, "remainder", 2, kIUF, Gives::kSame},
    {Op::kFmod, "fmod", 2, kIUF, Gives::kSame},
    {Op::kPower, "power", 2, kIUFC, Gives::kSame},
    {Op::kMinimum, "minimum", 2, kIUFC, Gives::kSame},
    {Op::kMaximum, "maximum", 2, kIUFC, Gives::kSame},
    {Op::kFmin, "fmin", 2, kFC, Gives::kSame},
    {Op::kFmax, "fmax", 2, kFC, Gives::kSame},
    {Op::kHypot, "hypot", 2, kF, Gives::kSame},
    {Op::kArctan2, "arctan2", 2, kF, Gives::kSame},
    {Op::kCopysign, "copysign", 2, kF, Gives::kSame},
    {Op::kBitwiseAnd, "bitwise_and", 2, static_cast<KindSet>(kB | kIU), Gives::kSame},
    {Op::kBitwiseOr, "bitwise_or", 2, static_cast<KindSet>(kB | kIU), Gives::kSame},
    {Op::kBitwiseXor, "bitwise_xor", 2, static_cast<KindSet>(kB | kIU), Gives::kSame},
    {Op::kLeftShift, "left_shift", 2, kIU, Gives::kSame},
    {Op::kRightShift, "right_shift", 2, kIU, Gives::kSame},
    {Op::kEqual, "equal", 2, kAll, Gives::kBool},
    {Op::kNotEqual, "not_equal", 2, kAll, Gives::kBool},
    {Op::kLess, "less", 2, kAll, Gives::kBool},
    {Op::kLessEqual, "less_equal", 2, kAll, Gives::kBool},
    {Op::kGreater, "greater", 2, kAll, Gives::kBool},
    {Op::kGreaterEqual, "greater_equal", 2, kAll, Gives::kBool},
    {Op::kWhere, "where", 3, kAll, Gives::kSame},
}};

constexpr const OpInfo& info(Op op) {
  return kOps[static_cast<std::size_t>(op)];
}

static_assert([] {
  for (std::size_t i = 0; i < kOps.size(); ++i)
    if (static_cast<std::size_t>(kOps[i].op) != i) return false;
  return true;
}(), "info() indexes the table by the enumerator");

// Of a complex dtype its component's, else the dtype itself.
constexpr DType real_dtype(DType dtype) {
  return dtype == DType::kComplex64 ? DType::kFloat32 : dtype == DType::kComplex128 ? DType::kFloat64 : dtype;
}

// The dtype that an op gives for operands of `dtype`.
constexpr DType result_dtype(Op op, DType dtype) {
  switch (info(op).gives) {
    case Gives::kBool: return DType::kBool;
    case Gives::kReal: return real_dtype(dtype);
    default: return dtype;
  }
}

}  // namespace parcompute
