#include "common/expression/syntax.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "common/base/utf8.h"
#include "common/expression/hints.h"

namespace parcompute {
namespace {

using namespace expression;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct BinaryRow {
  std::string_view text;
  int precedence;
};
// Longer operators before their beginnings. ** is apart: it binds to the right.
constexpr int kComparison = 1, kUnary = 8;
constexpr std::array<BinaryRow, 18> kBinaries{{
    {"==", kComparison}, {"!=", kComparison}, {"<=", kComparison}, {">=", kComparison}, {"<<", 5}, {">>", 5}, {"//", 7}, {"**", 9},
    {"<", kComparison}, {">", kComparison}, {"|", 2}, {"^", 3}, {"&", 4}, {"+", 6}, {"-", 6}, {"*", 7}, {"/", 7}, {"%", 7},
}};

// A parser's steps answer nodes; the first error ends it.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Syntax> parse() {
    const auto root = expression(kComparison);
    if (!root) return fail(root.error());
    skip_blanks();
    if (at_ < text_.size()) return unexpected_here();
    syntax_.root = *root;
    return std::move(syntax_);
  }

 private:
  using Parsed = Result<NodeId>;

  std::uint32_t column(std::size_t at) const {
    // In letters, not bytes.
    const auto is_first = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return static_cast<std::uint32_t>(std::count_if(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(std::min(at, text_.size())), is_first) + 1);
  }
  std::uint32_t here() const { return column(at_); }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool take(char c) {
    skip_blanks();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  std::string_view word_here() const {
    std::size_t end = at_;
    while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
    return text_.substr(at_, end - at_);
  }

  tl::unexpected<Error> unexpected_here() const {
    if (at_ >= text_.size()) return fail_at(here(), "the expression ends too early");
    const std::string_view rest = text_.substr(at_);
    if (const Hint* row = find_symbol_hint(rest)) return fail_at(here(), fmt::format("unexpected '{}' ({})", row->text, row->hint));
    if (const std::string_view word = word_here(); !word.empty()) {
      if (const auto hint = word_hint(word)) return fail_at(here(), fmt::format("unexpected '{}' ({})", word, *hint));
      return fail_at(here(), fmt::format("unexpected '{}'", word));
    }
    std::size_t letter = 1;
    while (letter < rest.size() && (static_cast<unsigned char>(rest[letter]) & 0xC0) == 0x80) ++letter;
    const std::string_view found = rest.substr(0, letter);
    // Names of arrays may hold any letters.
    if (letter > 1) return fail_at(here(), fmt::format("unexpected '{}' (an array whose name holds other letters than a to z is bound: 'x + 1' x=NAME)", found));
    return fail_at(here(), fmt::format("unexpected '{}'", found));
  }

  NodeId add(Node node) {
    syntax_.nodes.push_back(std::move(node));
    return static_cast<NodeId>(syntax_.nodes.size() - 1);
  }

  const BinaryRow* binary_here() {
    skip_blanks();
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("&&") || rest.starts_with("||")) return nullptr;
    for (const BinaryRow& row : kBinaries)
      if (rest.starts_with(row.text)) return &row;
    return nullptr;
  }

  tl::unexpected<Error> too_deep() const { return fail_at(here(), fmt::format("the expression is nested more than {} deep", kMaxExpressionDepth)); }

  Parsed expression(int least) {
    if (++depth_ > kMaxExpressionDepth) return too_deep();
    auto left = operand();
    bool compared = false;
    while (left) {
      const BinaryRow* row = binary_here();
      if (row == nullptr || row->precedence < least) break;
      const std::size_t start = at_;
      if (row->precedence == kComparison && std::exchange(compared, true))
        return fail_at(here(), "comparisons of arrays cannot be chained: write (a < b) & (b < c)");
      at_ += row->text.size();
      // ** takes what stands right of it first, signs included.
      auto right = expression(row->text == "**" ? kUnary : row->precedence + 1);
      if (!right) return right;
      left = add({Node::Kind::kBinary, column(start), std::string(row->text), {}, 0, 0, *left, *right, {}});
    }
    --depth_;
    return left;
  }

  Parsed operand() {
    skip_blanks();
    const char c = peek();
    if (c == '-' || c == '+' || c == '~') {
      const std::uint32_t start = here();
      ++at_;
      auto inner = expression(kUnary);
      if (!inner) return inner;
      return add({Node::Kind::kUnary, start, std::string(1, c), {}, 0, 0, *inner, 0, {}});
    }
    return methods(primary());
  }

  Parsed primary() {
    skip_blanks();
    if (is_digit(peek()) || (peek() == '.' && is_digit(peek(1)))) return number();
    if (is_letter(peek())) return name_or_call();
    if (peek() == '(') return parenthesized();
    if (peek() == '[') return fail_at(here(), "only an array's name can be followed by '[', and lists cannot be written here");
    return unexpected_here();
  }

  // Functions that are attributes, too.
  static bool is_attribute(std::string_view word) { return word == "real" || word == "imag" || word == "size" || word == "ndim"; }

  // x.sum(axis=0) is sum(x, axis=0); x.real is real(x).
  Parsed methods(Parsed object) {
    for (std::size_t calls = 0; object; ++calls) {
      skip_blanks();
      if (peek() == '[') return fail_at(here(), "only an array's name can be indexed, not what is computed");
      if (peek() != '.' || !is_letter(peek(1))) return object;
      // Each is inside the next one: whoever reads the tree goes down as deep.
      if (depth_ + calls > kMaxExpressionDepth) return too_deep();
      ++at_;
      Node call{Node::Kind::kCall, here(), std::string(word_here()), {}, 0, 0, 0, 0, {{"", *object}}, true};
      at_ += call.text.size();
      if (take('(')) {
        if (auto ok = arguments(call.arguments); !ok) return fail(ok.error());
      } else if (!is_attribute(call.text)) {
        return unknown_attribute(syntax_.nodes[*object], call);
      }
      object = add(std::move(call));
    }
    return object;
  }

  // Behind a word that is no method's. np.pi and np.linalg.norm(x) lead here; np.sqrt(x) looks like a method of an array.
  tl::unexpected<Error> unknown_attribute(const Node& object, const Node& attribute) {
    if (object.kind != Node::Kind::kName || !object.view.empty() || !is_module(object.text)) {
      const auto hint = attribute_hint(attribute.text);
      return fail_at(attribute.column, fmt::format("unknown attribute '.{}'{}", attribute.text, hint ? fmt::format(" ({})", *hint) : ""));
    }
    std::string module = object.text + ".", name = attribute.text;
    while (peek() == '.' && is_letter(peek(1))) {
      ++at_;
      module += name + ".";
      name = word_here();
      at_ += name.size();
    }
    return fail_at(object.column, fmt::format("names stand without '{}': write {}{}", module, name, peek() == '(' ? "(...)" : ""));
  }

  Parsed parenthesized() {
    const std::uint32_t start = here();
    ++at_;
    Node tuple{Node::Kind::kTuple, start, {}, {}, 0, 0, 0, 0, {}};
    bool has_comma = false;
    while (!take(')')) {
      auto inner = expression(kComparison);
      if (!inner) return inner;
      tuple.arguments.push_back({"", *inner});
      skip_blanks();
      if (take(',')) {
        has_comma = true;
      } else if (peek() != ')') {
        return at_ < text_.size() ? Parsed(unexpected_here()) : fail_at(start, "a '(' is never closed; it is");
      }
    }
    if (!has_comma && tuple.arguments.size() == 1) return tuple.arguments[0].value;
    return add(std::move(tuple));
  }

  Result<void> arguments(std::vector<Argument>& into) {
    const std::uint32_t start = column(at_ - 1);
    while (!take(')')) {
      Argument argument;
      const std::size_t before = at_;
      if (is_letter(peek())) {
        const std::string_view word = word_here();
        at_ += word.size();
        skip_blanks();
        if (peek() == '=' && peek(1) != '=') {
          ++at_;
          argument.name = word;
        } else {
          at_ = before;
        }
      }
      auto value = expression(kComparison);
      if (!value) return fail(value.error());
      argument.value = *value;
      if (argument.name.empty() && !into.empty() && !into.back().name.empty())
        return fail_at(column(before), "an argument by position follows one by name");
      for (const Argument& other : into)
        if (!argument.name.empty() && other.name == argument.name) return fail_at(column(before), fmt::format("'{}' is given twice", argument.name));
      into.push_back(std::move(argument));
      skip_blanks();
      if (!take(',') && peek() != ')') return at_ < text_.size() ? unexpected_here() : fail_at(start, "a '(' is never closed; it is");
    }
    return {};
  }

  Parsed name_or_call() {
    Node node{Node::Kind::kName, here(), std::string(word_here()), {}, 0, 0, 0, 0, {}};
    if (word_hint(node.text)) return unexpected_here();
    at_ += node.text.size();
    skip_blanks();
    if (peek() == '(') {
      ++at_;
      node.kind = Node::Kind::kCall;
      if (auto ok = arguments(node.arguments); !ok) return fail(ok.error());
      return add(std::move(node));
    }
    // Steps of a view, taken as they stand; whoever knows the array applies them.
    while (true) {
      skip_blanks();
      const std::string_view rest = text_.substr(at_);
      std::size_t length = 0;
      if (rest.starts_with('[')) {
        const std::size_t close = rest.find(']');
        if (close == std::string_view::npos) return fail_at(here(), "a '[' is never closed; it is");
        length = close + 1;
      } else if (rest.starts_with(".reshape(") || rest.starts_with(".transpose(")) {
        const std::size_t open = rest.find('(');
        const std::size_t inner = rest.find_first_not_of(" \t", open + 1);
        std::size_t close = rest.find(')');
        if (inner != std::string_view::npos && rest[inner] == '(' && close != std::string_view::npos) close = rest.find(')', close + 1);
        if (close == std::string_view::npos) return fail_at(here(), "a '(' is never closed; it is");
        length = close + 1;
      } else if (rest.starts_with(".T") && !(rest.size() > 2 && (is_letter(rest[2]) || is_digit(rest[2])))) {
        length = 2;
      } else {
        return add(std::move(node));
      }
      node.view += rest.substr(0, length);
      at_ += length;
    }
  }

  Parsed number() {
    const std::uint32_t start = here();
    if (peek() == '0' && is_letter(peek(1)) && peek(1) != 'e' && peek(1) != 'E' && peek(1) != 'j' && peek(1) != 'J') return based_integer(start);
    std::string digits;
    bool real = false;
    while (at_ < text_.size()) {
      const char c = peek();
      if (is_digit(c)) {
        digits += c;
      } else if (c == '.' && !real) {
        real = true;
        digits += c;
      } else if ((c == 'e' || c == 'E') && (is_digit(peek(1)) || ((peek(1) == '-' || peek(1) == '+') && is_digit(peek(2))))) {
        real = true;
        digits += c;
        ++at_;
        if (peek() != '+') digits += peek();
        for (++at_; is_digit(peek()); ++at_) digits += peek();
        break;
      } else if (c != '_' || !is_digit(peek(1))) {
        break;
      }
      ++at_;
    }
    Node node{Node::Kind::kInteger, start, {}, {}, 0, 0, 0, 0, {}};
    if (peek() == 'j' || peek() == 'J') {
      ++at_;
      node.kind = Node::Kind::kImaginary;
    } else if (real) {
      node.kind = Node::Kind::kReal;
    }
    if (is_letter(peek())) return unexpected_here();
    const char* const first = digits.data();
    const char* const last = first + digits.size();
    if (node.kind == Node::Kind::kInteger) {
      if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos)
        return fail_at(start, "a whole number begins with 0 (write 0o17 for octal numbers)");
      if (std::from_chars(first, last, node.magnitude).ec != std::errc{}) return fail_at(start, "a whole number has more than 64 bits");
    } else {
      // As Python's, too large is inf and too small is 0: long double has the range to tell which.
      long double wide = 0;
      const auto [end, error] = std::from_chars(first, last, wide);
      if (error != std::errc{} || end != last) return fail_at(start, "a number cannot be read, or is beyond 1e4932,");
      if (std::from_chars(first, last, node.number).ec != std::errc{}) node.number = wide > 1 ? HUGE_VAL : 0.0;
    }
    return add(std::move(node));
  }

  Parsed based_integer(std::uint32_t start) {
    const char letter = peek(1);
    const int base = letter == 'x' || letter == 'X' ? 16 : letter == 'o' || letter == 'O' ? 8 : letter == 'b' || letter == 'B' ? 2 : 0;
    if (base == 0) {
      ++at_;
      return unexpected_here();
    }
    at_ += 2;
    std::string digits;
    for (; is_letter(peek()) || is_digit(peek()); ++at_)
      if (peek() != '_') digits += peek();
    Node node{Node::Kind::kInteger, start, {}, {}, 0, 0, 0, 0, {}};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), node.magnitude, base);
    if (error == std::errc::result_out_of_range) return fail_at(start, "a whole number has more than 64 bits");
    if (error != std::errc{} || end != digits.data() + digits.size()) return fail_at(start, "a number cannot be read");
    return add(std::move(node));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  Syntax syntax_;
};

}  // namespace

tl::unexpected<Error> fail_at(std::uint32_t column, std::string_view sentence) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("{} at column {}", sentence, column));
}

Result<Syntax> parse_expression(std::string_view text) {
  if (text.size() > kMaxExpressionBytes)
    return fail(ErrorCode::kInvalidArgument, fmt::format("the expression has {} bytes; at most {} are read", text.size(), kMaxExpressionBytes));
  if (!is_utf8(text)) return fail(ErrorCode::kInvalidArgument, "the expression is not UTF-8 text");
  return Parser(text).parse();
}

std::vector<std::string> names_in(const Syntax& syntax) {
  std::vector<std::string> names;
  for (const Node& node : syntax.nodes)
    if (node.kind == Node::Kind::kName && std::find(names.begin(), names.end(), node.text) == names.end()) names.push_back(node.text);
  return names;
}

}  // namespace parcompute
