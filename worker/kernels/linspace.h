// One axis of a grid: numpy.linspace(start, stop, num, endpoint), to the bit, one value at a time.
#pragma once

#include <complex>
#include <cstdint>

namespace parcompute {

class Linspace {
 public:
  Linspace(double start, double stop, std::uint64_t num, bool endpoint = true)
      : start_(start), stop_(stop), delta_(stop - start), divisor_(endpoint ? num - 1 : num) {
    ends_ = endpoint && num > 1;
    if (divisor_ > 0) step_ = delta_ / static_cast<double>(divisor_);
  }

  // NumPy's own steps in NumPy's order: i * step + start, each rounded; the last value is `stop` itself.
  double operator()(std::uint64_t i) const {
    const double index = static_cast<double>(i);
    if (divisor_ == 0) return index * delta_ + start_;
    if (ends_ && i == divisor_) return stop_;
    // A step that underflows to 0 would make all values equal; NumPy divides first then.
    if (step_ == 0) return index / static_cast<double>(divisor_) * delta_ + start_;
    return index * step_ + start_;
  }

 private:
  double start_;
  double stop_;
  double delta_;
  double step_ = 0;
  std::uint64_t divisor_;  // NumPy's `div`
  bool ends_;              // the last value is `stop`
};

// The same between complex ends, where NumPy divides by multiplying with the reciprocal, and where products with the index's
// imaginary part, which is 0, still decide the signs of zeros.
class ComplexLinspace {
 public:
  using Complex = std::complex<double>;
  ComplexLinspace(Complex start, Complex stop, std::uint64_t num, bool endpoint)
      : start_(start),
        stop_(stop),
        delta_(stop.real() - start.real(), stop.imag() - start.imag()),
        divisor_(endpoint ? num - 1 : num) {
    ends_ = endpoint && num > 1;
    if (divisor_ > 0) step_ = divide(delta_);
  }

  Complex operator()(std::uint64_t i) const {
    const Complex index(static_cast<double>(i), 0);
    if (divisor_ == 0) return add_start(multiply(index, delta_));
    if (ends_ && i == divisor_) return stop_;
    if (step_ == Complex(0, 0)) return add_start(multiply(divide(index), delta_));
    return add_start(multiply(index, step_));
  }

 private:
  static Complex multiply(Complex a, Complex b) {
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
  }
  // Smith's division by the real `divisor_`.
  Complex divide(Complex a) const {
    const double scale = 1.0 / static_cast<double>(divisor_);
    return {(a.real() + a.imag() * 0.0) * scale, (a.imag() - a.real() * 0.0) * scale};
  }
  Complex add_start(Complex a) const { return {a.real() + start_.real(), a.imag() + start_.imag()}; }

  Complex start_;
  Complex stop_;
  Complex delta_;
  Complex step_;
  std::uint64_t divisor_;
  bool ends_;
};

}  // namespace parcompute
