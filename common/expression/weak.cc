#include "common/expression/weak.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace parcompute::expression {
namespace {

// Python's whole numbers have no end; ours stop where no dtype could hold the result, or what comes after it.
constexpr Integer kLargest = Integer{1} << 100;

Result<Weak> whole(Integer x) {
  if (x > kLargest || x < -kLargest) return fail(ErrorCode::kInvalidArgument, "a whole number grows beyond 64 bits");
  return Weak(x);
}

double real_of(const Weak& x) {
  if (const auto* integer = std::get_if<Integer>(&x)) return static_cast<double>(*integer);
  return std::get<double>(x);
}
std::complex<double> complex_of(const Weak& x) {
  if (const auto* complex = std::get_if<std::complex<double>>(&x)) return *complex;
  return real_of(x);
}

Integer floor_div(Integer x, Integer y) {
  const Integer quotient = x / y;
  return quotient * y != x && (x < 0) != (y < 0) ? quotient - 1 : quotient;
}

auto refuse(const char* why) {
  return fail(ErrorCode::kInvalidArgument, why);
}

Result<Weak> power(Integer base, Integer exponent) {
  Integer result = 1;
  for (Integer i = 0; i < exponent; ++i) {
    if (result == 0 || base == 1) break;
    if (base == -1) return Weak(Integer{exponent % 2 == 0 ? 1 : -1});
    if (__builtin_mul_overflow(result, base, &result)) return whole(kLargest + 1);
    if (const auto ok = whole(result); !ok) return ok;
  }
  return Weak(result);
}

Result<Weak> fold_integers(Op op, Integer x, Integer y) {
  switch (op) {
    case Op::kAdd: return whole(x + y);
    case Op::kSubtract: return whole(x - y);
    case Op::kMultiply: {
      Integer product;
      if (__builtin_mul_overflow(x, y, &product)) return refuse("a whole number grows beyond 64 bits");
      return whole(product);
    }
    case Op::kDivide:
      if (y == 0) return refuse("a number is divided by zero");
      return Weak(static_cast<double>(x) / static_cast<double>(y));
    case Op::kFloorDivide:
      if (y == 0) return refuse("a number is divided by zero");
      return Weak(floor_div(x, y));
    case Op::kRemainder:
      if (y == 0) return refuse("a number is divided by zero");
      return Weak(x - floor_div(x, y) * y);
    case Op::kPower:
      if (y < 0 && x == 0) return refuse("a number is divided by zero");
      if (y < 0) return Weak(std::pow(static_cast<double>(x), static_cast<double>(y)));
      return power(x, y);
    case Op::kBitwiseAnd: return Weak(Integer{x & y});
    case Op::kBitwiseOr: return Weak(Integer{x | y});
    case Op::kBitwiseXor: return Weak(Integer{x ^ y});
    case Op::kLeftShift:
      if (y < 0) return refuse("a number is shifted by a negative count");
      if (x == 0) return Weak(Integer{0});
      if (y > 99 || x > (kLargest >> static_cast<int>(y)) || x < -(kLargest >> static_cast<int>(y))) return refuse("a whole number grows beyond 64 bits");
      return whole(x * (Integer{1} << static_cast<int>(y)));
    case Op::kRightShift:
      if (y < 0) return refuse("a number is shifted by a negative count");
      return Weak(Integer{x >> static_cast<int>(y > 120 ? Integer{120} : y)});
    default: return refuse("numbers alone cannot be computed so");
  }
}

Result<Weak> fold_reals(Op op, double x, double y) {
  switch (op) {
    case Op::kAdd: return Weak(x + y);
    case Op::kSubtract: return Weak(x - y);
    case Op::kMultiply: return Weak(x * y);
    case Op::kDivide:
      if (y == 0) return refuse("a number is divided by zero");
      return Weak(x / y);
    case Op::kFloorDivide:
    case Op::kRemainder: {
      if (y == 0) return refuse("a number is divided by zero");
      double rest = std::fmod(x, y);
      double quotient = (x - rest) / y;
      if (rest != 0 && (y < 0) != (rest < 0)) {
        rest += y;
        quotient -= 1;
      }
      if (rest == 0) rest = std::copysign(0.0, y);
      if (op == Op::kRemainder) return Weak(rest);
      const double floored = std::floor(quotient);
      return Weak(quotient - floored > 0.5 ? floored + 1 : quotient == 0 ? std::copysign(0.0, x / y) : floored);
    }
    case Op::kPower:
      if (x == 0 && y < 0) return refuse("a number is divided by zero");
      if (x < 0 && std::isfinite(y) && y != std::floor(y)) return Weak(std::pow(std::complex<double>(x), y));
      return Weak(std::pow(x, y));
    default: return refuse("this operator takes whole numbers alone");
  }
}

Result<Weak> fold_complex(Op op, std::complex<double> x, std::complex<double> y) {
  switch (op) {
    case Op::kAdd: return Weak(x + y);
    case Op::kSubtract: return Weak(x - y);
    case Op::kMultiply: return Weak(x * y);
    case Op::kDivide:
      if (y == 0.0) return refuse("a number is divided by zero");
      return Weak(x / y);
    case Op::kPower: return Weak(std::pow(x, y));
    default: return refuse("this operator takes no complex numbers");
  }
}

template <class T>
void store(ElementBytes& bytes, T value) {
  std::memcpy(bytes.data(), &value, sizeof value);
}

}  // namespace

Result<Weak> fold_unary(std::string_view sign, const Weak& x) {
  if (sign == "+") return x;
  if (const auto* integer = std::get_if<Integer>(&x)) return Weak(sign == "-" ? Integer{-*integer} : Integer{~*integer});
  if (sign == "~") return refuse("'~' takes whole numbers and truths");
  if (const auto* real = std::get_if<double>(&x)) return Weak(-*real);
  return Weak(-std::get<std::complex<double>>(x));
}

Result<Weak> fold_binary(Op op, const Weak& x, const Weak& y) {
  const std::size_t rank = std::max(x.index(), y.index());
  if (rank == 0) return fold_integers(op, std::get<Integer>(x), std::get<Integer>(y));
  if (rank == 1) return fold_reals(op, real_of(x), real_of(y));
  return fold_complex(op, complex_of(x), complex_of(y));
}

std::optional<bool> fold_comparison(Op op, const Weak& x, const Weak& y) {
  const auto compare = [op](auto a, auto b) -> std::optional<bool> {
    switch (op) {
      case Op::kEqual: return a == b;
      case Op::kNotEqual: return a != b;
      case Op::kLess: return a < b;
      case Op::kLessEqual: return a <= b;
      case Op::kGreater: return a > b;
      case Op::kGreaterEqual: return a >= b;
      default: return std::nullopt;
    }
  };
  if (std::max(x.index(), y.index()) == 2) {
    const bool equal = complex_of(x) == complex_of(y);
    return op == Op::kEqual ? std::optional(equal) : op == Op::kNotEqual ? std::optional(!equal) : std::nullopt;
  }
  if (x.index() == 0 && y.index() == 0) return compare(std::get<Integer>(x), std::get<Integer>(y));
  return compare(real_of(x), real_of(y));
}

DType dtype_beside(const Weak& x, std::optional<DType> strong) {
  if (!strong) {
    if (const auto* integer = std::get_if<Integer>(&x)) return fits(*integer, DType::kInt64) ? DType::kInt64 : DType::kUint64;
    return x.index() == 1 ? DType::kFloat64 : DType::kComplex128;
  }
  const Kind kind = info(*strong).kind;
  if (x.index() == 0) return kind == Kind::kBool ? DType::kInt64 : *strong;
  if (x.index() == 1) return kind == Kind::kFloat || kind == Kind::kComplex ? *strong : DType::kFloat64;
  return *strong == DType::kFloat32 || *strong == DType::kComplex64 ? DType::kComplex64 : DType::kComplex128;
}

bool fits(Integer x, DType dtype) {
  return visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) return x >= std::numeric_limits<T>::min() && x <= std::numeric_limits<T>::max();
    else return true;
  });
}

namespace {

std::string range_text(DType dtype) {
  return visit_dtype(dtype, [](auto zero) -> std::string {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) return fmt::format("{} to {}", +std::numeric_limits<T>::min(), +std::numeric_limits<T>::max());
    else return "any";
  });
}

}  // namespace

Result<ElementBytes> element_of(const Weak& x, DType dtype) {
  ElementBytes bytes{};
  if (const auto* integer = std::get_if<Integer>(&x); integer != nullptr && !fits(*integer, dtype))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} does not fit {}, which holds {},", *integer, name(dtype), range_text(dtype)));
  visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, std::complex<float>>) store(bytes, std::complex<float>(complex_of(x)));
    else if constexpr (std::is_same_v<T, std::complex<double>>) store(bytes, complex_of(x));
    else if constexpr (std::is_floating_point_v<T>) store(bytes, static_cast<T>(x.index() == 2 ? complex_of(x).real() : real_of(x)));
    else if (const auto* whole_number = std::get_if<Integer>(&x)) store(bytes, static_cast<T>(*whole_number));
    else store(bytes, static_cast<T>(complex_of(x).real()));  // never asked for: a real beside integers is float64
  });
  return bytes;
}

}  // namespace parcompute::expression
