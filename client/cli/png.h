// Writes PNG files: 8 bits, red, green, blue, and alpha where it is asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "common/base/error.h"

namespace parcompute::cli {

struct PngSize {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  bool alpha = false;

  std::size_t row_bytes() const { return std::size_t{width} * (alpha ? 4 : 3); }
};

// libpng's own limit for each side.
inline constexpr std::uint32_t kMaxPngSide = 1'000'000;

// Calls fill_row(y, row) for y = 0, the top, to height - 1; only one row is held at a time. The file appears
// whole, or not at all.
Result<void> write_png(const std::filesystem::path& file, const PngSize& size,
                       const std::function<void(std::uint32_t y, std::span<std::uint8_t> row)>& fill_row);

}  // namespace parcompute::cli
