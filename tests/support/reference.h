// What jobs must answer, computed in the plainest way.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "client/cpp/parcompute.h"

namespace parcompute::testing {

template <class T>
Scalar scalar_of(T value) {
  Scalar made;
  made.dtype = dtype_of<T>();
  std::memcpy(made.bytes.data(), &value, sizeof value);
  return made;
}

// numpy.linspace(start, stop, count).
inline std::vector<double> linspace(double start, double stop, std::uint64_t count) {
  std::vector<double> points(count);
  const double step = count > 1 ? (stop - start) / static_cast<double>(count - 1) : 0;
  for (std::uint64_t i = 0; i < count; ++i) points[i] = static_cast<double>(i) * step + start;
  if (count > 1) points.back() = stop;
  return points;
}

inline std::vector<std::int64_t> escape_counts(const Mandelbrot& grid) {
  const auto xs = linspace(grid.x_min, grid.x_max, grid.nx);
  const auto ys = linspace(grid.y_min, grid.y_max, grid.ny);
  std::vector<std::int64_t> counts;
  for (const double cx : xs) {
    for (const double cy : ys) {
      double x = 0;
      double y = 0;
      std::uint64_t count = 0;
      while (count < grid.max_iter && x * x + y * y <= 4) {
        const double next = (x * x - y * y) + cx;
        y = 2 * (x * y) + cy;
        x = next;
        ++count;
      }
      counts.push_back(static_cast<std::int64_t>(count));
    }
  }
  return counts;
}

// Small whole numbers: every sum of their products is exact, in any order.
template <class T>
void fill_with_small_numbers(std::span<T> values, unsigned seed) {
  std::minstd_rand random(seed);
  for (T& value : values) value = static_cast<T>(static_cast<int>(random() % 15) - 7);
}

// Of every magnitude and both signs: sums of them depend on their order.
template <class T>
void fill_with_rough_numbers(std::span<T> values, unsigned seed) {
  std::minstd_rand random(seed);
  std::normal_distribution<double> normal;
  for (T& value : values) value = static_cast<T>(normal(random) * static_cast<double>(1u << (random() % 20)));
}

// Row-major m x k by k x n.
template <class T>
std::vector<T> product(std::span<const T> a, std::span<const T> b, std::size_t m, std::size_t k,
                       std::size_t n) {
  std::vector<T> c(m * n);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < k; ++j)
      for (std::size_t l = 0; l < n; ++l) c[i * n + l] += a[i * k + j] * b[j * n + l];
  return c;
}

}  // namespace parcompute::testing
