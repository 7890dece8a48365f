// A call's arguments, found by their places and names, as Python does. Internal to common/expression.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/expression/syntax.h"

namespace parcompute::expression {

// NumPy's name, and another one of NumPy's for the same ("a_min", "min").
struct Parameter {
  std::string_view name;
  std::string_view other_name = {};
  bool by_name_alone = false;
};

// The first argument is the array: it has a place and no name. Then one entry for each parameter, empty where it is not given.
// Whatever does not fit is refused, with its column: no argument is passed over.
struct BoundArguments {
  NodeId array = 0;
  std::vector<std::optional<NodeId>> others;
};
Result<BoundArguments> bind_arguments(const Syntax& syntax, const Node& call, std::span<const Parameter> parameters);

}  // namespace parcompute::expression
