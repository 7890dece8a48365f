// gather, scatter and coalesced against elements found one by one.
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "worker/kernels/gather.h"

namespace parcompute {
namespace {

constexpr std::array kSizes{DType::kUint8, DType::kInt16, DType::kFloat32, DType::kFloat64, DType::kComplex128};

// Where the element that C order counts as `index` lies: digit by digit.
std::int64_t place_of(const ArraySpec& spec, std::uint64_t index) {
  auto at = static_cast<std::int64_t>(spec.offset);
  std::uint64_t below = element_count(spec);
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis) {
    below /= static_cast<std::uint64_t>(spec.shape[axis]);
    at += static_cast<std::int64_t>(index / below) * spec.strides[axis];
    index %= below;
  }
  return at;
}

struct Strided {
  ArraySpec spec;
  std::vector<std::byte> memory;
};

// Up to 8 axes in any order, some backwards, some of one element with strides that lead nowhere; with `repeats`, some of stride 0.
Strided some_view(std::mt19937& random, bool repeats) {
  Strided view;
  view.spec.dtype = kSizes[random() % kSizes.size()];
  const std::size_t ndim = random() % 9;
  std::vector<std::size_t> order;
  for (std::size_t axis = 0; axis < ndim; ++axis) order.insert(order.begin() + static_cast<std::ptrdiff_t>(random() % (axis + 1)), axis);
  view.spec.shape.resize(ndim);
  view.spec.strides.resize(ndim);
  std::int64_t step = static_cast<std::int64_t>(itemsize(view.spec.dtype)), first = 1 + static_cast<std::int64_t>(random() % 9);
  if (random() % 2 == 0) step += static_cast<std::int64_t>(random() % 3);
  for (const std::size_t axis : order) {
    const auto dim = static_cast<std::int64_t>(1 + random() % 4);
    view.spec.shape[axis] = dim;
    if (dim == 1) {
      view.spec.strides[axis] = std::int64_t{1} << 50;
    } else if (repeats && random() % 4 == 0) {
      view.spec.strides[axis] = 0;
    } else {
      const bool backwards = random() % 3 == 0;
      view.spec.strides[axis] = backwards ? -step : step;
      if (backwards) first += (dim - 1) * step;
      step *= dim + static_cast<std::int64_t>(random() % 3 == 0);
    }
  }
  view.spec.offset = static_cast<std::uint64_t>(first);
  view.memory.resize(static_cast<std::size_t>(first + step * 2 + 64));
  for (std::byte& byte : view.memory) byte = static_cast<std::byte>(random());
  return view;
}

struct Piece {
  std::uint64_t first, count;
};
Piece some_run(std::mt19937& random, const ArraySpec& spec) {
  const std::uint64_t elements = element_count(spec), first = random() % elements;
  return {first, random() % (elements - first + 1)};
}

TEST(Gather, FindsEveryElementFromAnyStart) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    const Strided view = some_view(random, true);
    const std::size_t size = itemsize(view.spec.dtype);
    const Piece run = some_run(random, view.spec);
    std::vector<std::byte> got(run.count * size + 1, std::byte{0xA5}), wanted = got;
    for (std::uint64_t i = 0; i < run.count; ++i) std::memcpy(wanted.data() + i * size, view.memory.data() + place_of(view.spec, run.first + i), size);
    gather(view.spec, view.memory.data(), run.first, run.count, got.data());
    ASSERT_EQ(got, wanted) << format_spec(view.spec) << " from " << run.first;
    for (std::uint64_t i = 0; i < run.count; ++i)
      ASSERT_EQ(static_cast<std::int64_t>(view.spec.offset) + element_offset(view.spec, run.first + i), place_of(view.spec, run.first + i));
  }
}

TEST(Scatter, WritesTheElementsOfARunAndNothingElse) {
  std::mt19937 random(12);
  for (int round = 0; round < 3000; ++round) {
    Strided view = some_view(random, false);
    const std::size_t size = itemsize(view.spec.dtype);
    const Piece run = some_run(random, view.spec);
    std::vector<std::byte> from(run.count * size + 1), wanted = view.memory;
    for (std::byte& byte : from) byte = static_cast<std::byte>(random());
    for (std::uint64_t i = 0; i < run.count; ++i) std::memcpy(wanted.data() + place_of(view.spec, run.first + i), from.data() + i * size, size);
    scatter(view.spec, view.memory.data(), run.first, run.count, from.data());
    ASSERT_EQ(view.memory, wanted) << format_spec(view.spec) << " from " << run.first;
  }
}

TEST(Coalesced, HasTheSameElementsInTheSameOrder) {
  std::mt19937 random(13);
  for (int round = 0; round < 3000; ++round) {
    const Strided view = some_view(random, true);
    const ArraySpec fewer = coalesced(view.spec);
    ASSERT_EQ(element_count(fewer), element_count(view.spec));
    for (std::uint64_t i = 0; i < element_count(fewer); ++i) ASSERT_EQ(place_of(fewer, i), place_of(view.spec, i)) << format_spec(view.spec);
    for (std::size_t axis = 0; axis < fewer.ndim(); ++axis) {
      EXPECT_NE(fewer.shape[axis], 1);
      EXPECT_TRUE(axis == 0 || fewer.strides[axis - 1] != fewer.shape[axis] * fewer.strides[axis]) << "these two are one";
    }
  }
}

TEST(Coalesced, HasOneAxisWhereElementsLieOneBehindTheOther) {
  EXPECT_EQ(coalesced(*make_spec(DType::kFloat64, {2, 1, 3, 4})), *make_spec(DType::kFloat64, {24}));
  EXPECT_EQ(coalesced(*make_spec(DType::kFloat64, {1, 1})).ndim(), 0U);
  // One element that is repeated, or all of them backwards.
  EXPECT_EQ(coalesced({DType::kInt16, {5, 6}, {0, 0}, 4}), (ArraySpec{DType::kInt16, {30}, {0}, 4}));
  EXPECT_EQ(coalesced({DType::kInt16, {5, 6}, {-12, -2}, 58}), (ArraySpec{DType::kInt16, {30}, {-2}, 58}));
}

}  // namespace
}  // namespace parcompute
