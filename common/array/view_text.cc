// Views as people write them.
#include <charconv>

#include <fmt/format.h>

#include "common/array/view.h"

namespace parcompute {
namespace {

auto refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<std::int64_t> number_of(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "1, 2" and "(1, 2)" and "1, 2,": the pieces between commas. An empty piece is kept, but for a last one.
std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> all;
  while (true) {
    const std::size_t comma = text.find(',');
    all.push_back(trimmed(text.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (all.back().empty()) all.pop_back();
  return all;
}

Result<Slice> parse_slice(std::string_view text) {
  Slice slice;
  std::optional<std::int64_t>* const parts[] = {&slice.start, &slice.stop, &slice.step};
  std::string_view rest = text;
  for (std::size_t i = 0;; ++i) {
    const std::size_t colon = rest.find(':');
    const std::string_view part = trimmed(rest.substr(0, colon));
    if (!part.empty() && part != "None") {
      const auto number = number_of(part);
      if (!number) return refuse(fmt::format("'{}' in the slice '{}' is no whole number", part, text));
      *parts[i] = *number;
    }
    if (colon == std::string_view::npos) return slice;
    if (i == 2) return refuse(fmt::format("the slice '{}' has too many colons: write start:stop:step", text));
    rest.remove_prefix(colon + 1);
  }
}

Result<std::vector<std::int64_t>> parse_numbers(std::string_view text) {
  if (text.starts_with('(') && text.ends_with(')')) text = text.substr(1, text.size() - 2);
  std::vector<std::int64_t> numbers;
  for (const std::string_view piece : pieces(text)) {
    const auto number = number_of(piece);
    if (!number) return refuse(fmt::format("'{}' is no whole number", piece));
    numbers.push_back(*number);
  }
  return numbers;
}

// One step of a chain: "[...]", ".T", ".reshape(...)", ".transpose(...)". Takes it off the text.
Result<ArraySpec> apply_step(const ArraySpec& spec, std::string_view& text) {
  const auto up_to = [&](char closing) -> std::optional<std::string_view> {
    const std::size_t open = text.find_first_of("[(");
    const std::size_t close = text.find(closing);
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
    const std::string_view inside = text.substr(open + 1, close - open - 1);
    text = trimmed(text.substr(close + 1));
    return inside;
  };
  if (text.starts_with('[')) {
    const auto inside = up_to(']');
    if (!inside) return refuse(fmt::format("'{}' has no closing ']'", text));
    const auto index = parse_index(*inside);
    return index ? indexed(spec, *index) : fail(index.error());
  }
  for (const std::string_view verb : {".reshape(", ".transpose("}) {
    if (!text.starts_with(verb)) continue;
    std::string_view inside = text.substr(verb.size() - 1);
    // A tuple inside the parentheses is one pair of them more.
    const bool tuple = trimmed(inside.substr(1)).starts_with('(');
    std::size_t close = inside.find(')');
    if (tuple && close != std::string_view::npos) close = inside.find(')', close + 1);
    if (close == std::string_view::npos) return refuse(fmt::format("'{}' has no closing ')'", text));
    text = trimmed(inside.substr(close + 1));
    const auto numbers = parse_numbers(trimmed(inside.substr(1, close - 1)));
    if (!numbers) return fail(numbers.error());
    return verb == ".reshape(" ? reshaped(spec, *numbers) : transposed(spec, *numbers);
  }
  if (text.starts_with(".T") && (text.size() == 2 || std::string_view("[. \t").find(text[2]) != std::string_view::npos)) {
    text = trimmed(text.substr(2));
    return transposed(spec);
  }
  return refuse(fmt::format("'{}' is no view: write [10:20, ::-1], .T, .transpose(1, 0) or .reshape(4, -1)", text));
}

}  // namespace

Result<std::vector<IndexItem>> parse_index(std::string_view text) {
  std::vector<IndexItem> index;
  const auto all = pieces(text);
  if (all.empty()) return refuse("an index is empty: write what to take, such as [10:20] or [...]");
  for (const std::string_view piece : all) {
    if (piece == "...") {
      index.emplace_back(Ellipsis{});
    } else if (piece == "None" || piece == "newaxis") {
      index.emplace_back(NewAxis{});
    } else if (piece.find(':') != std::string_view::npos) {
      const auto slice = parse_slice(piece);
      if (!slice) return fail(slice.error());
      index.emplace_back(*slice);
    } else if (const auto number = number_of(piece)) {
      index.emplace_back(*number);
    } else {
      return refuse(fmt::format("'{}' is no index: write a whole number, start:stop:step, ... or None", piece));
    }
  }
  return index;
}

Result<ArraySpec> apply_view(const ArraySpec& spec, std::string_view steps) {
  Result<ArraySpec> view(spec);
  for (std::string_view rest = trimmed(steps); !rest.empty();) {
    view = apply_step(*view, rest);
    if (!view) return view;
  }
  return view;
}

NameAndView split_view(std::string_view text) {
  std::size_t first = text.find('[');
  for (const std::string_view step : {".reshape(", ".transpose("}) first = std::min(first, text.find(step));
  first = std::min(first, text.size());
  while (first > 2 && text.substr(first - 2, 2) == ".T") first -= 2;
  return {text.substr(0, first), text.substr(first)};
}

}  // namespace parcompute
