// concatenate and stack: what NumPy does is in create_numpy_test.cc; here are block borders and refusals.
#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/plans.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::Operand;
using testing::operand_of;
using testing::run_job;

wire::Operation joining(std::int32_t axis, bool stack = false) {
  wire::Operation operation;
  operation.mutable_concatenate()->set_axis(axis);
  operation.mutable_concatenate()->set_stack(stack);
  return operation;
}

Operand counted(std::int64_t rows, std::int64_t columns, std::int32_t first) {
  std::vector<std::int32_t> elements(static_cast<std::size_t>(rows * columns));
  std::iota(elements.begin(), elements.end(), first);
  return operand_of(elements, {rows, columns});
}

// Rows from shorter than a strip to longer than a block, joined along the last axis.
TEST(Concatenate, RowsOfAnyLengthCrossBlocksWhole) {
  for (const std::int64_t columns : {1, 3, 100, 900, 1100, 5000, 300'000}) {
    const std::int64_t rows = 700'000 / columns + 3;
    Operand a = counted(rows, columns, 0), b = counted(rows, 2, -1'000'000), c = counted(rows, columns, 5'000'000);
    const auto outcome = run_job(joining(-1), {a.view(), b.view(), c.view()}, {.seed = 7});
    ASSERT_TRUE(outcome) << outcome.error().message;
    ASSERT_GT(outcome->plan.phases[0].blocks, 1U);
    const auto got = outcome->output_as<std::int32_t>();
    std::size_t at = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t i = 0; i < columns; ++i) ASSERT_EQ(got[at++], row * columns + i);
      for (std::int64_t i = 0; i < 2; ++i) ASSERT_EQ(got[at++], row * 2 + i - 1'000'000);
      for (std::int64_t i = 0; i < columns; ++i) ASSERT_EQ(got[at++], row * columns + i + 5'000'000);
    }
    EXPECT_EQ(at, got.size());
  }
}

TEST(Concatenate, ViewsAreReadWhereTheyLie) {
  Operand a = counted(600, 700, 0);
  View turned = a.view();  // transposed, its rows backwards
  turned.spec.shape = {700, 600};
  turned.spec.strides = {4, -2800};
  turned.spec.offset = 599 * 2800;
  Operand one = counted(1, 1, -5);
  View spread = one.view();
  spread.spec.shape = {700, 3};
  spread.spec.strides = {0, 0};
  const auto got = run_job(joining(1), {turned, spread}, {.seed = 2})->output_as<std::int32_t>();
  for (std::int32_t row = 0; row < 700; ++row)
    for (std::int32_t column = 0; column < 603; ++column)
      ASSERT_EQ(got[static_cast<std::size_t>(row * 603 + column)], column < 600 ? (599 - column) * 700 + row : -5);
}

TEST(Concatenate, EmptyOnesAddNothing) {
  Operand none = operand_of(std::vector<double>{}, {0, 2}), some = operand_of(std::vector<double>{1, 2}, {1, 2});
  EXPECT_EQ(run_job(joining(0), {none.view(), some.view(), none.view()})->output_as<double>(),
            (std::vector<double>{1, 2}));
  const auto nothing = run_job(joining(1), {none.view(), none.view()});
  EXPECT_TRUE(nothing->plan.phases.empty());
  EXPECT_EQ(nothing->plan.output->shape, (Dims{0, 4}));
}

TEST(Concatenate, StackMakesAnAxisAlsoOfScalars) {
  Operand a = operand_of(std::vector<double>{3}, {}), b = operand_of(std::vector<double>{4}, {});
  const auto pair = run_job(joining(0, true), {a.view(), b.view()});
  EXPECT_EQ(pair->plan.output->shape, (Dims{2}));
  EXPECT_EQ(pair->output_as<double>(), (std::vector<double>{3, 4}));
}

TEST(Concatenate, DtypesMeetInOneThatHoldsThemAll) {
  Operand i = operand_of<std::int32_t>({1, -2}, {2}), x = operand_of<double>({0.5}, {1}), t = operand_of<std::uint8_t>({200}, {1});
  EXPECT_EQ(run_job(joining(0), {i.view(), x.view(), t.view()})->output_as<double>(), (std::vector<double>{1, -2, 0.5, 200}));
  // As in numpy.result_type, float32 holds both of the others, though they alone would meet in int32.
  Operand f = operand_of<float>({0.5}, {1}), s = operand_of<std::int8_t>({-1}, {1}), u = operand_of<std::uint16_t>({65535}, {1});
  EXPECT_EQ(run_job(joining(0, true), {s.view(), u.view(), f.view()})->output_as<float>(), (std::vector<float>{-1, 65535, 0.5}));
}

// More than is cast at once, in rows longer and shorter than what is joined at once.
TEST(Concatenate, CastsRowsOfAnyLength) {
  for (const std::int64_t columns : {1, 100, 5000}) {
    const std::int64_t rows = 200'000 / columns;
    Operand a = counted(rows, columns, 0), b = operand_of(std::vector<double>(static_cast<std::size_t>(rows), 0.5), {rows, 1});
    const auto got = run_job(joining(1), {a.view(), b.view()}, {.seed = 3})->output_as<double>();
    for (std::int64_t row = 0, at = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) ASSERT_EQ(got[static_cast<std::size_t>(at++)], static_cast<double>(row * columns + column));
      ASSERT_EQ(got[static_cast<std::size_t>(at++)], 0.5);
    }
  }
}

std::string message_of(const wire::Operation& operation, const std::vector<ArraySpec>& specs) {
  std::vector<OperandInfo> operands;
  for (const ArraySpec& spec : specs)
    operands.push_back({spec, std::string(1, static_cast<char>('a' + operands.size()))});
  const auto plan = plan_operation(operation, operands);
  return plan ? "planned" : plan.error().message;
}

TEST(Concatenate, RefusalsNameBothOperands) {
  const auto spec = [](DType dtype, Dims shape) { return *make_spec(dtype, std::move(shape)); };
  const ArraySpec a = spec(DType::kFloat64, {2, 3});
  EXPECT_THAT(message_of(joining(0), {a, a, spec(DType::kFloat64, {2, 4})}),
              HasSubstr("'c' (float64, 2x4) for concatenate: lengths 3 and 4 of axis 1"));
  EXPECT_THAT(message_of(joining(1), {a, spec(DType::kFloat64, {2})}), HasSubstr("2 and 1 dimensions"));
  EXPECT_THAT(message_of(joining(0, true), {a, spec(DType::kFloat64, {3, 3})}),
              HasSubstr("for stack: lengths 2 and 3 of axis 0"));
  EXPECT_THAT(message_of(joining(2), {a}),
              HasSubstr("axis 2 is outside of 'a' (float64, 2x3), whose result has 2 dimensions: give -2 to 1"));
  EXPECT_THAT(message_of(joining(-4, true), {a}), HasSubstr("give -3 to 2"));
  EXPECT_THAT(message_of(joining(std::numeric_limits<std::int32_t>::min()), {a}), HasSubstr("give -2 to 1"));
  EXPECT_THAT(message_of(joining(0), {spec(DType::kFloat64, {})}),
              HasSubstr("has no axis to concatenate along; stack it"));
  EXPECT_THAT(message_of(joining(0, true), {spec(DType::kFloat64, Dims(32, 1))}), HasSubstr("33 dimensions"));
  EXPECT_THAT(message_of(joining(0), std::vector<ArraySpec>(15, a)), HasSubstr("takes 1 to 14 operands, not 15"));
  ArraySpec huge = spec(DType::kInt8, {std::int64_t{1} << 61});
  EXPECT_THAT(message_of(joining(0), std::vector<ArraySpec>(14, huge)), HasSubstr("longer than any memory"));
  EXPECT_THAT(message_of(joining(0), std::vector<ArraySpec>(3, huge)), HasSubstr("larger than any memory"));
}

}  // namespace
}  // namespace parcompute
