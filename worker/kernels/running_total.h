// Running sums and products: what a scan carries from element to element, and over parts that are computed apart.
//
// Integers wrap; they need no care. Floats do:
//
// A sum's strips of kScanStrip elements are added in their order, beginning with nothing (float32 in float64); what
// comes before a strip is carried as a sum and its rounding errors, some 106 bits. So an element's error is that of a
// strip, however long the array is, and up to one strip the bits are NumPy's.
//
// A product is multiplied in its order, in the dtype, from what comes before the part. Parts computed apart keep a
// product's exponent by itself, for it may leave the dtype's range and come back; with the largest and the smallest
// product on the way it is known where NumPy's would have stuck at infinity or zero, and it sticks there too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace parcompute {

struct CarriedSum {
  // -0.0 is the sum of nothing that changes no sign.
  double sum = -0.0;
  double error = -0.0;

  void add(double x) {
    const double total = sum + x;
    const double part = total - sum;
    const double rounding = (sum - (total - part)) + (x - part);
    sum = total;
    // At infinity there is nothing to round.
    if (rounding != 0 && std::isfinite(total)) error += rounding;
  }
  void add(const CarriedSum& after) {
    add(after.sum);
    if (after.error != 0) error += after.error;
  }
  double with(double x) const { return sum + (error + x); }
};

// A finite number other than 0: fraction * 2^exponent, as frexp's. 0, infinities and NaN: the fraction alone.
struct Scaled {
  double fraction = 1;
  std::int64_t exponent = 0;

  bool is_special() const { return fraction == 0 || !std::isfinite(fraction); }
  void normalize() {
    if (is_special()) return;
    int shift = 0;
    fraction = std::frexp(fraction, &shift);
    exponent += shift;
  }
  void multiply(Scaled x) {
    fraction *= x.fraction;
    exponent += x.exponent;
    normalize();
  }
};

struct CarriedProduct {
  Scaled product;
  // Exponents of the products on the way, up to the first special one.
  std::int64_t largest = std::numeric_limits<std::int64_t>::min() / 4;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max() / 4;

  // `count` elements. Several are multiplied at once as long as they leave a double's range alone.
  template <class T>
  void multiply(const T* elements, std::uint64_t count) {
    constexpr std::uint64_t kAtOnce = 16;
    for (std::uint64_t first = 0; first < count; first += kAtOnce) {
      const std::uint64_t run = std::min(kAtOnce, count - first);
      product.normalize();
      double x = product.fraction, high = 0, low = std::numeric_limits<double>::infinity();
      for (std::uint64_t i = 0; i < run; ++i) {
        x *= static_cast<double>(elements[first + i]);
        high = std::max(high, std::fabs(x));
        low = std::min(low, std::fabs(x));
      }
      if (!product.is_special() && low > 1e-290 && high < 1e290 && x == x) {
        note(high);
        note(low);
        product.fraction = x;
      } else {
        for (std::uint64_t i = 0; i < run; ++i) multiply_one(static_cast<double>(elements[first + i]));
      }
    }
    product.normalize();
  }

  // What `before` and then this part come to, in T.
  template <class T>
  Scaled after(const Scaled& before) const {
    using Limits = std::numeric_limits<T>;
    Scaled result = before;
    if (!before.is_special() && before.exponent + largest > Limits::max_exponent) {
      result.fraction = std::copysign(Limits::infinity(), before.fraction);
    } else if (!before.is_special() && before.exponent + smallest < Limits::min_exponent - Limits::digits) {
      result.fraction = std::copysign(0.0, before.fraction);
    }
    result.multiply(product);
    return result;
  }

  template <class T>
  static T value(const Scaled& x) {
    if (x.is_special()) return static_cast<T>(x.fraction);
    const auto exponent = static_cast<int>(std::clamp<std::int64_t>(x.exponent, -5000, 5000));
    return static_cast<T>(std::ldexp(x.fraction, exponent));
  }

 private:
  void multiply_one(double x) {
    const bool was_special = product.is_special();
    product.normalize();
    Scaled factor{x, 0};
    factor.normalize();
    product.multiply(factor);
    if (!was_special && !product.is_special()) note(product.fraction);
  }
  void note(double x) {
    int shift = 0;
    std::frexp(x, &shift);
    largest = std::max(largest, product.exponent + shift);
    smallest = std::min(smallest, product.exponent + shift);
  }
};

}  // namespace parcompute
