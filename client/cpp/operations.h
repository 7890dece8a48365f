// What a client can ask for: one struct per operation.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "client/cpp/array.h"

namespace parcompute {

// sum, min or max of all elements: integers and float32, float64. Integer sums answer in int64 or uint64 and wrap, as
// NumPy's do; a float32 sum is rounded once, from float64. NaN wins in min and max.
struct Reduce {
  enum class Op { kSum, kMin, kMax };
  Op op = Op::kSum;
  Array a;
};

// np.matmul(a, b) for 2 or more dimensions: float32 or float64, stacks broadcast.
struct Matmul {
  Array a;
  Array b;
};

// Escape counts (int64, shape nx x ny) of z = z^2 + c, c = x + iy on numpy.linspace(x_min, x_max, nx) along axis 0 and
// numpy.linspace(y_min, y_max, ny) along axis 1: how often |z|^2 <= 4 held in at most max_iter steps from z = 0.
struct Mandelbrot {
  std::uint64_t nx = 0;
  std::uint64_t ny = 0;
  double x_min = -2, x_max = 1;
  double y_min = -1.5, y_max = 1.5;
  std::uint64_t max_iter = 0;
};

// Blocks that do nothing: measures dispatch.
struct Nop {
  std::uint64_t blocks = 1;
};

using Operation = std::variant<Reduce, Matmul, Mandelbrot, Nop>;

}  // namespace parcompute
