// Numbers without a dtype, and the elements that they become.
//
// Arithmetic between them is Python's: exact between integers, else in double precision. A conversion that would lose
// the number's integer part, its fraction or its imaginary part is an error, never a surprise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/array/dtype.h"
#include "common/base/error.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

__extension__ using WideInteger = __int128;

struct Number {
  bool is_integer = true;
  bool is_complex = false;
  WideInteger integer = 0;  // of 64 bits, or a sum of two such
  double real = 0;          // where it is no integer
  double imaginary = 0;

  // The nearest double, as Python's float().
  double as_double() const { return is_integer ? static_cast<double>(integer) : real; }
  bool is_zero() const { return as_double() == 0 && imaginary == 0; }
};

// `what` is what the number is for: "arange's step". NaN and infinity are refused.
Result<Number> number_from_wire(const wire::Number& message, std::string_view what);

Number add(const Number& a, const Number& b);

// "3", "0.5", "1-2j"
std::string format_number(const Number& number);

// That the number is an element of the dtype: for floats up to rounding, else exactly.
Result<void> check_fits(const Number& number, DType dtype, std::string_view what);

// The element. For numbers that fit.
template <class T>
T element_of(const Number& number) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    using Component = typename T::value_type;
    return T(static_cast<Component>(number.as_double()), static_cast<Component>(number.imaginary));
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(number.as_double());
  } else {
    return static_cast<T>(number.is_integer ? number.integer : static_cast<WideInteger>(number.real));
  }
}

// numpy.arange's number of elements: ceil((stop - start) / step), in exact arithmetic where all three are integers
// and in double precision otherwise; 0 where stop lies behind. An error for a step of 0 and for what nobody could
// hold.
Result<std::uint64_t> arange_length(const Number& start, const Number& stop, const Number& step);

}  // namespace parcompute
