// Escape counts of a run of grid points, by the instruction set in use.
#pragma once

#include <cstdint>

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

}  // namespace parcompute
