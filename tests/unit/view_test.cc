// Views: what they refuse, in words, and that no view reaches where its array does not.
#include "common/array/view.h"

#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parcompute {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();

ArraySpec array_of(Dims shape) {
  return *make_spec(DType::kFloat64, std::move(shape));
}

std::string why_not(const Result<ArraySpec>& view) {
  return view ? "a view: " + format_spec(*view) : view.error().message;
}

TEST(View, WholeIsAViewToo) {
  const ArraySpec a = array_of({4, 6});
  EXPECT_EQ(apply_view(a, "").value(), a);
  EXPECT_EQ(apply_view(a, "  ").value(), a);
  EXPECT_EQ(apply_view(a, "[...]").value(), a);
}

TEST(View, StepsFollowOneAnother) {
  const ArraySpec a = array_of({4, 6});
  const auto view = apply_view(a, "[1:, ::-2].T[0]");
  ASSERT_TRUE(view) << why_not(view);
  EXPECT_EQ(view->shape, (Dims{3}));
  EXPECT_EQ(view->strides, (Dims{48}));
  EXPECT_EQ(view->offset, 48U + 40U);
}

TEST(View, BlanksMeanNothing) {
  const ArraySpec a = array_of({4, 6});
  EXPECT_EQ(apply_view(a, " [ 1 : 3 , : : 2 ] .T .reshape( 2 , 3 ) [ 0 ]").has_value(), false);  // needs a copy
  EXPECT_EQ(apply_view(a, " [ 1 : 3 , : : 2 ] .T [ 0 ] ").value(), apply_view(a, "[1:3,::2].T[0]").value());
  EXPECT_EQ(apply_view(a, ".transpose ( 1, 0 )").has_value(), false);
  EXPECT_EQ(apply_view(a, ".transpose( ( 1 , 0 ) )").value(), apply_view(a, ".T").value());
}

TEST(View, SaysWhyAnIndexDoesNotFit) {
  const ArraySpec a = array_of({4, 6});
  EXPECT_EQ(why_not(apply_view(a, "[4]")), "index 4 is out of bounds for axis 0 with 4 elements");
  EXPECT_EQ(why_not(apply_view(a, "[0, -7]")), "index -7 is out of bounds for axis 1 with 6 elements");
  EXPECT_EQ(why_not(apply_view(array_of({1}), "[1]")), "index 1 is out of bounds for axis 0 with 1 element");
  EXPECT_EQ(why_not(apply_view(a, "[0, 0, 0]")), "an index of 3 axes is too long for an array of 2 (4x6)");
  EXPECT_EQ(why_not(apply_view(a, "[..., ...]")), "an index may hold one '...' alone");
  EXPECT_EQ(why_not(apply_view(a, "[::0]")), "a slice's step cannot be 0");
}

TEST(View, SaysWhatCannotBeRead) {
  const ArraySpec a = array_of({4, 6});
  EXPECT_EQ(why_not(apply_view(a, "[]")), "an index is empty: write what to take, such as [10:20] or [...]");
  EXPECT_EQ(why_not(apply_view(a, "[1")), "'[1' has no closing ']'");
  EXPECT_EQ(why_not(apply_view(a, "[x]")), "'x' is no index: write a whole number, start:stop:step, ... or None");
  EXPECT_EQ(why_not(apply_view(a, "[1,,2]")), "'' is no index: write a whole number, start:stop:step, ... or None");
  EXPECT_EQ(why_not(apply_view(a, "[1.5:]")), "'1.5' in the slice '1.5:' is no whole number");
  EXPECT_EQ(why_not(apply_view(a, "[1:2:3:4]")), "the slice '1:2:3:4' has too many colons: write start:stop:step");
  EXPECT_EQ(why_not(apply_view(a, ".T2")), "'.T2' is no view: write [10:20, ::-1], .T, .transpose(1, 0) or .reshape(4, -1)");
  EXPECT_EQ(why_not(apply_view(a, "x")), "'x' is no view: write [10:20, ::-1], .T, .transpose(1, 0) or .reshape(4, -1)");
  EXPECT_EQ(why_not(apply_view(a, ".reshape(2, x)")), "'x' is no whole number");
  EXPECT_EQ(why_not(apply_view(a, ".reshape(24")), "'.reshape(24' has no closing ')'");
  EXPECT_EQ(why_not(apply_view(a, ".reshape((24)")), "'.reshape((24)' has no closing ')'");
}

TEST(View, SaysWhyAShapeDoesNotFit) {
  const ArraySpec a = array_of({4, 6});
  EXPECT_EQ(why_not(apply_view(a, ".reshape(5, 5)")), "an array of shape 4x6 cannot be reshaped to 5x5");
  EXPECT_EQ(why_not(apply_view(a, ".reshape(-1, -1)")), "an array of shape 4x6 cannot be reshaped to -1x-1");
  EXPECT_EQ(why_not(apply_view(a, ".reshape(-2, 12)")), "an array of shape 4x6 cannot be reshaped to -2x12");
  EXPECT_EQ(why_not(apply_view(a, ".T.reshape(24)")),
            "an array of shape 6x4 cannot be reshaped to 24 without a copy, for its elements do not lie one behind the other: copy it first");
  EXPECT_EQ(why_not(apply_view(a, ".transpose(0)")), "1 axes were given to transpose an array of 2 dimensions");
  EXPECT_EQ(why_not(apply_view(a, ".transpose(0, 2)")), "axis 2 is out of bounds for an array of 2 dimensions");
  EXPECT_EQ(why_not(apply_view(a, ".transpose(0, -2)")), "axis -2 was given twice");
  EXPECT_EQ(why_not(broadcast_to(a, {6, 4})), "an array of shape 4x6 cannot be stretched to 6x4");
  EXPECT_EQ(why_not(broadcast_to(a, {6})), "an array of shape 4x6 cannot be stretched to 6");
  const auto shapes = broadcast_shapes({3, 4}, {5});
  ASSERT_FALSE(shapes);
  EXPECT_EQ(shapes.error().message, "shapes 3x4 and 5 do not fit together: dimensions 4 and 5");
}

TEST(View, RefusesMoreDimensionsThanArraysHave) {
  std::string index = "[None";
  for (int i = 0; i < 31; ++i) index += ", None";
  EXPECT_TRUE(apply_view(array_of({}), index + "]"));
  EXPECT_THAT(why_not(apply_view(array_of({3}), index + "]")), HasSubstr("an array of 33 dimensions was asked for"));
  EXPECT_THAT(why_not(reshaped(array_of({}), std::vector<std::int64_t>(33, 1))), HasSubstr("33 dimensions"));
}

TEST(View, FarNumbersAreClippedOrRefused) {
  const ArraySpec a = array_of({5});
  const auto sliced = [&](Slice slice) { return *indexed(a, std::vector<IndexItem>{slice}); };
  EXPECT_EQ(sliced({-kFar - 1, kFar, kFar}).shape, (Dims{1}));
  EXPECT_EQ(sliced({kFar, -kFar - 1, -kFar - 1}).shape, (Dims{1}));
  EXPECT_EQ(sliced({kFar, -kFar - 1, -kFar - 1}).offset, 32U);
  EXPECT_EQ(sliced({kFar, kFar, 1}).shape, (Dims{0}));
  EXPECT_FALSE(indexed(a, std::vector<IndexItem>{kFar}));
  EXPECT_FALSE(indexed(a, std::vector<IndexItem>{-kFar - 1}));
  EXPECT_FALSE(apply_view(a, "[9223372036854775808]"));
  EXPECT_FALSE(reshaped(a, std::vector<std::int64_t>{kFar, kFar}));
  EXPECT_FALSE(reshaped(a, std::vector<std::int64_t>{kFar, kFar, -1}));
}

TEST(View, ArraysWithoutElementsMayHaveAnyStrides) {
  // As files and clients may describe them: nobody checks the strides of nothing.
  const ArraySpec nothing{DType::kFloat64, {0, 1 << 20, 7}, {kFar, -kFar, kFar / 2}, std::uint64_t{1} << 63};
  for (const char* view : {"[:, 99, 3]", "[:, ::-3, ::2]", "[0:0, -1]", ".T[2, ::7]", "[:, 5:].reshape(-1, 7)"}) {
    const auto taken = apply_view(nothing, view);
    ASSERT_TRUE(taken) << view << ": " << why_not(taken);
    EXPECT_EQ(element_count(*taken), 0U) << view;
    EXPECT_TRUE(check_spec(*taken, 0)) << view;
  }
}

TEST(View, NoViewReachesWhereItsArrayDoesNot) {
  std::mt19937_64 random(11);
  const auto any = [&](std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most - least + 1));
  };
  const auto maybe = [&](std::int64_t length) -> std::optional<std::int64_t> {
    switch (any(0, 4)) {
      case 0: return std::nullopt;
      case 1: return any(0, 1) == 0 ? kFar : -kFar - 1;
      default: return any(-length - 2, length + 2);
    }
  };
  for (int round = 0; round < 20'000; ++round) {
    Dims shape;
    for (auto axes = any(0, 4); axes > 0; --axes) shape.push_back(any(0, 6));
    const ArraySpec a = array_of(shape);
    std::vector<IndexItem> index;
    for (const std::int64_t length : shape) {
      auto step = maybe(length);
      if (step == 0) step = -1;
      if (any(0, 3) == 0) index.emplace_back(any(-length - 1, length));
      else index.emplace_back(Slice{maybe(length), maybe(length), step});
      if (any(0, 5) == 0) index.emplace_back(NewAxis{});
    }
    const auto view = indexed(a, index);
    if (!view) continue;
    ASSERT_TRUE(check_spec(*view, byte_count(a))) << format_spec(a) << " to " << format_spec(*view);
    ASSERT_LE(element_count(*view), element_count(a));
  }
}

TEST(View, NamesEndWhereViewsBegin) {
  const auto expect = [](std::string_view text, std::string_view name, std::string_view view) {
    const NameAndView split = split_view(text);
    EXPECT_EQ(split.name, name) << text;
    EXPECT_EQ(split.view, view) << text;
  };
  expect("a", "a", "");
  expect("a[1:].T", "a", "[1:].T");
  expect("a.T", "a", ".T");
  expect("a.T.T", "a", ".T.T");
  expect("a.T[0]", "a", ".T[0]");
  expect("a.T.T[0].T", "a", ".T.T[0].T");
  expect("a.T.reshape(3, -1)", "a", ".T.reshape(3, -1)");
  expect("runs/x.1", "runs/x.1", "");
  expect("x.Time", "x.Time", "");
  expect(".T", ".T", "");
}

}  // namespace
}  // namespace parcompute
