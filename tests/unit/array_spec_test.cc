#include "common/array/array_spec.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parcompute {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMaxInt = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinInt = std::numeric_limits<std::int64_t>::min();

ArraySpec strided(Dims shape, Dims strides, std::uint64_t offset = 0, DType dtype = DType::kFloat64) {
  return {dtype, std::move(shape), std::move(strides), offset};
}

TEST(ArraySpec, DenseArraysHaveTheStridesOfTheirOrder) {
  const auto c = make_spec(DType::kFloat64, {2, 3, 4});
  ASSERT_TRUE(c);
  EXPECT_EQ(c->strides, (Dims{96, 32, 8}));
  EXPECT_EQ(element_count(*c), 24u);
  EXPECT_EQ(byte_count(*c), 192u);
  const auto f = make_spec(DType::kInt16, {2, 3, 4}, Order::kFortran);
  ASSERT_TRUE(f);
  EXPECT_EQ(f->strides, (Dims{2, 4, 12}));
}

TEST(ArraySpec, AnArrayWithoutDimensionsHasOneElement) {
  const auto spec = make_spec(DType::kComplex128, {});
  ASSERT_TRUE(spec);
  EXPECT_EQ(element_count(*spec), 1u);
  EXPECT_EQ(byte_count(*spec), 16u);
  EXPECT_TRUE(is_c_contiguous(*spec));
  EXPECT_TRUE(is_f_contiguous(*spec));
  EXPECT_TRUE(check_spec(*spec, 16));
  EXPECT_FALSE(check_spec(*spec, 15));
}

TEST(ArraySpec, AnEmptyArrayFitsAnywhere) {
  const auto spec = make_spec(DType::kFloat64, {5, 0, 7});
  ASSERT_TRUE(spec);
  EXPECT_EQ(element_count(*spec), 0u);
  EXPECT_EQ(byte_count(*spec), 0u);
  EXPECT_TRUE(is_dense(*spec));
  EXPECT_TRUE(check_spec(*spec, 0));
}

TEST(ArraySpec, ContiguityIgnoresTheStridesOfSingleElements) {
  EXPECT_TRUE(is_c_contiguous(strided({1, 4}, {-77, 8})));
  EXPECT_TRUE(is_f_contiguous(strided({4, 1}, {8, 1000})));
  EXPECT_FALSE(is_dense(strided({4, 2}, {32, 8})));
  EXPECT_FALSE(is_dense(strided({4}, {-8}, 24)));
  EXPECT_FALSE(is_dense(strided({2, 4}, {0, 8})));
}

TEST(ArraySpec, AlignmentCountsTheComponentsOfComplexNumbers) {
  EXPECT_TRUE(is_aligned(strided({3}, {16}, 8, DType::kComplex128)));
  EXPECT_FALSE(is_aligned(strided({3}, {16}, 4, DType::kComplex128)));
  EXPECT_FALSE(is_aligned(strided({3}, {12}, 0)));
  EXPECT_TRUE(is_aligned(strided({3}, {-8}, 16)));
  EXPECT_TRUE(is_aligned(strided({3}, {3}, 1, DType::kUint8)));
}

TEST(ArraySpec, ShapesThatNoMemoryHoldsAreRefused) {
  EXPECT_TRUE(make_spec(DType::kUint8, {std::int64_t{1} << 62}));
  for (const Dims& shape : {Dims{(std::int64_t{1} << 62) + 1}, Dims{kMaxInt}, Dims{kMaxInt, kMaxInt},
                            Dims{std::int64_t{1} << 32, std::int64_t{1} << 32}, Dims{0, kMaxInt, kMaxInt}}) {
    const auto spec = make_spec(DType::kUint8, shape);
    ASSERT_FALSE(spec) << format_shape(shape);
    EXPECT_EQ(spec.error().code, ErrorCode::kOverBudget);
  }
  EXPECT_FALSE(make_spec(DType::kFloat64, {std::int64_t{1} << 60}));
}

TEST(ArraySpec, NegativeAndTooManyDimensionsAreRefused) {
  for (const Dims& shape : {Dims{-1}, Dims{0, -5}, Dims{kMinInt}}) {
    const auto spec = make_spec(DType::kUint8, shape);
    ASSERT_FALSE(spec);
    EXPECT_THAT(spec.error().message, HasSubstr("negative"));
  }
  EXPECT_TRUE(make_spec(DType::kUint8, Dims(kMaxDims, 1)));
  EXPECT_FALSE(make_spec(DType::kUint8, Dims(kMaxDims + 1, 1)));
}

TEST(ArraySpec, EveryElementMustLieInTheData) {
  EXPECT_TRUE(check_spec(strided({4}, {8}, 8), 40));
  EXPECT_FALSE(check_spec(strided({4}, {8}, 8), 39));
  EXPECT_TRUE(check_spec(strided({4}, {-8}, 24), 32));
  EXPECT_FALSE(check_spec(strided({4}, {-8}, 23), 32));
  EXPECT_TRUE(check_spec(strided({1000, 4}, {0, 8}), 32)) << "a broadcast array is longer than its data";
  EXPECT_TRUE(check_spec(strided({2, 2}, {16, -8}, 8), 32));
}

TEST(ArraySpec, HostileStridesAndOffsetsAreRefused) {
  for (const ArraySpec& spec : {
           strided({2}, {kMaxInt}),
           strided({2}, {kMinInt}),
           strided({3}, {kMaxInt}),
           strided({2}, {kMinInt}, UINT64_MAX),
           strided({1}, {8}, UINT64_MAX),
           strided({1}, {8}, UINT64_MAX - 7),
           strided({std::int64_t{1} << 59}, {kMaxInt}),
           strided({std::int64_t{1} << 59}, {kMinInt}),
           strided({2, 2}, {kMaxInt, kMinInt}),
           strided({2, 2}, {kMinInt, kMaxInt}, std::uint64_t{1} << 63),
       }) {
    EXPECT_FALSE(check_spec(spec, 64)) << format_spec(spec);
    EXPECT_FALSE(check_spec(spec, UINT64_MAX)) << format_spec(spec);
  }
  ArraySpec uneven = strided({2, 2}, {8});
  EXPECT_FALSE(check_spec(uneven, 1000));
  uneven = strided({-1}, {8});
  EXPECT_FALSE(check_spec(uneven, 1000));
}

TEST(ArraySpec, ManyHostileAxesDoNotOverflowTheirSum) {
  Dims shape(kMaxDims, 2);
  for (const std::int64_t stride : {kMaxInt, kMinInt})
    EXPECT_FALSE(check_spec(strided(shape, Dims(kMaxDims, stride), 0, DType::kUint8), UINT64_MAX));
}

TEST(ArraySpec, ShapesAreWrittenAndReadBack) {
  for (const Dims& shape : {Dims{}, Dims{5}, Dims{2000, 2000}, Dims{0}, Dims{1, 2, 3, 4, 5, 6, 7}}) {
    const auto parsed = parse_shape(format_shape(shape));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, shape);
  }
  EXPECT_EQ(parse_shape(""), Dims{});
  EXPECT_EQ(format_spec(*make_spec(DType::kFloat64, {2000, 2000})), "float64, 2000x2000");
}

TEST(ArraySpec, WhatIsNoShapeIsRefusedAndNamed) {
  for (const char* text : {"x", "5x", "x5", "5xx5", "5X5", "-5", "5x-5", "-0", "+5", "5 x 5", "5,5", "5x5 ",
                           "a", "(5)", "5.0", "99999999999999999999"}) {
    const auto shape = parse_shape(text);
    ASSERT_FALSE(shape) << text;
    EXPECT_THAT(shape.error().message, HasSubstr(text));
  }
  EXPECT_FALSE(parse_shape("1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1"));
}

}  // namespace
}  // namespace parcompute
