#include "common/array/npy_literal.h"

#include <charconv>

#include <fmt/format.h>

namespace parcompute {
namespace {

constexpr std::size_t kMaxPrintable = 40;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

tl::unexpected<Error> refuse(std::string clause) {
  return fail(ErrorCode::kBadData, std::move(clause));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<NpyDict> dict();

 private:
  Result<void> value(std::string_view key);
  Result<std::string> string();
  Result<bool> boolean();
  Result<Dims> shape();
  Result<std::int64_t> dimension();

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  void skip_space() {
    while (!at_end() && is_space(peek())) ++at_;
  }
  // Skips white space, too.
  bool take(char c) {
    skip_space();
    if (at_end() || peek() != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  tl::unexpected<Error> expected(std::string_view what) const {
    const std::string found =
        at_end() ? "its end" : fmt::format("'{}'", npy_printable(text_.substr(at_, 12)));
    return refuse(fmt::format("has {} at byte {} where {} belongs", found, at_, what));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  NpyDict dict_;
  bool has_descr_ = false, has_order_ = false, has_shape_ = false;
};

Result<NpyDict> Parser::dict() {
  if (!take('{')) return expected("'{'");
  while (!take('}')) {
    skip_space();
    auto key = string();
    if (!key) return fail(key.error());
    if (!take(':')) return expected("':'");
    skip_space();
    if (auto ok = value(*key); !ok) return fail(ok.error());
    if (take(',')) continue;
    if (!take('}')) return expected("',' or '}'");
    break;
  }
  skip_space();
  if (!at_end()) return expected("its end");
  const std::string_view missing = !has_descr_   ? "descr"
                                   : !has_order_ ? "fortran_order"
                                   : !has_shape_ ? "shape"
                                                 : "";
  if (!missing.empty()) return refuse(fmt::format("lacks '{}'", missing));
  return std::move(dict_);
}

Result<void> Parser::value(std::string_view key) {
  const auto once = [&](bool& seen) -> Result<void> {
    if (seen) return refuse(fmt::format("names '{}' twice", key));
    seen = true;
    return {};
  };
  const auto store = [](auto parsed, auto& into) -> Result<void> {
    if (!parsed) return fail(parsed.error());
    into = *std::move(parsed);
    return {};
  };
  if (key == "descr") {
    if (auto ok = once(has_descr_); !ok) return ok;
    if (peek() == '[' || peek() == '(')
      return refuse(
          "describes elements of several fields; save one field alone: numpy.save(path, a['field'])");
    return store(string(), dict_.descr);
  }
  if (key == "fortran_order") {
    if (auto ok = once(has_order_); !ok) return ok;
    return store(boolean(), dict_.fortran_order);
  }
  if (key == "shape") {
    if (auto ok = once(has_shape_); !ok) return ok;
    return store(shape(), dict_.shape);
  }
  return refuse(fmt::format("has an entry '{}', which no .npy header has", npy_printable(key)));
}

Result<std::string> Parser::string() {
  const char quote = peek();
  if (at_end() || (quote != '\'' && quote != '"')) return expected("a string");
  ++at_;
  std::string out;
  while (!at_end() && peek() != quote) {
    char c = peek();
    if (c == '\n' || c == '\0') return expected("a string's end");
    if (c == '\\') {
      ++at_;
      c = peek();
      // Names that need more than these are no names of ours.
      if (c != '\\' && c != '\'' && c != '"') return expected("a backslash or a quote");
    }
    out.push_back(c);
    ++at_;
  }
  if (at_end()) return expected("a string's end");
  ++at_;
  return out;
}

Result<bool> Parser::boolean() {
  if (take_word("True")) return true;
  if (take_word("False")) return false;
  return expected("True or False");
}

Result<Dims> Parser::shape() {
  if (!take('(')) return expected("a tuple of dimensions");
  Result<Dims> dims(tl::in_place);
  bool comma = true;
  while (!take(')')) {
    if (!comma) return expected("',' or ')'");
    skip_space();
    const auto dim = dimension();
    if (!dim) return fail(dim.error());
    if (dims->size() == kMaxDims) return refuse(fmt::format("has more than {} dimensions", kMaxDims));
    dims->push_back(*dim);
    comma = take(',');
  }
  // (5) is a number in brackets, not a tuple.
  if (dims->size() == 1 && !comma) return refuse("has a shape that is no tuple: a comma is missing");
  return dims;
}

Result<std::int64_t> Parser::dimension() {
  if (peek() == '-') return refuse("has a negative dimension");
  const std::string_view rest = text_.substr(at_);
  std::size_t digits = 0;
  while (digits < rest.size() && is_digit(rest[digits])) ++digits;
  if (digits == 0 || (digits > 1 && rest.front() == '0')) return expected("a dimension");
  std::int64_t dim = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, dim);
  if (error != std::errc{})
    return refuse(
        fmt::format("has a dimension of {}, which is too large", npy_printable(rest.substr(0, digits))));
  at_ += digits;
  // Python 2 wrote its long integers so.
  if (peek() == 'L') ++at_;
  return dim;
}

}  // namespace

std::string npy_printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMaxPrintable)) out.push_back(c >= ' ' && c <= '~' ? c : '?');
  if (text.size() > kMaxPrintable) out.append("...");
  return out;
}

Result<NpyDict> parse_npy_dict(std::string_view text) {
  return Parser(text).dict();
}

}  // namespace parcompute
