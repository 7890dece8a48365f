// Pairwise: a sum over numbered parts whose tree depends on their number alone.
//
// The tree over n parts splits at the largest power of 2 below n. Like a binary counter, a slot holds the sum of a run of
// 2^slot parts.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace parcompute {

// Two partial sums of one dtype: 8 bits are bool.
template <class T>
T add_partials(T a, T b) {
  if constexpr (sizeof(T) == 1)
    return static_cast<T>(a | b);
  else
    return static_cast<T>(a + b);
}

template <class T>
class PairwiseSum {
 public:
  void push(T part) {
    std::size_t slot = 0;
    for (; (count_ >> slot & 1) != 0; ++slot) part = add_partials(runs_[slot], part);
    runs_[slot] = part;
    ++count_;
  }
  // At least one part was pushed.
  T total() const {
    auto slot = static_cast<std::size_t>(std::countr_zero(count_));
    T sum = runs_[slot];
    for (++slot; count_ >> slot != 0; ++slot)
      if ((count_ >> slot & 1) != 0) sum = add_partials(runs_[slot], sum);
    return sum;
  }

 private:
  std::array<T, 56> runs_;
  std::uint64_t count_ = 0;
};

}  // namespace parcompute
