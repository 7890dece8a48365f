// canonical: which NaN a result holds. Whose NaN an operation hands on, and the sign of one that it makes, differ by compiler
// and instruction set: in results it is the positive quiet one.
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <limits>
#include <type_traits>

namespace parcompute {

template <class T>
T canonical(T x) {
  if constexpr (std::is_floating_point_v<T>)
    return x == x ? x : std::numeric_limits<T>::quiet_NaN();
  else
    return x;
}
template <class T>
std::complex<T> canonical(std::complex<T> x) {
  return {canonical(x.real()), canonical(x.imag())};
}

// Where a NaN stays one, as in running totals: the last result tells whether there are any.
template <class T>
void canonicalize_if_last_is_nan(T* results, std::size_t count) {
  if (count != 0 && results[count - 1] != results[count - 1]) std::transform(results, results + count, results, [](T x) { return canonical(x); });
}

}  // namespace parcompute
