// Numbers as Python writes them.
#pragma once

#include <complex>
#include <cstdint>
#include <string>
#include <type_traits>

#include "client/cpp/job.h"

namespace parcompute::cli {

// The shortest decimal digits that read back as the same value, in repr()'s form: 0.1, 1e+20, 5.0, nan, -inf.
// A float's are the shortest for a float.
std::string python_repr(double value);
std::string python_repr(float value);

std::string python_repr(std::complex<double> value);
std::string python_repr(std::complex<float> value);

// One element of an array, as repr() writes the NumPy scalar's value: 3, 0.1, True, (1+2j).
template <class T>
std::string element_repr(T value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "True" : "False";
  else if constexpr (std::is_integral_v<T>)
    return std::to_string(value);
  else
    return python_repr(value);
}

std::string scalar_repr(const Scalar& scalar);

// A measured time in seconds, three significant digits, no exponent down to a microsecond: "0.183",
// "0.0000214", "75.2".
std::string measured_seconds(double seconds);

// Three significant digits and an SI prefix, ready for a unit: "3.50 M", "412 k", "17.0 ".
std::string with_si_prefix(double value);

}  // namespace parcompute::cli
