#include "common/expression/functions.h"

#include <array>

namespace parcompute::expression {
namespace {

constexpr std::array<ElementFunction, 86> kFunctions{{
    {"negative", Op::kNegative}, {"abs", Op::kAbsolute}, {"absolute", Op::kAbsolute}, {"sign", Op::kSign},
    {"invert", Op::kInvert}, {"bitwise_not", Op::kInvert}, {"square", Op::kSquare}, {"reciprocal", Op::kReciprocal},
    {"conj", Op::kConjugate}, {"conjugate", Op::kConjugate}, {"real", Op::kReal}, {"imag", Op::kImag},
    {"floor", Op::kFloor}, {"ceil", Op::kCeil}, {"trunc", Op::kTrunc}, {"fix", Op::kTrunc}, {"rint", Op::kRint},
    {"sqrt", Op::kSqrt}, {"cbrt", Op::kCbrt}, {"exp", Op::kExp}, {"expm1", Op::kExpm1}, {"exp2", Op::kExp2},
    {"log", Op::kLog}, {"log1p", Op::kLog1p}, {"log2", Op::kLog2}, {"log10", Op::kLog10},
    {"sin", Op::kSin}, {"cos", Op::kCos}, {"tan", Op::kTan},
    {"arcsin", Op::kArcsin}, {"arccos", Op::kArccos}, {"arctan", Op::kArctan}, {"asin", Op::kArcsin}, {"acos", Op::kArccos}, {"atan", Op::kArctan},
    {"sinh", Op::kSinh}, {"cosh", Op::kCosh}, {"tanh", Op::kTanh},
    {"arcsinh", Op::kArcsinh}, {"arccosh", Op::kArccosh}, {"arctanh", Op::kArctanh}, {"asinh", Op::kArcsinh}, {"acosh", Op::kArccosh}, {"atanh", Op::kArctanh},
    {"erf", Op::kErf}, {"gamma", Op::kGamma}, {"lgamma", Op::kLgamma}, {"gammaln", Op::kLgamma},
    {"isnan", Op::kIsnan}, {"isinf", Op::kIsinf}, {"isfinite", Op::kIsfinite}, {"signbit", Op::kSignbit},
    {"add", Op::kAdd}, {"subtract", Op::kSubtract}, {"multiply", Op::kMultiply}, {"divide", Op::kDivide}, {"true_divide", Op::kDivide},
    {"floor_divide", Op::kFloorDivide}, {"remainder", Op::kRemainder}, {"mod", Op::kRemainder}, {"fmod", Op::kFmod},
    {"power", Op::kPower}, {"pow", Op::kPower},
    {"minimum", Op::kMinimum}, {"maximum", Op::kMaximum}, {"fmin", Op::kFmin}, {"fmax", Op::kFmax},
    {"hypot", Op::kHypot}, {"arctan2", Op::kArctan2}, {"atan2", Op::kArctan2}, {"copysign", Op::kCopysign},
    {"bitwise_and", Op::kBitwiseAnd}, {"bitwise_or", Op::kBitwiseOr}, {"bitwise_xor", Op::kBitwiseXor},
    {"left_shift", Op::kLeftShift}, {"right_shift", Op::kRightShift}, {"bitwise_left_shift", Op::kLeftShift}, {"bitwise_right_shift", Op::kRightShift},
    {"bitwise_invert", Op::kInvert},
    {"equal", Op::kEqual}, {"not_equal", Op::kNotEqual}, {"less", Op::kLess}, {"less_equal", Op::kLessEqual},
    {"greater", Op::kGreater}, {"greater_equal", Op::kGreaterEqual},
    {"where", Op::kWhere},
}};

}  // namespace

const ElementFunction* find_element_function(std::string_view name) {
  for (const ElementFunction& row : kFunctions)
    if (row.name == name) return &row;
  return nullptr;
}

std::vector<std::string> element_function_names() {
  std::vector<std::string> names;
  for (const ElementFunction& row : kFunctions) names.emplace_back(row.name);
  return names;
}

}  // namespace parcompute::expression
