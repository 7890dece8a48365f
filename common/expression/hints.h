// What people write who come from another language, or from the rest of NumPy, and what to write here instead: the words in
// errors, the command line's among them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace parcompute::expression {

struct Hint {
  std::string_view text;
  std::string_view hint;
};

// Of a symbol that the text begins with; null where there is nothing to say.
const Hint* find_symbol_hint(std::string_view text);
// Of words that are operators elsewhere: "and", "if", ...
std::optional<std::string_view> word_hint(std::string_view word);
// Of x.word, where it is no method.
std::optional<std::string_view> attribute_hint(std::string_view word);
// Of word(...), where there is no such function.
std::optional<std::string_view> function_hint(std::string_view word);
// "; elements where a mask is true: run compress": of brackets behind a name that hold what is no index. Empty where there is
// nothing to say.
std::string index_hint(std::string_view name, std::string_view view);
// Of a name that stands for nothing.
std::optional<std::string_view> name_hint(std::string_view word);

// np.sqrt(x), math.pi: names stand without their module here.
bool is_module(std::string_view word);

}  // namespace parcompute::expression
