#include "common/array/array_mode.h"

#include <array>

#include <fmt/format.h>

#include "common/base/utf8.h"

namespace parcompute {
namespace {

struct ModeWords {
  ArrayMode mode;
  std::string_view name;
  std::string_view octal;
};
constexpr std::array kModes{
    ModeWords{ArrayMode::kPrivate, "private", "600"},
    ModeWords{ArrayMode::kGroupRead, "group-read", "640"},
    ModeWords{ArrayMode::kGroupWrite, "group-write", "660"},
};

}  // namespace

std::optional<ArrayMode> array_mode_from_number(std::uint32_t number) {
  for (const ModeWords& row : kModes)
    if (static_cast<std::uint32_t>(row.mode) == number) return row.mode;
  return std::nullopt;
}

std::string_view name(ArrayMode mode) {
  return kModes[static_cast<std::size_t>(mode)].name;
}

Result<ArrayMode> parse_array_mode(std::string_view text) {
  for (const ModeWords& row : kModes)
    if (text == row.name || text == row.octal || (text.starts_with('0') && text.substr(1) == row.octal)) return row.mode;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no mode of an array: private (600), group-read (640) and group-write (660) are", clip_utf8(text, 64)));
}

}  // namespace parcompute
