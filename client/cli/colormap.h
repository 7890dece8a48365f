// Colour maps: a number from 0 to 1 becomes a colour.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace parcompute::cli {

struct Rgb {
  std::uint8_t red = 0, green = 0, blue = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

// hot: black, red, yellow, white, as matplotlib defines it. viridis: evenly rising lightness, also for eyes
// that see fewer colours. gray: black to white.
enum class Colormap { kHot, kViridis, kGray };

inline constexpr std::array<std::string_view, 3> kColormapNames{"hot", "viridis", "gray"};
std::optional<Colormap> colormap_from_name(std::string_view name);

// Below 0 is as 0, above 1 as 1.
Rgb color(Colormap map, double t);

}  // namespace parcompute::cli
