#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "client/cli/colormap.h"
#include "client/cli/picture.h"
#include "client/cli/png.h"
#include "common/array/array_spec.h"
#include "tests/support/temporary_directory.h"

namespace parcompute::cli {
namespace {

using parcompute::testing::TemporaryDirectory;

struct Decoded {
  std::uint32_t width = 0, height = 0;
  std::vector<std::array<std::uint8_t, 4>> pixels;  // red, green, blue, alpha; row by row

  std::array<std::uint8_t, 4> at(std::size_t x, std::size_t y) const { return pixels[y * width + x]; }
};

Decoded decode(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_file(&image, path.c_str()), 0) << image.message;
  image.format = PNG_FORMAT_RGBA;
  Decoded out{image.width, image.height, {}};
  out.pixels.resize(std::size_t{image.width} * image.height);
  EXPECT_NE(png_image_finish_read(&image, nullptr, out.pixels.data(), 0, nullptr), 0) << image.message;
  return out;
}

template <class T>
Elements plane(const std::vector<T>& values, std::int64_t rows, std::int64_t columns) {
  Elements array{dtype_of<T>(), {rows, columns}, {}, reinterpret_cast<const std::byte*>(values.data())};
  array.strides = dense_strides(array.dtype, array.shape);
  return array;
}

std::array<std::uint8_t, 4> opaque(Rgb rgb) {
  return {rgb.red, rgb.green, rgb.blue, 255};
}

// matplotlib's hot at 0, at its two bends and at 1.
TEST(CliColormap, HotIsMatplotlibs) {
  EXPECT_EQ(color(Colormap::kHot, 0), (Rgb{11, 0, 0}));
  EXPECT_EQ(color(Colormap::kHot, 0.365079), (Rgb{255, 0, 0}));
  EXPECT_EQ(color(Colormap::kHot, 0.746032), (Rgb{255, 255, 0}));
  EXPECT_EQ(color(Colormap::kHot, 1), (Rgb{255, 255, 255}));
  EXPECT_EQ(color(Colormap::kHot, 0.873016), (Rgb{255, 255, 128}));
}

TEST(CliColormap, ViridisAndGrayHaveTheirEndsAndMiddle) {
  EXPECT_EQ(color(Colormap::kViridis, 0), (Rgb{68, 1, 84}));
  EXPECT_EQ(color(Colormap::kViridis, 0.5), (Rgb{33, 144, 141}));
  EXPECT_EQ(color(Colormap::kViridis, 1), (Rgb{253, 231, 37}));
  EXPECT_EQ(color(Colormap::kGray, 0.5), (Rgb{128, 128, 128}));
}

TEST(CliColormap, ValuesOutsideTakeTheEnds) {
  for (const Colormap map : {Colormap::kHot, Colormap::kViridis, Colormap::kGray}) {
    EXPECT_EQ(color(map, -1), color(map, 0));
    EXPECT_EQ(color(map, 2), color(map, 1));
  }
}

TEST(CliColormap, NamesLeadToTheirMaps) {
  EXPECT_EQ(colormap_from_name("viridis"), Colormap::kViridis);
  EXPECT_EQ(colormap_from_name("jet"), std::nullopt);
}

TEST(CliPng, DecodesToThePixelsThatWereWritten) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.png";
  const auto written = write_png(path, {5, 3, true}, [](std::uint32_t y, std::span<std::uint8_t> row) {
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::uint8_t>(40 * y + i);
  });
  ASSERT_TRUE(written) << written.error().message;
  const Decoded image = decode(path);
  ASSERT_EQ(image.width, 5U);
  ASSERT_EQ(image.height, 3U);
  EXPECT_EQ(image.at(0, 0), (std::array<std::uint8_t, 4>{0, 1, 2, 3}));
  EXPECT_EQ(image.at(4, 2), (std::array<std::uint8_t, 4>{96, 97, 98, 99}));
}

TEST(CliPng, RefusedPicturesLeaveNoFile) {
  const TemporaryDirectory directory;
  const auto fill = [](std::uint32_t, std::span<std::uint8_t>) {};
  EXPECT_FALSE(write_png(directory / "a.png", {0, 3, false}, fill));
  EXPECT_FALSE(write_png(directory / "a.png", {kMaxPngSide + 1, 1, false}, fill));
  EXPECT_EQ(write_png(directory / "no/such/a.png", {1, 1, false}, fill).error().code,
            ErrorCode::kCannotCreate);
  EXPECT_THAT(directory.names(), ::testing::IsEmpty());
}

TEST(CliPicture, RowsAreAxisZeroAndTheRangeFillsTheMap) {
  const TemporaryDirectory directory;
  const std::vector<std::int64_t> values{-10, 0, 10, 10, 10, 30};
  ASSERT_TRUE(write_image(directory / "a.png", plane(values, 2, 3), Colormap::kHot));
  const Decoded image = decode(directory / "a.png");
  ASSERT_EQ(image.width, 3U);
  ASSERT_EQ(image.height, 2U);
  EXPECT_EQ(image.at(0, 0), opaque(color(Colormap::kHot, 0)));
  EXPECT_EQ(image.at(2, 0), opaque(color(Colormap::kHot, 0.5)));
  EXPECT_EQ(image.at(2, 1), opaque(color(Colormap::kHot, 1)));
}

TEST(CliPicture, NanIsTransparentAndInfinitiesAreAtTheEnds) {
  const TemporaryDirectory directory;
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<double> values{std::nan(""), -kInf, kInf, 1, 2, 3};
  ASSERT_TRUE(write_image(directory / "a.png", plane(values, 2, 3), Colormap::kGray));
  const Decoded image = decode(directory / "a.png");
  EXPECT_EQ(image.at(0, 0)[3], 0);
  EXPECT_EQ(image.at(1, 0), opaque(Rgb{0, 0, 0}));
  EXPECT_EQ(image.at(2, 0), opaque(Rgb{255, 255, 255}));
  EXPECT_EQ(image.at(1, 1), opaque(Rgb{128, 128, 128}));
}

TEST(CliPicture, ConstantAndNanOnlyArraysDraw) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_image(directory / "a.png", plane(std::vector<float>(4, 7.0F), 2, 2), Colormap::kViridis));
  EXPECT_EQ(decode(directory / "a.png").at(1, 1), opaque(color(Colormap::kViridis, 0)));
  ASSERT_TRUE(write_image(directory / "b.png", plane(std::vector<float>(4, std::nanf("")), 2, 2),
                          Colormap::kViridis));
  EXPECT_EQ(decode(directory / "b.png").at(1, 1)[3], 0);
}

TEST(CliPicture, TheWholeRangeOfDoublesDoesNotOverflow) {
  const TemporaryDirectory directory;
  constexpr double kMax = std::numeric_limits<double>::max();
  ASSERT_TRUE(
      write_image(directory / "a.png", plane(std::vector<double>{-kMax, 0, kMax}, 1, 3), Colormap::kGray));
  EXPECT_EQ(decode(directory / "a.png").at(1, 0), opaque(Rgb{128, 128, 128}));
}

TEST(CliPicture, WhatIsNoPlaneOfRealNumbersIsRefused) {
  const TemporaryDirectory directory;
  const std::vector<std::complex<double>> complex(4);
  EXPECT_FALSE(write_image(directory / "a.png", plane(complex, 2, 2), Colormap::kHot));
  Elements line = plane(std::vector<double>(4), 2, 2);
  line.shape = {4};
  line.strides = {8};
  const auto refused = write_image(directory / "a.png", line, Colormap::kHot);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "an image needs an array of two dimensions, and this one is 4");
  EXPECT_FALSE(write_image(directory / "a.png", plane(std::vector<double>{}, 0, 4), Colormap::kHot));
  EXPECT_THAT(directory.names(), ::testing::IsEmpty());
}

// 3 points along x, 2 along y; the points inside have the largest count.
TEST(CliPicture, MandelbrotHasXToTheRightYUpAndABlackInside) {
  const TemporaryDirectory directory;
  const std::vector<std::int64_t> counts{1, 2, 100, 1, 50, 1};  // (x0,y0) (x0,y1) (x1,y0) ...
  ASSERT_TRUE(write_mandelbrot(directory / "a.png", plane(counts, 3, 2), 100, Colormap::kHot));
  const Decoded image = decode(directory / "a.png");
  ASSERT_EQ(image.width, 3U);
  ASSERT_EQ(image.height, 2U);
  EXPECT_EQ(image.at(1, 1), opaque(Rgb{0, 0, 0}));              // x1, y0: inside
  EXPECT_EQ(image.at(0, 1), opaque(color(Colormap::kHot, 0)));  // x0, y0: smallest count
  EXPECT_GT(image.at(2, 1)[1], image.at(0, 0)[1]);              // 50 is brighter than 2
  EXPECT_GT(image.at(0, 0)[0], image.at(0, 1)[0]);              // 2 is brighter than 1
}

TEST(CliPicture, AMandelbrotThatIsAllInsideIsBlack) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(
      write_mandelbrot(directory / "a.png", plane(std::vector<std::int64_t>(4, 9), 2, 2), 9, Colormap::kHot));
  EXPECT_EQ(decode(directory / "a.png").at(1, 1), opaque(Rgb{0, 0, 0}));
}

}  // namespace
}  // namespace parcompute::cli
