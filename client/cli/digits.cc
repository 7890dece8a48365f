#include "client/cli/digits.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "common/base/invariant.h"

namespace parcompute::cli {
namespace {

template <class T>
Digits take_apart(T value) {
  Digits out;
  out.negative = std::signbit(value);
  std::array<char, 64> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value),
                                          std::chars_format::scientific);
  PARCOMPUTE_INVARIANT(error == std::errc{});
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = text.find('e');
  PARCOMPUTE_INVARIANT(e != std::string_view::npos);
  for (const char c : text.substr(0, e))
    if (c != '.') out.digits += c;
  while (out.digits.size() > 1 && out.digits.back() == '0') out.digits.pop_back();
  out.point = std::atoi(std::string(text.substr(e + 1)).c_str()) + 1;
  return out;
}

}  // namespace

Digits shortest_digits(double value) {
  return take_apart(value);
}

Digits shortest_digits(float value) {
  return take_apart(value);
}

}  // namespace parcompute::cli
