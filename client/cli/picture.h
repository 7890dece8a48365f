// Pictures of two-dimensional arrays.
#pragma once

#include <cstdint>
#include <filesystem>

#include "client/cli/colormap.h"
#include "client/cli/elements.h"
#include "common/base/error.h"

namespace parcompute::cli {

// As matplotlib's imshow: rows are axis 0, row 0 on top; the smallest finite value has the map's first colour
// and the largest its last. Infinities are at the ends, NaN is transparent, and an array of one value has the
// first colour. Any dtype but complex.
Result<void> write_image(const std::filesystem::path& file, const Elements& array, Colormap map);

// Escape counts (int64, x on axis 0) as one looks at the complex plane: x to the right, y up. Points that
// never escaped are black. The others are shown by the logarithm of their count, for most counts are tiny and
// the few large ones lie in a thin seam.
Result<void> write_mandelbrot(const std::filesystem::path& file, const Elements& counts,
                              std::int64_t max_iter, Colormap map);

}  // namespace parcompute::cli
