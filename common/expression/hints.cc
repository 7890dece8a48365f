#include "common/expression/hints.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

namespace parcompute::expression {
namespace {

// Longer symbols before their beginnings.
constexpr std::array<Hint, 18> kSymbols{{
    {"&&", "write '&', with each comparison in parentheses"},
    {"||", "write '|', with each comparison in parentheses"},
    {"=", "write '==' to compare; where the result goes is said outside of the expression"},
    {"!", "write '~' to negate"},
    {"@", "products are operations of their own: run matmul, dot or vecdot"},
    {"?", "write 'where(condition, x, y)'"},
    {"\"", "there are no strings; a dtype is written as it is: float32"},
    {"'", "there are no strings; a dtype is written as it is: float32"},
    {";", "an expression is one value"},
    // What text processors and other notations make of operators.
    {"−", "write '-'"},
    {"–", "write '-'"},
    {"×", "write '*'"},
    {"·", "write '*'"},
    {"÷", "write '/'"},
    {"≤", "write '<='"},
    {"≥", "write '>='"},
    {"²", "write '**2'"},
    {"π", "write 'pi'"},
}};

constexpr std::array<Hint, 7> kWords{{
    {"and", "write '&', with each comparison in parentheses"},
    {"or", "write '|', with each comparison in parentheses"},
    {"not", "write '~'"},
    {"if", "write 'where(condition, x, y)'"},
    {"is", "write '=='"},
    {"in", "write '==', joined by '|'"},
    {"lambda", "functions cannot be made here"},
}};

constexpr std::string_view kViewsBelongToNames = "views belong to arrays' names: write x.T + y.T, not (x + y).T";
constexpr std::string_view kInfoTells = "'array info' tells it";
constexpr std::string_view kSizeTells = "the first axis of two has x[:, 0].size elements, all of them x.size";

constexpr std::array<Hint, 5> kAttributes{{
    {"npy", "a file stands for a name that is bound to it: 'f + 1' f=FILE.npy; or attach it first"},
    {"T", kViewsBelongToNames},
    {"mT", kViewsBelongToNames},
    {"shape", kSizeTells},
    {"dtype", kInfoTells},
}};

// Behind "unknown function ...".
constexpr std::array<Hint, 58> kFunctions{{
    {"matmul", "an operation of its own: run matmul"},
    {"dot", "an operation of its own: run dot"},
    {"vdot", "an operation of its own: run vecdot"},
    {"vecdot", "an operation of its own: run vecdot"},
    {"inner", "an operation of its own: run vecdot"},
    {"outer", "an operation of its own: run outer"},
    {"sort", "an operation of its own: run sort"},
    {"argsort", "an operation of its own: run argsort"},
    {"cumsum", "an operation of its own: run cumsum"},
    {"cumprod", "an operation of its own: run cumprod"},
    {"unique", "an operation of its own: run unique"},
    {"searchsorted", "an operation of its own: run searchsorted"},
    {"take", "an operation of its own: run take"},
    {"compress", "an operation of its own: run compress"},
    {"bincount", "an operation of its own: run bincount"},
    {"histogram", "an operation of its own: run histogram"},
    {"percentile", "an operation of its own: run percentile"},
    {"quantile", "an operation of its own: run percentile"},
    {"median", "an operation of its own: run percentile"},
    {"concatenate", "an operation of its own: run concatenate"},
    {"concat", "an operation of its own: run concatenate"},
    {"stack", "an operation of its own: run stack"},
    {"random", "an operation of its own: run random"},
    {"uniform", "an operation of its own: run random"},
    {"normal", "an operation of its own: run random"},
    {"exponential", "an operation of its own: run random"},
    {"integers", "an operation of its own: run random"},
    {"zeros", "a command: array create"},
    {"ones", "a command: array create"},
    {"full", "a command: array create"},
    {"arange", "a command: array arange"},
    {"linspace", "a command: array linspace"},
    {"eye", "a command: array eye"},
    {"copy", "a command: array copy"},
    {"transpose", kViewsBelongToNames},
    {"reshape", "views belong to arrays' names: write x.reshape(4, -1)"},
    {"ravel", "views belong to arrays' names: write x.reshape(-1)"},
    {"flatten", "views belong to arrays' names: write x.reshape(-1)"},
    {"squeeze", "views belong to arrays' names: write x[0], x[:, 0], ..."},
    {"expand_dims", "views belong to arrays' names: write x[None], x[:, None], ..."},
    {"diff", "a subtraction of views: write x[1:] - x[:-1]"},
    {"average", "write mean(...)"},
    {"ln", "write log(...)"},
    {"sgn", "write sign(...)"},
    {"int", "write int64(...)"},
    {"float", "write float64(...)"},
    {"complex", "write complex128(...), or x + 1j * y"},
    {"bool_", "write bool(...)"},
    {"float16", "there is no float16: write float32(...)"},
    {"float128", "the widest float is float64"},
    {"longdouble", "the widest float is float64"},
    {"len", kSizeTells},
    {"shape", kSizeTells},
    {"isclose", "write abs(x - y) <= 1e-8 + 1e-5 * abs(y)"},
    {"allclose", "write all(abs(x - y) <= 1e-8 + 1e-5 * abs(y))"},
    {"isin", "write (x == 1) | (x == 2)"},
    {"str", "there are no strings"},
    {"array_equal", "write all(x == y)"},
}};

constexpr std::array<Hint, 3> kNames{{
    {"None", "it stands for an axis or a bound that is not given, and in brackets for a new axis; write isnan(x) to look for NaN"},
    {"newaxis", "it stands in brackets behind a name: x[:, None]"},
    {"NULL", "write isnan(x) to look for NaN"},
}};

constexpr std::array<std::string_view, 8> kModules{"np", "numpy", "math", "cmath", "scipy", "cp", "jnp", "torch"};

std::optional<std::string_view> find(std::span<const Hint> rows, std::string_view word) {
  for (const Hint& row : rows)
    if (row.text == word) return row.hint;
  return std::nullopt;
}

}  // namespace

const Hint* find_symbol_hint(std::string_view text) {
  for (const Hint& row : kSymbols)
    if (text.starts_with(row.text)) return &row;
  return nullptr;
}

std::string index_hint(std::string_view name, std::string_view view) {
  const std::size_t open = view.find('[');
  if (open == std::string_view::npos) return {};
  const std::string_view inside = view.substr(open + 1, view.find(']', open) - open - 1);
  if (inside.find_first_of("<>=!~&|") != std::string_view::npos) return fmt::format("; elements where a mask is true: run compress {} MASK", name);
  // An array of indices, a list of them, or a call that makes one.
  for (std::string_view rest = inside; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    item.remove_prefix(std::min(item.find_first_not_of(" \t"), item.size()));
    const bool has_word = item.find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_[(") != std::string_view::npos;
    if (has_word && item.find(':') == std::string_view::npos && !item.starts_with("None") && !item.starts_with("newaxis"))
      return fmt::format("; elements by an array of indices: run take {} INDICES", name);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return {};
}

std::optional<std::string_view> word_hint(std::string_view word) {
  return find(kWords, word);
}
std::optional<std::string_view> attribute_hint(std::string_view word) {
  return find(kAttributes, word);
}
std::optional<std::string_view> function_hint(std::string_view word) {
  return find(kFunctions, word);
}
std::optional<std::string_view> name_hint(std::string_view word) {
  return find(kNames, word);
}

bool is_module(std::string_view word) {
  return std::find(kModules.begin(), kModules.end(), word) != kModules.end();
}

}  // namespace parcompute::expression
