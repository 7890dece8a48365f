// The scalar arithmetic of reductions, shared by the vector code of every instruction set.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace parcompute::reduction {

// A sum and what rounding took from it.
struct Pair {
  double sum = 0;
  double error = 0;
};

// Exact: a + b == sum + error, in any order of magnitudes (Knuth, TAOCP 2, 4.2.2, theorem B).
inline Pair two_sum(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}

inline Pair add(Pair a, Pair b) {
  const Pair total = two_sum(a.sum, b.sum);
  return {total.sum, (a.error + b.error) + total.error};
}

// Where a sum overflowed or met a NaN, its error is meaningless.
inline double value(Pair pair) {
  return std::isfinite(pair.sum) ? pair.sum + pair.error : pair.sum;
}

template <class T>
T canonical(T x) {
  return std::isnan(x) ? std::numeric_limits<T>::quiet_NaN() : x;
}

// -0.0 < +0.0, and NaN wins.
template <bool kMin, class T>
T extreme(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  if (a == b) return std::signbit(a) == kMin ? a : b;
  return (a < b) == kMin ? a : b;
}

// The lanes of a row combine pairwise by index: 0 with 1, 2 with 3, ...; then the pairs; and so on.
template <class T, class Add>
T fold_pairwise(T* lanes, std::size_t count, Add add_two) {
  for (; count > 1; count /= 2)
    for (std::size_t i = 0; i < count / 2; ++i) lanes[i] = add_two(lanes[2 * i], lanes[2 * i + 1]);
  return lanes[0];
}

}  // namespace parcompute::reduction
