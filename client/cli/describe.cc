#include "client/cli/describe.h"

#include <algorithm>

#include <fmt/format.h>

#include "client/cli/text_width.h"
#include "common/array/array_spec.h"

namespace parcompute::cli {

Value describe_error(std::string_view code, std::string_view message, int exit_code) {
  return {{"error", {{"code", code}, {"message", message}, {"exit_code", exit_code}}}};
}

std::string array_label(const ArrayInfo& array) {
  const std::string spec = fmt::format("{}, {}", name(array.dtype), format_shape(array.shape));
  return array.name.empty() ? spec : fmt::format("'{}' ({})", array.name, spec);
}

std::string table(const std::vector<std::vector<std::string>>& rows, const std::vector<std::size_t>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - columns_of(row[i]), ' ');
      if (i > 0) line += "  ";
      const bool to_the_right = std::find(right.begin(), right.end(), i) != right.end();
      line += to_the_right ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace parcompute::cli
