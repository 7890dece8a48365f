#include "common/expression/arguments.h"

#include <algorithm>

#include <fmt/format.h>

namespace parcompute::expression {
namespace {

// "axis, keepdims and ddof are there"
std::string known_names(std::span<const Parameter> parameters) {
  std::string text;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (i > 0) text += i + 1 == parameters.size() ? " and " : ", ";
    text += parameters[i].name;
  }
  return text + (parameters.size() == 1 ? " is there" : " are there");
}

std::string too_many(const Node& call, std::span<const Parameter> parameters, std::size_t places) {
  if (std::none_of(parameters.begin(), parameters.end(), [](const Parameter& parameter) { return parameter.by_name_alone; })) {
    const std::size_t most = 1 + parameters.size();
    return fmt::format("'{}' takes 1 {} {} arguments, not {}", call.text, most == 2 ? "or" : "to", most, places);
  }
  std::string names;
  for (const Parameter& parameter : parameters) names += fmt::format("{}{}=...", names.empty() ? "" : ", ", parameter.name);
  return fmt::format("'{}' takes one array and then {} by name", call.text, names);
}

}  // namespace

Result<BoundArguments> bind_arguments(const Syntax& syntax, const Node& call, std::span<const Parameter> parameters) {
  if (call.arguments.empty() || !call.arguments[0].name.empty()) return fail_at(call.column, fmt::format("'{}' takes the array first", call.text));
  BoundArguments bound{call.arguments[0].value, std::vector<std::optional<NodeId>>(parameters.size())};
  const auto places = static_cast<std::size_t>(
      std::count_if(call.arguments.begin(), call.arguments.end(), [](const Argument& argument) { return argument.name.empty(); }));
  for (std::size_t i = 1; i < call.arguments.size(); ++i) {
    const Argument& argument = call.arguments[i];
    std::size_t which = i - 1;
    if (argument.name.empty()) {
      if (which >= parameters.size() || parameters[which].by_name_alone) return fail_at(call.column, too_many(call, parameters, places));
    } else {
      const auto found = std::find_if(parameters.begin(), parameters.end(),
                                      [&](const Parameter& parameter) { return parameter.name == argument.name || parameter.other_name == argument.name; });
      if (found == parameters.end())
        return fail_at(syntax.nodes[argument.value].column, fmt::format("'{}' takes no argument '{}' ({})", call.text, argument.name, known_names(parameters)));
      which = static_cast<std::size_t>(found - parameters.begin());
    }
    if (bound.others[which]) return fail_at(syntax.nodes[argument.value].column, fmt::format("'{}' is given {} twice", call.text, parameters[which].name));
    bound.others[which] = argument.value;
  }
  return bound;
}

}  // namespace parcompute::expression
