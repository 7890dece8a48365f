#include "common/base/units.h"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace parcompute {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array<Unit, 18> kUnits{{
    {"", 1},
    {"B", 1},
    {"k", 1024.},
    {"K", 1024.},
    {"KiB", 1024.},
    {"kB", 1e3},
    {"KB", 1e3},
    {"M", 0x1p20},
    {"MiB", 0x1p20},
    {"MB", 1e6},
    {"m", 0x1p20},
    {"G", 0x1p30},
    {"GiB", 0x1p30},
    {"GB", 1e9},
    {"g", 0x1p30},
    {"T", 0x1p40},
    {"TiB", 0x1p40},
    {"TB", 1e12},
}};

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto refuse = [&] {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not a size: write a number and a unit, such as 512MiB or 1.5G", text));
  };
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || text.empty() || text.front() == '-' || !std::isfinite(number)) return refuse();
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    if (known.name != unit) continue;
    const double bytes = number * known.bytes;
    if (bytes >= 0x1p63) return refuse();
    return static_cast<std::uint64_t>(bytes);
  }
  return refuse();
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < kKiB) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::string_view unit = "B";
  for (std::string_view next : {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}) {
    // What would be rounded to 1024.0 is 1.0 of the next unit.
    if (value < 1023.95) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string format_seconds(double seconds) {
  // The bounds are where rounding would reach 1000.
  if (seconds < 0.99995e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 120) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

}  // namespace parcompute
