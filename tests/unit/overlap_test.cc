// Whether views have bytes in common, against counting them.
#include "common/array/overlap.h"

#include <cstdlib>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace parcompute {
namespace {

std::set<std::uint64_t> bytes_of(const ArraySpec& view) {
  std::set<std::uint64_t> bytes;
  for (std::uint64_t index = 0; index < element_count(view); ++index)
    for (std::uint64_t byte = 0; byte < itemsize(view.dtype); ++byte) bytes.insert(view.offset + static_cast<std::uint64_t>(element_offset(view, index)) + byte);
  return bytes;
}

bool share_bytes(const ArraySpec& a, const ArraySpec& b) {
  const auto of_a = bytes_of(a);
  for (const std::uint64_t byte : bytes_of(b))
    if (of_a.contains(byte)) return true;
  return false;
}

// Inside of `room` bytes.
ArraySpec random_view(std::mt19937_64& random, std::uint64_t room) {
  while (true) {
    ArraySpec view;
    view.dtype = std::array{DType::kUint8, DType::kInt16, DType::kFloat32, DType::kFloat64}.at(random() % 4);
    for (std::size_t axis = random() % 4; axis > 0; --axis) {
      view.shape.push_back(static_cast<std::int64_t>(random() % 5));
      view.strides.push_back(static_cast<std::int64_t>(random() % 61) - 30);
    }
    view.offset = random() % room;
    if (check_spec(view, room)) return view;
  }
}

TEST(OverlapTest, RandomViewsAreToldAsCountingTellsThem) {
  std::mt19937_64 random(20261122);
  int overlapping = 0;
  for (int round = 0; round < 20'000; ++round) {
    const ArraySpec a = random_view(random, 160), b = random_view(random, 160);
    const bool expected = share_bytes(a, b);
    overlapping += expected;
    ASSERT_EQ(may_overlap(a, b, 1'000'000), expected) << format_spec(a) << " at " << a.offset << ", " << format_spec(b) << " at " << b.offset << ", round " << round;
    ASSERT_EQ(may_overlap(b, a, 1'000'000), expected);
    EXPECT_TRUE(!expected || may_overlap(a, b, 0)) << "what is not decided overlaps";
  }
  EXPECT_GT(overlapping, 1'000);
  EXPECT_LT(overlapping, 19'000);
}

TEST(OverlapTest, RowsColumnsTilesAndCombsAreApartWhereTheyAre) {
  constexpr std::int64_t kRow = 100'000 * 8;
  const auto view = [](const Dims& shape, const Dims& strides, std::uint64_t offset) { return ArraySpec{DType::kFloat64, shape, strides, offset}; };
  const auto rows = [&](std::uint64_t first, std::int64_t count) { return view({count, 100'000}, {kRow, 8}, first * kRow); };
  const auto column = [&](std::uint64_t number) { return view({100'000}, {kRow}, number * 8); };
  const auto tile = [&](std::uint64_t top, std::uint64_t left) { return view({1000, 1000}, {kRow, 8}, top * kRow + left * 8); };
  EXPECT_FALSE(may_overlap(rows(0, 10), rows(10, 10)));
  EXPECT_TRUE(may_overlap(rows(0, 11), rows(10, 10)));
  EXPECT_FALSE(may_overlap(column(7), column(8)));
  EXPECT_TRUE(may_overlap(column(7), rows(99'999, 1)));
  EXPECT_FALSE(may_overlap(tile(0, 0), tile(0, 1000)));
  EXPECT_FALSE(may_overlap(tile(0, 99'000), tile(0, 0)));
  EXPECT_TRUE(may_overlap(tile(0, 0), tile(999, 999)));
  EXPECT_FALSE(may_overlap(view({50'000}, {16}, 0), view({50'000}, {16}, 8)));
  EXPECT_FALSE(may_overlap(view({50'000}, {16}, 0), view({50'000}, {-16}, 8 + 49'999 * 16)));
  EXPECT_TRUE(may_overlap(view({50'000}, {24}, 0), view({50'000}, {16}, 8)));
}

TEST(OverlapTest, TheStrideOfADimensionOfOneElementMeansNothing) {
  const ArraySpec odd{DType::kInt16, {1, 3, 1}, {INT64_MIN, 4, INT64_MAX}, 2}, even{DType::kInt16, {3, 1}, {4, INT64_MIN}, 0};
  EXPECT_FALSE(may_overlap(odd, even));
  EXPECT_TRUE(may_overlap(odd, odd));
}

TEST(OverlapTest, AnEmptyViewOverlapsNothing) {
  const ArraySpec whole{DType::kFloat64, {10}, {8}, 0}, empty{DType::kFloat64, {3, 0}, {8, 8}, 16};
  EXPECT_FALSE(may_overlap(whole, empty));
  EXPECT_FALSE(may_overlap(empty, empty));
  EXPECT_TRUE(may_overlap(whole, {DType::kFloat64, {}, {}, 72}));
}

// Two views of a few elements whose strides have nothing in common: the search ends all the same.
TEST(OverlapTest, WhatCannotBeDecidedInTheStepsThatAreAllowedOverlaps) {
  ArraySpec a{DType::kUint8, {}, {}, 0}, b{DType::kUint8, {}, {}, 1};
  for (int axis = 0; axis < 16; ++axis) {
    a.shape.push_back(30);
    a.strides.push_back(2 * (1'000'003 + 7919 * axis * axis));
    b.shape.push_back(30);
    b.strides.push_back(2 * (1'500'007 + 104'729 * axis));
  }
  EXPECT_FALSE(may_overlap(a, b)) << "one has the even bytes, the other the odd ones";
  b.strides[3] += 1;
  may_overlap(a, b);
}

}  // namespace
}  // namespace parcompute
