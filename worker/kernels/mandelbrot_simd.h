// Escape counts of a run of grid points, by the instruction set in use.
#pragma once

#include <cstdint>
#include <functional>

#include "worker/kernels/linspace.h"

namespace parcompute {

struct MandelbrotGrid {
  Linspace x;  // axis 0
  Linspace y;  // axis 1
  std::uint64_t ny;
  std::uint64_t max_iter;
};

// Writes the counts of the points [first, first + count), numbered in C order, to counts[0 .. count).
void mandelbrot_counts(const MandelbrotGrid& grid, std::uint64_t first, std::uint64_t count,
                       std::int64_t* counts);
// The same of as many points as `more` says, which is asked how many come next, until that is 0: then those that are on their way are ended.
void mandelbrot_counts(const MandelbrotGrid& grid, std::uint64_t first, const std::function<std::uint64_t()>& more, std::int64_t* counts);

}  // namespace parcompute
