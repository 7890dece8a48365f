// Columns of an array's elements: every one padded so that points and signs stand below each other, as
// NumPy's do.
//
// The rules are those of numpy's array2string with its defaults: at most 8 digits behind the point, the
// shortest that read back where fewer do; an exponent for all as soon as the largest is 1e8 or more, the
// smallest below 1e-4, or their ratio above 1000.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "client/cli/digits.h"
#include "client/cli/text.h"

namespace parcompute::cli {

template <class T>
class ElementFormat;

// Integers and booleans: right-aligned.
template <class T>
requires std::is_integral_v<T>
class ElementFormat<T> {
 public:
  explicit ElementFormat(const std::vector<T>& shown) {
    for (const T value : shown) width_ = std::max(width_, text(value).size());
    // NumPy leaves room for "True", padded to the length of "False", whatever is shown.
    if (std::is_same_v<T, bool>) width_ = 5;
  }
  std::string operator()(T value) const { return flush_right(text(value), width_); }

 private:
  static std::string text(T value) {
    if constexpr (std::is_same_v<T, bool>)
      return value ? "True" : "False";
    else
      return std::to_string(value);
  }
  std::size_t width_ = 0;
};

// What float and double share once a value is taken apart.
class RealFormat {
 public:
  static constexpr int kPrecision = 8;

  // `exact` is the value as a double, which a float is exactly.
  struct Item {
    double exact;
    Digits shortest;  // of a finite value
  };
  RealFormat(const std::vector<Item>& shown, bool plus);
  std::string operator()(const Item& item) const;

 private:
  struct Parts {
    std::string left;      // with the sign
    std::string right;     // behind the point
    std::string exponent;  // "e+20", or nothing
  };
  Parts take_apart(const Item& item) const;

  bool plus_;  // a sign in front of positive values too
  bool exponents_ = false;
  std::size_t left_ = 0, right_ = 0, exponent_ = 0;  // widths
};

template <class T>
RealFormat::Item real_item(T value) {
  const double exact = value;
  return {exact, std::isfinite(exact) ? shortest_digits(value) : Digits{}};
}

template <class T>
requires std::is_floating_point_v<T>
class ElementFormat<T> {
 public:
  explicit ElementFormat(const std::vector<T>& shown) : format_(items(shown), false) {}
  std::string operator()(T value) const { return format_(real_item(value)); }

 private:
  static std::vector<RealFormat::Item> items(const std::vector<T>& shown) {
    std::vector<RealFormat::Item> out;
    for (const T value : shown) out.push_back(real_item(value));
    return out;
  }
  RealFormat format_;
};

template <class T>
class ElementFormat<std::complex<T>> {
 public:
  explicit ElementFormat(const std::vector<std::complex<T>>& shown)
      : real_(items(shown, false), false), imag_(items(shown, true), true) {}
  std::string operator()(std::complex<T> value) const {
    std::string imag = imag_(real_item(value.imag()));
    // The j follows the last digit, before what pads it.
    imag.insert(imag.begin() + static_cast<std::ptrdiff_t>(imag.find_last_not_of(' ') + 1), 'j');
    return real_(real_item(value.real())).append(imag);
  }

 private:
  static std::vector<RealFormat::Item> items(const std::vector<std::complex<T>>& shown, bool imag) {
    std::vector<RealFormat::Item> out;
    for (const std::complex<T> value : shown) out.push_back(real_item(imag ? value.imag() : value.real()));
    return out;
  }
  RealFormat real_, imag_;
};

}  // namespace parcompute::cli
