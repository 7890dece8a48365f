// An expression's text as a tree: Python's expression syntax, as far as arithmetic on arrays needs it.
//
//   expression := comparison of  |  ^  &  << >>  + -  * / // %  unary - + ~  **  (Python's precedence)
//   primary    := number | name view* | name(arguments) | (expression) | (tuple) | primary.method(arguments)
//   view       := [index] | .T | .transpose(...) | .reshape(...)
//
// Names are not looked up here. Every node knows its column, so that errors of the steps behind can point at it, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace parcompute {

// What a person types on one line, with room to spare; one message holds it with its names.
inline constexpr std::size_t kMaxExpressionBytes = 4096;
// Nested parentheses, calls and signs: the parser's own stack.
inline constexpr std::size_t kMaxExpressionDepth = 100;

using NodeId = std::uint32_t;

struct Argument {
  std::string name;  // empty: by position
  NodeId value = 0;
};

struct Node {
  enum class Kind : std::uint8_t {
    kInteger,    // magnitude
    kReal,       // number
    kImaginary,  // number
    kName,       // text; with the steps of a view in `view`
    kUnary,      // text is the sign
    kBinary,     // text is the operator
    kCall,       // text is the function, arguments
    kTuple,      // arguments, all by position
  };
  Kind kind = Kind::kInteger;
  std::uint32_t column = 0;  // 1 is the first letter
  std::string text;
  std::string view;
  std::uint64_t magnitude = 0;
  double number = 0;
  NodeId left = 0, right = 0;
  std::vector<Argument> arguments;
  bool is_method = false;  // of a call: what it is called on is its first argument
};

struct Syntax {
  std::vector<Node> nodes;  // children before parents
  NodeId root = 0;
};

// Fails with kInvalidArgument and a sentence that ends in a column.
Result<Syntax> parse_expression(std::string_view text);

// The names that are no calls, each once, in the order they come; constants and dtypes are among them.
std::vector<std::string> names_in(const Syntax& syntax);

// "... at column 4".
tl::unexpected<Error> fail_at(std::uint32_t column, std::string_view sentence);

}  // namespace parcompute
