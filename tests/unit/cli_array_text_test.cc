// Arrays as the client prints them; the expected texts are numpy.ndarray.__str__'s own.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "client/cli/array_text.h"
#include "common/array/array_spec.h"

namespace parcompute::cli {
namespace {

// A dense array over the vector's elements. std::vector<bool> has none, so booleans come as bytes.
template <class T>
Elements dense(const std::vector<T>& values, std::vector<std::int64_t> shape, DType dtype = dtype_of<T>()) {
  Elements array{dtype, shape, dense_strides(dtype, shape), nullptr};
  array.data = reinterpret_cast<const std::byte*>(values.data());
  return array;
}

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(CliArrayText, SmallArraysPrintAsNumpys) {
  EXPECT_EQ(array_text(dense<double>({1.0 / 3, 2.0}, {2})), "[0.33333333 2.        ]");
  EXPECT_EQ(array_text(dense<double>({1e-5, 1.0, 123456.789}, {3})),
            "[1.00000000e-05 1.00000000e+00 1.23456789e+05]");
  EXPECT_EQ(array_text(dense<float>({0.1F, 1e9F}, {2})), "[1.e-01 1.e+09]");
  EXPECT_EQ(array_text(dense<double>({1.5, std::nan(""), -kInf}, {3})), "[ 1.5  nan -inf]");
  EXPECT_EQ(array_text(dense<std::int64_t>({1, -20, 300, 4}, {2, 2})), "[[  1 -20]\n [300   4]]");
  EXPECT_EQ(array_text(dense<std::int64_t>({0, 1, 2, 3, 4, 5, 6, 7}, {2, 2, 2})),
            "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]");
  EXPECT_EQ(array_text(dense<std::uint8_t>({1, 0, 0, 0}, {2, 2}, DType::kBool)),
            "[[ True False]\n [False False]]");
  EXPECT_EQ(array_text(dense<std::complex<double>>({{1, 2}, {-0.5, -30}}, {2})), "[ 1.  +2.j -0.5-30.j]");
  EXPECT_EQ(array_text(dense<float>({75171808.0F}, {1})), "[75171808.]");
  EXPECT_EQ(array_text(dense<float>({75171808.0F, 0.5F}, {2})), "[7.517181e+07 5.000000e-01]");
}

TEST(CliArrayText, LinesEndWhereNumpysDo) {
  std::vector<double> values(40);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.125 * static_cast<double>(i);
  EXPECT_EQ(array_text(dense(values, {40})),
            "[0.    0.125 0.25  0.375 0.5   0.625 0.75  0.875 1.    1.125 1.25  1.375\n"
            " 1.5   1.625 1.75  1.875 2.    2.125 2.25  2.375 2.5   2.625 2.75  2.875\n"
            " 3.    3.125 3.25  3.375 3.5   3.625 3.75  3.875 4.    4.125 4.25  4.375\n"
            " 4.5   4.625 4.75  4.875]");
}

TEST(CliArrayText, LargeArraysShowThreeItemsAtEachEdge) {
  std::vector<std::int64_t> values(2000);
  std::iota(values.begin(), values.end(), 0);
  EXPECT_EQ(array_text(dense(values, {40, 50})),
            "[[   0    1    2 ...   47   48   49]\n"
            " [  50   51   52 ...   97   98   99]\n"
            " [ 100  101  102 ...  147  148  149]\n"
            " ...\n"
            " [1850 1851 1852 ... 1897 1898 1899]\n"
            " [1900 1901 1902 ... 1947 1948 1949]\n"
            " [1950 1951 1952 ... 1997 1998 1999]]");
  EXPECT_EQ(array_text(dense(std::vector<std::uint8_t>(1001), {1001})), "[0 0 0 ... 0 0 0]");
}

// Reading more than the edges of this one, an exabyte with stride 0, would never end.
TEST(CliArrayText, OnlyWhatIsShownIsRead) {
  const std::uint8_t one = 1;
  const Elements array{
      DType::kUint8, {1LL << 30, 1LL << 30}, {0, 0}, reinterpret_cast<const std::byte*>(&one)};
  EXPECT_EQ(array_text(array).substr(0, 16), "[[1 1 1 ... 1 1 ");
}

TEST(CliArrayText, EmptyAndZeroDimensionalArraysPrint) {
  EXPECT_EQ(array_text(dense<double>({}, {0})), "[]");
  EXPECT_EQ(array_text(dense<double>({}, {2, 0})), "[]");
  EXPECT_EQ(array_text(dense<double>({0.1}, {})), "0.1");
}

TEST(CliArrayText, StridesAreFollowed) {
  const std::vector<std::int64_t> values{0, 1, 2, 3, 4, 5};
  Elements transposed = dense(values, {2, 3});
  std::swap(transposed.shape[0], transposed.shape[1]);
  std::swap(transposed.strides[0], transposed.strides[1]);
  EXPECT_EQ(array_text(transposed), "[[0 3]\n [1 4]\n [2 5]]");
  EXPECT_EQ(array_json(transposed).dump(), "[[0,3],[1,4],[2,5]]");
  Elements reversed = dense(values, {6});
  reversed.data += 5 * 8;
  reversed.strides[0] = -8;
  EXPECT_EQ(array_text(reversed), "[5 4 3 2 1 0]");
}

TEST(CliArrayJson, HoldsEveryElementExactly) {
  EXPECT_EQ(array_json(dense<std::uint64_t>({18446744073709551615U}, {1})).dump(), "[18446744073709551615]");
  EXPECT_EQ(array_json(dense<double>({0.1, 1e20}, {2})).dump(), "[0.1,1e+20]");
  EXPECT_EQ(array_json(dense<float>({0.1F}, {1})).dump(), "[0.10000000149011612]");
  EXPECT_EQ(array_json(dense<std::uint8_t>({1, 0}, {2}, DType::kBool)).dump(), "[true,false]");
  EXPECT_EQ(array_json(dense<double>({2.5}, {})).dump(), "2.5");
  EXPECT_EQ(array_json(dense<double>({}, {2, 0})).dump(), "[[],[]]");
}

TEST(CliArrayJson, WritesWhatJsonLacksAsPythonReadsIt) {
  EXPECT_EQ(array_json(dense<double>({std::nan(""), kInf, -kInf}, {3})).dump(), R"(["nan","inf","-inf"])");
  EXPECT_EQ(array_json(dense<std::complex<double>>({{1, 2}}, {1})).dump(), R"x(["(1+2j)"])x");
}

}  // namespace
}  // namespace parcompute::cli
