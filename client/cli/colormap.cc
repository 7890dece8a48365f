#include "client/cli/colormap.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace parcompute::cli {
namespace {

struct Stop {
  double at;
  double red, green, blue;  // 0 to 255
};

// Red rises first, then green, then blue; the bends are matplotlib's for its map of the same name.
constexpr std::array<Stop, 4> kHot{
    {{0, 0.0416 * 255, 0, 0}, {0.365079, 255, 0, 0}, {0.746032, 255, 255, 0}, {1, 255, 255, 255}}};

// The map of that name by van der Walt and Smith, at every eighth of the way.
constexpr std::array<Stop, 9> kViridis{{{0.000, 68, 1, 84},
                                        {0.125, 71, 44, 122},
                                        {0.250, 59, 81, 139},
                                        {0.375, 44, 113, 142},
                                        {0.500, 33, 144, 141},
                                        {0.625, 39, 173, 129},
                                        {0.750, 92, 200, 99},
                                        {0.875, 170, 220, 50},
                                        {1.000, 253, 231, 37}}};

constexpr std::array<Stop, 2> kGray{{{0, 0, 0, 0}, {1, 255, 255, 255}}};

std::span<const Stop> stops(Colormap map) {
  switch (map) {
    case Colormap::kHot:
      return kHot;
    case Colormap::kViridis:
      return kViridis;
    case Colormap::kGray:
      return kGray;
  }
  __builtin_unreachable();
}

}  // namespace

std::optional<Colormap> colormap_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kColormapNames.size(); ++i)
    if (kColormapNames[i] == name) return static_cast<Colormap>(i);
  return std::nullopt;
}

Rgb color(Colormap map, double t) {
  const std::span<const Stop> line = stops(map);
  t = std::clamp(t, 0.0, 1.0);
  std::size_t next = 1;
  while (next + 1 < line.size() && line[next].at < t) ++next;
  const Stop& a = line[next - 1];
  const Stop& b = line[next];
  const double part = (t - a.at) / (b.at - a.at);
  const auto mix = [part](double from, double to) {
    return static_cast<std::uint8_t>(std::lround(from + (to - from) * part));
  };
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

}  // namespace parcompute::cli
