#include "client/cli/array_text.h"

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "client/cli/element_format.h"
#include "client/cli/number_text.h"

namespace parcompute::cli {
namespace {

constexpr std::size_t kLineWidth = 75;
constexpr std::int64_t kEdgeItems = 3;

// The first line's indent makes room for the bracket of its caller.
std::string in_brackets(const std::string& text, std::size_t indent) {
  std::string out(1, '[');
  out.append(text, indent).push_back(']');
  return out;
}

// Walks an array the way NumPy prints it; `element` makes an element's text.
class Layout {
 public:
  using Element = std::function<std::string(const std::byte*)>;
  Layout(const Elements& array, Element element) : array_(array), element_(std::move(element)) {}

  // `indent` spaces stand before every line but the first; `width` columns are left for a line.
  std::string axis(std::size_t axis, const std::byte* at, std::size_t indent, std::size_t width) const {
    return axis + 1 == array_.ndim() ? row(at, indent, width) : stack(axis, at, indent, width);
  }

  // Calls visit(i) for the items of an axis that are shown, and gap() once for those that are not.
  template <class Visit, class Gap>
  static void each_shown(const Elements& array, std::size_t axis, const Visit& visit, const Gap& gap) {
    const std::int64_t n = array.shape[axis];
    const bool summary = array.size() > kSummaryThreshold && 2 * kEdgeItems < n;
    for (std::int64_t i = 0; i < (summary ? kEdgeItems : n); ++i) visit(i);
    if (!summary) return;
    gap();
    for (std::int64_t i = n - kEdgeItems; i < n; ++i) visit(i);
  }

 private:
  // The last axis: words, wrapped.
  std::string row(const std::byte* at, std::size_t indent, std::size_t width) const {
    const std::string prefix(indent, ' ');
    std::string text;
    std::string line = prefix;
    const auto extend = [&](std::string_view word) {
      if (line.size() + word.size() > width - 1 && line.size() > prefix.size()) {
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
        line = prefix;
      }
      line += word;
    };
    const std::int64_t last = array_.shape.back() - 1;
    each_shown(
        array_, array_.ndim() - 1,
        [&](std::int64_t i) {
          extend(element_(at + i * array_.strides.back()));
          if (i != last) line += ' ';
        },
        [&] {
          extend("...");
          line += ' ';
        });
    text += line;
    return in_brackets(text, indent);
  }

  // Any other axis: its items below each other, with as many empty lines between them as axes below.
  std::string stack(std::size_t axis_number, const std::byte* at, std::size_t indent,
                    std::size_t width) const {
    const std::string prefix(indent, ' ');
    const std::string separator(array_.ndim() - axis_number - 1, '\n');
    const std::int64_t last = array_.shape[axis_number] - 1;
    std::string text;
    each_shown(
        array_, axis_number,
        [&](std::int64_t i) {
          text += prefix + axis(axis_number + 1, at + i * array_.strides[axis_number], indent + 1, width - 1);
          if (i != last) text += separator;
        },
        [&] { text += prefix + "..." + separator; });
    return in_brackets(text, indent);
  }

  const Elements& array_;
  Element element_;
};

template <class T>
void collect_shown(const Elements& array, std::size_t axis, const std::byte* at, std::vector<T>& out) {
  if (axis == array.ndim()) {
    out.push_back(load<T>(at));
    return;
  }
  Layout::each_shown(
      array, axis,
      [&](std::int64_t i) { collect_shown<T>(array, axis + 1, at + i * array.strides[axis], out); }, [] {});
}

}  // namespace

std::string array_text(const Elements& array) {
  if (array.size() == 0) return "[]";
  return visit_dtype(array.dtype, [&]<class T>(T) -> std::string {
    if (array.ndim() == 0) return element_repr(load<T>(array.data));
    std::vector<T> shown;
    collect_shown<T>(array, 0, array.data, shown);
    const ElementFormat<T> format(shown);
    return Layout(array, [&](const std::byte* at) { return format(load<T>(at)); })
        .axis(0, array.data, 1, kLineWidth);
  });
}

}  // namespace parcompute::cli
