// PlanMemory: finds again what is the same, and nothing else.
#include "common/operation/plan_memory.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parcompute {
namespace {

using ::testing::HasSubstr;

wire::Operation evaluate(const std::string& expression, std::uint32_t dtype = 0) {
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression(expression);
  operation.mutable_evaluate()->add_names("a");
  operation.mutable_evaluate()->set_dtype(dtype);
  return operation;
}

OperandInfo operand(Dims shape, DType dtype = DType::kFloat64, std::string label = "a", std::uint64_t memory = 1) {
  return {*make_spec(dtype, std::move(shape)), std::move(label), memory};
}

class PlanMemoryTest : public ::testing::Test {
 protected:
  std::shared_ptr<const EvaluatePlan> compiled(const wire::Operation& operation, const OperandInfo& input) {
    const auto plan = memory_.plan(operation, std::vector{input});
    return plan ? plan->evaluate : nullptr;
  }
  PlanMemory memory_;
};

TEST_F(PlanMemoryTest, FindsTheSameOperationOnOtherArraysOfTheSameShape) {
  const auto first = compiled(evaluate("sum(a)"), operand({8}));
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(compiled(evaluate("sum(a)"), operand({8}, DType::kFloat64, "b", 2)), first);
}

TEST_F(PlanMemoryTest, WhateverAPlanDependsOnMakesItAnother) {
  const auto first = compiled(evaluate("sum(a)"), operand({2, 8}));
  EXPECT_NE(compiled(evaluate("sum(a)"), operand({8, 2})), first);
  EXPECT_NE(compiled(evaluate("sum(a)"), operand({16})), first);
  EXPECT_NE(compiled(evaluate("sum(a)"), operand({2, 8}, DType::kInt64)), first);
  EXPECT_NE(compiled(evaluate("sum( a)"), operand({2, 8})), first);
  EXPECT_NE(compiled(evaluate("sum(a)", static_cast<std::uint32_t>(DType::kFloat32)), operand({2, 8})), first);
  OperandInfo strided = operand({2, 8});
  strided.spec.strides = {8, 16};
  EXPECT_NE(compiled(evaluate("sum(a)"), strided), first);
  strided = operand({2, 8});
  strided.spec.offset = 8;
  EXPECT_NE(compiled(evaluate("sum(a)"), strided), first);
  EXPECT_EQ(compiled(evaluate("sum(a)"), operand({2, 8})), first) << "the first is still there";
}

TEST_F(PlanMemoryTest, OutputsAreLookedAtEachTime) {
  const OperandInfo input = operand({100});
  const auto fresh = memory_.plan(evaluate("a + 1"), std::vector{input});
  EXPECT_FALSE(fresh->stored);
  OperandInfo overlapping = input;
  overlapping.spec.shape = {50};
  const OperandInfo half = overlapping;
  overlapping.spec.offset = 80;
  const auto stored = memory_.plan(evaluate("a + 1"), std::vector{half}, &overlapping);
  ASSERT_TRUE(stored);
  EXPECT_TRUE(stored->stored);
  const auto again = memory_.plan(evaluate("a + 1"), std::vector{half});
  EXPECT_FALSE(again->stored);
  const OperandInfo other = operand({49}, DType::kFloat64, "out", 2);
  const auto refused = memory_.plan(evaluate("a + 1"), std::vector{half}, &other);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("'out'"));
}

TEST_F(PlanMemoryTest, RefusalsNameTheOperandsOfTheirOwnJob) {
  wire::Operation matmul;
  matmul.mutable_matmul();
  for (const char* name : {"left", "other"}) {
    const auto plan = memory_.plan(matmul, std::vector{operand({2, 3}, DType::kFloat64, name), operand({2, 3})});
    ASSERT_FALSE(plan);
    EXPECT_THAT(plan.error().message, HasSubstr(fmt::format("'{}'", name)));
  }
}

TEST_F(PlanMemoryTest, ForgetsTheOldestAndPlansItAgain) {
  const auto first = compiled(evaluate("sum(a)"), operand({1}));
  for (std::int64_t n = 2; n < 100; ++n) {
    const auto plan = memory_.plan(evaluate("sum(a)"), std::vector{operand({n})});
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->bytes_read, static_cast<std::uint64_t>(8 * n));
  }
  const auto again = compiled(evaluate("sum(a)"), operand({1}));
  EXPECT_NE(again, nullptr);
  EXPECT_NE(again, first);
}

TEST_F(PlanMemoryTest, LongTextsAreNotKept) {
  std::string text = "a";
  for (int i = 0; i < 300; ++i) text += " + a";
  const auto first = compiled(evaluate(text), operand({4}));
  ASSERT_NE(first, nullptr);
  EXPECT_NE(compiled(evaluate(text), operand({4})), first);
}

}  // namespace
}  // namespace parcompute
