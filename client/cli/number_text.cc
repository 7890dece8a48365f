#include "client/cli/number_text.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "client/cli/digits.h"

namespace parcompute::cli {
namespace {

// Python's float repr: positional for 1e-4 <= |x| < 1e16, else with an exponent of at least two digits.
std::string lay_out(const Digits& number) {
  const std::string sign = number.negative ? "-" : "";
  const int n = static_cast<int>(number.digits.size());
  const int point = number.point;
  if (point <= -4 || point > 16) {
    std::string mantissa = number.digits.substr(0, 1);
    if (n > 1) mantissa.append(".").append(number.digits, 1);
    return fmt::format("{}{}e{}{:02}", sign, mantissa, point - 1 < 0 ? '-' : '+', std::abs(point - 1));
  }
  if (point <= 0)
    return fmt::format("{}0.{}{}", sign, std::string(static_cast<std::size_t>(-point), '0'), number.digits);
  if (point >= n)
    return fmt::format("{}{}{}.0", sign, number.digits,
                       std::string(static_cast<std::size_t>(point - n), '0'));
  const auto left = static_cast<std::size_t>(point);
  return fmt::format("{}{}.{}", sign, number.digits.substr(0, left), number.digits.substr(left));
}

template <class T>
std::string real_repr(T value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return lay_out(shortest_digits(value));
}

// Inside a complex number Python leaves ".0" away.
template <class T>
std::string part_repr(T value) {
  std::string text = real_repr(value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

template <class T>
std::string complex_repr(std::complex<T> value) {
  const std::string imag = part_repr(value.imag()) + "j";
  if (value.real() == 0 && !std::signbit(value.real())) return imag;
  return fmt::format("({}{}{})", part_repr(value.real()), imag.front() == '-' ? "" : "+", imag);
}

}  // namespace

std::string python_repr(double value) {
  return real_repr(value);
}
std::string python_repr(float value) {
  return real_repr(value);
}
std::string python_repr(std::complex<double> value) {
  return complex_repr(value);
}
std::string python_repr(std::complex<float> value) {
  return complex_repr(value);
}

std::string scalar_repr(const Scalar& scalar) {
  return visit_dtype(scalar.dtype, [&]<class T>(T value) {
    std::memcpy(&value, scalar.bytes.data(), sizeof(T));
    return element_repr(value);
  });
}

std::string measured_seconds(double seconds) {
  if (!(seconds > 0)) return "0";
  const int exponent = static_cast<int>(std::floor(std::log10(seconds)));
  const int decimals = std::min(std::max(2 - exponent, 0), 9);
  return fmt::format("{:.{}f}", seconds, decimals);
}

std::string with_si_prefix(double value) {
  std::string_view prefix;
  for (std::string_view next : {"k", "M", "G", "T"}) {
    if (value < 999.5) break;
    value /= 1000;
    prefix = next;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, prefix);
}

}  // namespace parcompute::cli
