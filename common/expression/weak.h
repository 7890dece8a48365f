// Numbers without a dtype of their own, as Python's literals are beside arrays (NumPy's NEP 50). Internal to common/expression.
#pragma once

#include <complex>
#include <optional>
#include <string_view>
#include <variant>

#include "common/expression/program.h"

namespace parcompute::expression {

// Whole numbers stay exact: what leaves 64 bits is an error when it takes a dtype.
__extension__ using Integer = __int128;
using Weak = std::variant<Integer, double, std::complex<double>>;

// Python's arithmetic. Fails with a sentence without a column.
Result<Weak> fold_unary(std::string_view sign, const Weak& x);
Result<Weak> fold_binary(Op op, const Weak& x, const Weak& y);
// Comparisons, which answer a truth; nothing for other ops.
std::optional<bool> fold_comparison(Op op, const Weak& x, const Weak& y);

// The dtype of a weak number beside `strong`, or, without one, alone.
DType dtype_beside(const Weak& x, std::optional<DType> strong);
// A whole number in an integer dtype's range.
bool fits(Integer x, DType dtype);
// The number as an element. Fails where a whole number does not fit.
Result<ElementBytes> element_of(const Weak& x, DType dtype);

}  // namespace parcompute::expression
