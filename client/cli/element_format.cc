#include "client/cli/element_format.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace parcompute::cli {
namespace {

void strip_zeros(std::string& text) {
  while (!text.empty() && text.back() == '0') text.pop_back();
}

std::string zeros(int count) {
  return std::string(static_cast<std::size_t>(std::max(count, 0)), '0');
}

}  // namespace

RealFormat::RealFormat(const std::vector<Item>& shown, bool plus) : plus_(plus) {
  double largest = 0;
  double smallest = std::numeric_limits<double>::infinity();
  for (const Item& item : shown) {
    if (!std::isfinite(item.exact) || item.exact == 0) continue;
    largest = std::max(largest, std::abs(item.exact));
    smallest = std::min(smallest, std::abs(item.exact));
  }
  exponents_ = largest > 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);

  std::size_t nonfinite = 0;
  for (const Item& item : shown) {
    if (!std::isfinite(item.exact)) {
      // Room for "inf", and for its sign where there may be one.
      nonfinite =
          std::max<std::size_t>(nonfinite, plus_ || (std::isinf(item.exact) && item.exact < 0) ? 4 : 3);
      continue;
    }
    const Parts parts = take_apart(item);
    left_ = std::max(left_, parts.left.size());
    right_ = std::max(right_, parts.right.size());
    exponent_ = std::max(exponent_, parts.exponent.size());
  }
  const std::size_t behind = right_ + exponent_ + 1;
  if (nonfinite > behind) left_ = std::max(left_, nonfinite - behind);
}

// Left and right of the point, without padding.
RealFormat::Parts RealFormat::take_apart(const Item& item) const {
  const Digits& number = item.shortest;
  const std::string sign = number.negative ? "-" : plus_ ? "+" : "";
  const int n = static_cast<int>(number.digits.size());
  if (exponents_) {
    // Too many digits: rounded from the exact value.
    std::string text = n - 1 > kPrecision ? fmt::format("{:.{}e}", std::abs(item.exact), kPrecision) : "";
    if (text.empty()) {
      const int power = item.exact == 0 ? 0 : number.point - 1;
      text = fmt::format("{}.{}e{}{:02}", number.digits[0], number.digits.substr(1), power < 0 ? '-' : '+',
                         std::abs(power));
    }
    const std::size_t e = text.find('e');
    Parts parts{sign + text[0], text.substr(2, e - 2), text.substr(e)};
    strip_zeros(parts.right);
    return parts;
  }
  if (n - number.point > kPrecision) {
    const std::string text = fmt::format("{:.{}f}", std::abs(item.exact), kPrecision);
    const std::size_t point = text.find('.');
    Parts parts{sign + text.substr(0, point), text.substr(point + 1), ""};
    strip_zeros(parts.right);
    return parts;
  }
  if (number.point <= 0 || item.exact == 0)
    return {sign + "0", item.exact == 0 ? "" : zeros(-number.point) + number.digits, ""};
  // In front of the point every digit is the exact value's.
  if (number.point > n) return {sign + fmt::format("{:.0f}", std::abs(item.exact)), "", ""};
  const auto left = static_cast<std::size_t>(number.point);
  return {sign + number.digits.substr(0, left), number.digits.substr(left), ""};
}

std::string RealFormat::operator()(const Item& item) const {
  if (!std::isfinite(item.exact)) {
    const std::string text = std::isnan(item.exact) ? (plus_ ? "+nan" : "nan")
                             : item.exact < 0       ? "-inf"
                             : plus_                ? "+inf"
                                                    : "inf";
    return flush_right(text, left_ + right_ + exponent_ + 1);
  }
  const Parts parts = take_apart(item);
  if (exponents_) {
    // All mantissas have one length, and so have exponents. A short mantissa is filled up with the exact value's digits,
    // which may change the first one, too: 1e-08 in float32 is 9.9999999e-09.
    const std::string digits = fmt::format("{:.{}e}", std::abs(item.exact), right_);
    const std::string_view sign = std::string_view(parts.left).substr(0, parts.left.size() - 1);
    const std::string right = right_ == 0 ? "" : digits.substr(2, right_);
    std::string exponent = digits.substr(digits.find('e'));
    while (exponent.size() < exponent_) exponent.insert(exponent.begin() + 2, '0');
    return flush_right(std::string(sign) + digits[0], left_) + "." + right + exponent;
  }
  return flush_right(parts.left, left_) + "." + flush_left(parts.right, right_);
}

}  // namespace parcompute::cli
