// One axis of a grid: numpy.linspace(start, stop, num), to the bit, one value at a time.
#pragma once

#include <cstdint>

namespace parcompute {

class Linspace {
 public:
  Linspace(double start, double stop, std::uint64_t num)
      : start_(start), stop_(stop), delta_(stop - start), num_(num) {
    if (num > 1) step_ = delta_ / static_cast<double>(num - 1);
  }

  // NumPy's own steps in NumPy's order: i * step + start, each rounded; the last value is `stop` itself.
  double operator()(std::uint64_t i) const {
    const double index = static_cast<double>(i);
    if (num_ == 1) return index * delta_ + start_;
    if (i == num_ - 1) return stop_;
    // A step that underflows to 0 would make all values equal; NumPy divides first then.
    if (step_ == 0) return index / static_cast<double>(num_ - 1) * delta_ + start_;
    return index * step_ + start_;
  }

 private:
  double start_;
  double stop_;
  double delta_;
  double step_ = 0;
  std::uint64_t num_;
};

}  // namespace parcompute
