#include "common/operation/number.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace parcompute {
namespace {

// 2^62: arrays are smaller (make_spec).
constexpr double kMostElements = 0x1p62;

std::string format_integer(WideInteger x) {
  // Sums of two 64-bit numbers need 65 bits.
  if (x >= std::numeric_limits<std::int64_t>::min() && x <= std::numeric_limits<std::int64_t>::max())
    return std::to_string(static_cast<std::int64_t>(x));
  if (x > 0 && x <= std::numeric_limits<std::uint64_t>::max()) return std::to_string(static_cast<std::uint64_t>(x));
  return fmt::format("{}", static_cast<double>(x));
}

Result<void> check_finite(double x, std::string_view what) {
  if (std::isfinite(x)) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}; give a finite number", what, x));
}

template <class T>
bool is_in_range(const Number& number) {
  constexpr auto kLeast = static_cast<WideInteger>(std::numeric_limits<T>::min());
  constexpr auto kMost = static_cast<WideInteger>(std::numeric_limits<T>::max());
  if (number.is_integer) return number.integer >= kLeast && number.integer <= kMost;
  if (std::trunc(number.real) != number.real || std::abs(number.real) > 0x1p65) return false;
  const auto integer = static_cast<WideInteger>(number.real);
  return integer >= kLeast && integer <= kMost;
}

}  // namespace

Result<Number> number_from_wire(const wire::Number& message, std::string_view what) {
  Number number;
  switch (message.real_part_case()) {
    case wire::Number::kInteger:
      number.integer = message.integer();
      break;
    case wire::Number::kNatural:
      number.integer = message.natural();
      break;
    case wire::Number::kReal:
      if (auto ok = check_finite(message.real(), what); !ok) return fail(ok.error());
      number.is_integer = false;
      number.real = message.real();
      break;
    default:
      if (message.has_imaginary()) break;
      return fail(ErrorCode::kInvalidArgument, fmt::format("{} is empty; give a number", what));
  }
  if (message.has_imaginary()) {
    if (auto ok = check_finite(message.imaginary(), what); !ok) return fail(ok.error());
    number.is_complex = true;
    number.imaginary = message.imaginary();
  }
  return number;
}

Number add(const Number& a, const Number& b) {
  Number sum;
  sum.is_integer = a.is_integer && b.is_integer;
  sum.is_complex = a.is_complex || b.is_complex;
  if (sum.is_integer)
    sum.integer = a.integer + b.integer;
  else
    sum.real = a.as_double() + b.as_double();
  sum.imaginary = a.imaginary + b.imaginary;
  return sum;
}

std::string format_number(const Number& number) {
  const std::string real = number.is_integer ? format_integer(number.integer) : fmt::format("{}", number.real);
  return number.is_complex ? fmt::format("{}{:+}j", real, number.imaginary) : real;
}

Result<void> check_fits(const Number& number, DType dtype, std::string_view what) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}, which is no element of {}: {}", what,
                                                         format_number(number), name(dtype), why));
  };
  const Kind kind = info(dtype).kind;
  if (number.is_complex && kind != Kind::kComplex) return refuse("it is complex; choose complex64 or complex128");
  return visit_dtype(dtype, [&](auto x) -> Result<void> {
    using T = decltype(x);
    if constexpr (std::is_same_v<T, bool>) {
      if (!is_in_range<bool>(number)) return refuse("choose 0 or 1");
    } else if constexpr (std::is_integral_v<T>) {
      if (!is_in_range<T>(number))
        return refuse(fmt::format("choose integers from {} to {}, or another dtype", std::numeric_limits<T>::min(),
                                  std::numeric_limits<T>::max()));
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(static_cast<T>(number.as_double())))
        return refuse("it is too large; choose float64 or a smaller number");
    } else {
      const T z = element_of<T>(number);
      if (!std::isfinite(z.real()) || !std::isfinite(z.imag()))
        return refuse("it is too large; choose complex128 or a smaller number");
    }
    return {};
  });
}

Result<std::uint64_t> arange_length(const Number& start, const Number& stop, const Number& step) {
  const auto describe = [&] {
    return fmt::format("arange from {} to {} in steps of {}", format_number(start), format_number(stop),
                       format_number(step));
  };
  if (start.is_complex || stop.is_complex || step.is_complex)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: complex numbers have no order; give real ones", describe()));
  if (step.is_zero())
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} never ends; give a step other than 0", describe()));
  const auto too_long = [&] {
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} has more elements than any memory holds; choose a larger step", describe()));
  };
  if (start.is_integer && stop.is_integer && step.is_integer) {
    const WideInteger distance = step.integer > 0 ? stop.integer - start.integer : start.integer - stop.integer;
    const WideInteger stride = step.integer > 0 ? step.integer : -step.integer;
    if (distance <= 0) return std::uint64_t{0};
    const WideInteger length = (distance + stride - 1) / stride;
    if (length > static_cast<WideInteger>(kMostElements)) return too_long();
    return static_cast<std::uint64_t>(length);
  }
  const double distance = stop.as_double() - start.as_double();
  const double ratio = distance / step.as_double();
  // NumPy's care for a quotient that underflows.
  if (ratio == 0 && distance != 0) return std::uint64_t{std::signbit(ratio) ? 0U : 1U};
  const double length = std::ceil(ratio);
  if (!(length < kMostElements)) return too_long();
  return length <= 0 ? std::uint64_t{0} : static_cast<std::uint64_t>(length);
}

}  // namespace parcompute
