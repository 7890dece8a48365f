// The names that an expression may call. Internal to common/expression.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/expression/op.h"

namespace parcompute::expression {

// Functions that are one op, under NumPy's names and their aliases.
struct ElementFunction {
  std::string_view name;
  Op op;
};
// Null where no op has the name.
const ElementFunction* find_element_function(std::string_view name);
std::vector<std::string> element_function_names();

}  // namespace parcompute::expression
