#include "client/cli/value_text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include <fmt/format.h>

namespace parcompute::cli {
namespace {

auto refuse(std::string_view text, DType dtype, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no value for {}: {}", text, name(dtype), why));
}

// from_chars, with a leading plus, and all of the text or nothing.
template <class T>
std::errc read_number(std::string_view text, T& out) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    return std::errc::invalid_argument;
  return error;
}

template <class T>
Result<T> parse_as(std::string_view text, DType dtype);

template <class T>
Result<T> parse_integer(std::string_view text, DType dtype) {
  T value{};
  const std::errc error = read_number(text, value);
  if (error == std::errc{}) return value;
  // from_chars of an unsigned type takes no minus sign.
  std::int64_t negative = 0;
  if (error == std::errc::invalid_argument && read_number(text, negative) == std::errc::invalid_argument)
    return refuse(text, dtype, "it takes a whole number");
  return refuse(
      text, dtype,
      fmt::format("it holds {} to {}", std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

// Out of range is too large for the type, or too small: the second is a zero, as NumPy has it.
template <class T>
Result<T> parse_real(std::string_view text, DType dtype) {
  T value{};
  const std::errc error = read_number(text, value);
  if (error == std::errc{}) return value;
  if (error == std::errc::invalid_argument) return refuse(text, dtype, "it takes a number, nan, inf or -inf");
  const double wide = std::strtod(std::string(text).c_str(), nullptr);
  if (std::abs(wide) < 1) return static_cast<T>(wide);
  return refuse(text, dtype, fmt::format("the largest is {}", std::numeric_limits<T>::max()));
}

// Where the imaginary part of "1e-3+2j" begins: the last sign that is not an exponent's.
std::size_t imaginary_sign(std::string_view text) {
  for (std::size_t i = text.size(); i-- > 1;)
    if ((text[i] == '+' || text[i] == '-') && text[i - 1] != 'e' && text[i - 1] != 'E') return i;
  return 0;
}

template <class T>
Result<std::complex<T>> parse_complex(std::string_view text, DType dtype) {
  std::string_view inner = text;
  if (inner.size() >= 2 && inner.front() == '(' && inner.back() == ')')
    inner = inner.substr(1, inner.size() - 2);
  const bool imaginary = inner.ends_with('j');
  if (imaginary) inner.remove_suffix(1);
  if (inner.empty() && !imaginary) return refuse(text, dtype, "it takes a number such as 1+2j");
  const std::size_t split = imaginary ? imaginary_sign(inner) : inner.size();
  std::complex<T> value;
  if (split > 0) {
    const auto real = parse_real<T>(inner.substr(0, split), dtype);
    if (!real) return refuse(text, dtype, "it takes a number such as 1+2j");
    value.real(*real);
  }
  if (imaginary) {
    const auto imag = parse_real<T>(inner.substr(split), dtype);
    if (!imag) return refuse(text, dtype, "it takes a number such as 1+2j");
    value.imag(*imag);
  }
  return value;
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "1") return true;
  if (text == "false" || text == "False" || text == "0") return false;
  return refuse(text, DType::kBool, "it takes true or false");
}

template <class T>
struct IsComplex : std::false_type {};
template <class T>
struct IsComplex<std::complex<T>> : std::true_type {};

template <class T>
Result<T> parse_as(std::string_view text, DType dtype) {
  if constexpr (std::is_same_v<T, bool>)
    return parse_bool(text);
  else if constexpr (std::is_integral_v<T>)
    return parse_integer<T>(text, dtype);
  else if constexpr (IsComplex<T>::value)
    return parse_complex<typename T::value_type>(text, dtype);
  else
    return parse_real<T>(text, dtype);
}

}  // namespace

Result<Scalar> parse_value(std::string_view text, DType dtype) {
  return visit_dtype(dtype, [&]<class T>(T) -> Result<Scalar> {
    const Result<T> value = parse_as<T>(text, dtype);
    if (!value) return fail(value.error());
    Scalar scalar;
    scalar.dtype = dtype;
    std::memcpy(scalar.bytes.data(), &*value, sizeof(T));
    return scalar;
  });
}

}  // namespace parcompute::cli
