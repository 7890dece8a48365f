// A floating point number's shortest decimal digits, apart from how they are laid out.
#pragma once

#include <string>

namespace parcompute::cli {

// value = (negative ? -1 : 1) * 0.DIGITS * 10^point; for 0, "0" and 1.
struct Digits {
  bool negative = false;
  std::string digits;  // no leading or trailing zeros
  int point = 0;       // how many digits stand left of the decimal point; may be negative
};

// For finite values.
Digits shortest_digits(double value);
Digits shortest_digits(float value);

}  // namespace parcompute::cli
