#include "client/cli/picture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "client/cli/png.h"
#include "common/array/array_spec.h"

namespace parcompute::cli {
namespace {

// Counts that are looked at to choose the scale.
constexpr std::uint64_t kSample = 1'000'000;

Result<void> check_plane(const Elements& array) {
  if (array.ndim() != 2)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("an image needs an array of two dimensions, and this one is {}",
                            format_shape(array.shape)));
  if (info(array.dtype).kind == Kind::kComplex)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("an image needs real numbers, and this array is {}", name(array.dtype)));
  for (const std::int64_t side : array.shape)
    if (side == 0 || side > kMaxPngSide)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("an image of {} cannot be written: each side has 1 to {} pixels",
                              format_shape(array.shape), kMaxPngSide));
  return {};
}

const std::byte* element(const Elements& array, std::int64_t i, std::int64_t j) {
  return array.data + i * array.strides[0] + j * array.strides[1];
}

// The range of the finite values, and whether a NaN is among the others.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool nan = false;

  // 0 to 1; differences of huge values do not overflow.
  double place(double value) const {
    if (!(low < high)) return value > high ? 1 : 0;
    return std::isinf(value) ? (value > 0 ? 1 : 0) : (value / 2 - low / 2) / (high / 2 - low / 2);
  }
};

template <class T>
Range find_range(const Elements& array) {
  Range range;
  for (std::int64_t i = 0; i < array.shape[0]; ++i)
    for (std::int64_t j = 0; j < array.shape[1]; ++j) {
      const auto value = static_cast<double>(load<T>(element(array, i, j)));
      if (std::isnan(value)) range.nan = true;
      if (!std::isfinite(value)) continue;
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  return range;
}

void put(std::uint8_t*& at, Rgb rgb) {
  *at++ = rgb.red;
  *at++ = rgb.green;
  *at++ = rgb.blue;
}

template <class T>
Result<void> write_real(const std::filesystem::path& file, const Elements& array, Colormap map) {
  const Range range = find_range<T>(array);
  const PngSize size{static_cast<std::uint32_t>(array.shape[1]), static_cast<std::uint32_t>(array.shape[0]),
                     range.nan};
  return write_png(file, size, [&](std::uint32_t y, std::span<std::uint8_t> row) {
    std::uint8_t* at = row.data();
    for (std::uint32_t x = 0; x < size.width; ++x) {
      const auto value = static_cast<double>(load<T>(element(array, y, x)));
      put(at, std::isnan(value) ? Rgb{} : color(map, range.place(value)));
      if (size.alpha) *at++ = std::isnan(value) ? 0 : 255;
    }
  });
}

// From dark at the smallest count to bright at the set's edge: with l = log(count / smallest), l^2 / (l^2 +
// s^2), where s is the l that 19 of 20 escaped points stay below. Rises slowly where the counts are small and
// the areas large, never saturates, and fits itself to any region.
class EscapeScale {
 public:
  EscapeScale(const Elements& counts, std::int64_t max_iter) {
    const std::int64_t nx = counts.shape[0], ny = counts.shape[1];
    const auto step = static_cast<std::int64_t>(std::max<std::uint64_t>(counts.size() / kSample, 1));
    std::vector<std::int64_t> escaped;
    for (std::int64_t i = 0; i < nx * ny; i += step) {
      const auto count = load<std::int64_t>(element(counts, i / ny, i % ny));
      if (count < max_iter) escaped.push_back(std::max<std::int64_t>(count, 1));
    }
    if (escaped.empty()) return;
    smallest_ = static_cast<double>(*std::min_element(escaped.begin(), escaped.end()));
    const auto high = escaped.begin() + static_cast<std::ptrdiff_t>((escaped.size() - 1) * 19 / 20);
    std::nth_element(escaped.begin(), high, escaped.end());
    knee_ = std::max(std::log(static_cast<double>(*high) / smallest_), 0.5);
  }

  double place(std::int64_t count) const {
    const double l = std::log(std::max(static_cast<double>(count), 1.0) / smallest_);
    return l <= 0 ? 0 : kGain * l * l / (l * l + knee_ * knee_);
  }

 private:
  static constexpr double kGain = 1.15;  // the brightest seams reach the map's end
  double smallest_ = 1;
  double knee_ = 1;
};

}  // namespace

Result<void> write_image(const std::filesystem::path& file, const Elements& array, Colormap map) {
  if (auto ok = check_plane(array); !ok) return ok;
  return visit_dtype(array.dtype, [&]<class T>(T) -> Result<void> {
    if constexpr (std::is_arithmetic_v<T>)
      return write_real<T>(file, array, map);
    else
      return fail(ErrorCode::kInvalidArgument, "an image needs real numbers");
  });
}

Result<void> write_mandelbrot(const std::filesystem::path& file, const Elements& counts,
                              std::int64_t max_iter, Colormap map) {
  if (auto ok = check_plane(counts); !ok) return ok;
  const EscapeScale scale(counts, max_iter);
  const PngSize size{static_cast<std::uint32_t>(counts.shape[0]), static_cast<std::uint32_t>(counts.shape[1]),
                     false};
  return write_png(file, size, [&](std::uint32_t y, std::span<std::uint8_t> row) {
    std::uint8_t* at = row.data();
    for (std::uint32_t x = 0; x < size.width; ++x) {
      const auto count = load<std::int64_t>(element(counts, x, std::int64_t{size.height} - 1 - y));
      put(at, count >= max_iter ? Rgb{} : color(map, scale.place(count)));
    }
  });
}

}  // namespace parcompute::cli
