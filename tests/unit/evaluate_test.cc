// evaluate: how a job answers, and what it refuses.
#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/evaluate_plan.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using testing::operand_of;
using testing::Operand;
using testing::run_job;
using ::testing::HasSubstr;

wire::Operation evaluate(std::string_view expression, std::vector<std::string> names = {"a"}, std::uint32_t dtype = 0) {
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression(std::string(expression));
  for (const std::string& name : names) operation.mutable_evaluate()->add_names(name);
  operation.mutable_evaluate()->set_dtype(dtype);
  return operation;
}

std::vector<double> some(std::size_t count) {
  std::vector<double> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = std::sin(static_cast<double>(i)) * 1000;
  return numbers;
}

std::string failure_of(const wire::Operation& operation, std::vector<View> inputs) {
  const auto outcome = run_job(operation, std::move(inputs));
  return outcome ? "no failure" : outcome.error().message;
}

TEST(Evaluate, ScalarsAreAnsweredWithAndWithoutAnArray) {
  Operand a = operand_of(some(100'000), {100'000});
  for (const char* expression : {"sum(a)", "mean(a) + 1", "max(a) - min(a)", "3 + 4", "a[7]", "argmax(a)"}) {
    const auto with = run_job(evaluate(expression), {a.view()});
    const auto without = run_job(evaluate(expression), {a.view()}, {.with_output = false});
    ASSERT_TRUE(with && without) << expression;
    ASSERT_TRUE(with->plan.scalar) << expression;
    EXPECT_EQ(with->scalar, without->scalar) << expression;
    EXPECT_EQ(std::memcmp(with->scalar.data(), with->output.data(), with->output.size()), 0) << expression;
  }
}

TEST(Evaluate, SumsCarryWhatRoundingTakes) {
  Operand a = operand_of(std::vector<double>{1e100, 1, -1e100, 1e-30}, {4});
  EXPECT_EQ(run_job(evaluate("sum(a)"), {a.view()})->scalar_as<double>(), 1.0);
  Operand b = operand_of(std::vector<double>(1'000'000, 0.1), {1'000'000});
  EXPECT_EQ(run_job(evaluate("sum(a)"), {b.view()})->scalar_as<double>(), 100000.0);  // a sum with rounding on the way ends 1.3e-6 off
}

TEST(Evaluate, InfiniteAndMissingSumsAreWhatTheyAre) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto sum = [](std::vector<double> numbers) {
    const auto count = static_cast<std::int64_t>(numbers.size());
    Operand a = operand_of(numbers, {count});
    return run_job(evaluate("sum(a)"), {a.view()})->scalar_as<double>();
  };
  EXPECT_EQ(sum({1, kInf, 2}), kInf);
  EXPECT_TRUE(std::isnan(sum({kInf, -kInf})));
  EXPECT_EQ(sum({1e308, 1e308}), kInf);
  EXPECT_EQ(sum({}), 0);
}

TEST(Evaluate, ConstantsHaveNoVariance) {
  for (const double constant : {0.1, 1e-310, -7.3e-200, 1.0 / 3})
    for (const std::int64_t count : {3, 1000, 32769, 100'001}) {
      Operand a = operand_of(std::vector<double>(static_cast<std::size_t>(count), constant), {count});
      EXPECT_EQ(run_job(evaluate("var(a)"), {a.view()})->scalar_as<double>(), 0) << constant << " x " << count;
    }
}

TEST(Evaluate, VarianceBeyondAllNumbersIsInfinite) {
  for (const std::vector<double>& numbers : {std::vector<double>{1e200, -1e200}, {3e307, 3e307, 3e307, -3e307}}) {
    Operand a = operand_of(numbers, {static_cast<std::int64_t>(numbers.size())});
    EXPECT_EQ(run_job(evaluate("var(a)"), {a.view()})->scalar_as<double>(), std::numeric_limits<double>::infinity());
  }
}

TEST(Evaluate, LargeResultsAreWritten) {
  constexpr std::int64_t kCount = 2'200'001;  // more than the caches hold
  Operand a = operand_of(some(kCount), {kCount});
  for (const std::uint32_t seed : {0U, 5U}) {
    const auto outcome = run_job(evaluate("a + 1"), {a.view()}, {.seed = seed});
    ASSERT_TRUE(outcome);
    auto wanted = some(kCount);
    for (double& x : wanted) x += 1;
    EXPECT_EQ(outcome->output_as<double>(), wanted);
  }
}

TEST(Evaluate, TransposedOperandsAreReadInTilesOfAnySize) {
  for (const std::int64_t rows : {5, 63, 64, 65, 130, 1000})
    for (const std::int64_t columns : {31, 32, 33, 100}) {
      const auto count = static_cast<std::size_t>(rows * columns);
      std::vector<double> numbers = some(count), wanted(count);
      for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r)
        for (std::size_t c = 0; c < static_cast<std::size_t>(columns); ++c)
          wanted[r * static_cast<std::size_t>(columns) + c] = numbers[c * static_cast<std::size_t>(rows) + r] + numbers[r * static_cast<std::size_t>(columns) + c];
      for (const std::size_t shift : {0, 3}) {
        Operand a = operand_of(numbers, {columns, rows}, shift), b = operand_of(numbers, {rows, columns});
        const auto outcome = run_job(evaluate("a.T + b", {"a", "b"}), {a.view(), b.view()}, {.seed = 9});
        ASSERT_TRUE(outcome);
        EXPECT_EQ(outcome->output_as<double>(), wanted) << rows << " x " << columns;
      }
    }
}

TEST(Evaluate, ResultsOfNoElementsNeedNoWork) {
  Operand a = operand_of(std::vector<double>{}, {0, 5});
  for (const char* expression : {"a + 1", "max(a, axis=1)", "sum(a, axis=1)", "a.T"}) {
    const auto outcome = run_job(evaluate(expression), {a.view()});
    ASSERT_TRUE(outcome) << expression;
    EXPECT_TRUE(outcome->plan.phases.empty()) << expression;
    EXPECT_EQ(element_count(*outcome->plan.output), 0U) << expression;
  }
  EXPECT_EQ(run_job(evaluate("sum(max(a, axis=1))"), {a.view()})->scalar_as<double>(), 0);
  EXPECT_EQ(run_job(evaluate("sum(a, axis=0) + 1"), {a.view()})->output_as<double>(), std::vector<double>(5, 1.0));
}

TEST(Evaluate, RefusesNegativePowersOfWholeNumbers) {
  Operand a = operand_of(std::vector<std::int32_t>{3, -1, 2}, {3});
  EXPECT_EQ(failure_of(evaluate("a ** a"), {a.view()}), "integers to negative integer powers have no integer result: cast the base to a float first");
  EXPECT_EQ(failure_of(evaluate("sum(a ** a)"), {a.view()}), "integers to negative integer powers have no integer result: cast the base to a float first");
  EXPECT_EQ(failure_of(evaluate("float64(a) ** a"), {a.view()}), "no failure");
}

TEST(Evaluate, RefusesThePlaceOfNoNumber) {
  const double nan = std::nan("");
  Operand a = operand_of(std::vector<double>{1, nan, nan, nan}, {2, 2});
  EXPECT_THAT(failure_of(evaluate("nanargmin(a, axis=1)"), {a.view()}), HasSubstr("find no number where all elements are NaN"));
  EXPECT_EQ(run_job(evaluate("nanargmin(a)"), {a.view()})->scalar_as<std::int64_t>(), 0);
}

TEST(Evaluate, RefusesOperandsThatDoNotMatchTheirNames) {
  Operand a = operand_of(some(3), {3});
  EXPECT_EQ(failure_of(evaluate("a + 1", {}), {a.view()}), "the expression names 0 operands, and 1 came");
  EXPECT_EQ(failure_of(evaluate("a + 1", {"a"}, 99), {a.view()}), "99 is no dtype number");
}

TEST(Evaluate, PlansKnowNothingOfWorkers) {
  const ArraySpec spec = *make_spec(DType::kFloat64, {16384, 4096});
  const std::vector<OperandInfo> operands{{spec, "a"}};
  const auto phases = [&](std::string_view expression) {
    std::vector<std::uint64_t> blocks;
    const auto plan = plan_operation(evaluate(expression), operands);
    EXPECT_TRUE(plan) << expression;
    if (plan)
      for (const Phase& phase : plan->phases) blocks.push_back(phase.blocks);
    return blocks;
  };
  EXPECT_EQ(phases("a + 1"), (std::vector<std::uint64_t>{2048}));
  EXPECT_EQ(phases("sum(a)"), (std::vector<std::uint64_t>{2048, 1}));
  EXPECT_EQ(phases("sum(a, axis=0)"), (std::vector<std::uint64_t>{128, 8}));
  EXPECT_EQ(phases("sum(a, axis=1)"), (std::vector<std::uint64_t>{2048}));
  EXPECT_EQ(phases("2 + 2"), (std::vector<std::uint64_t>{1}));
  // One block after one block needs no barrier.
  EXPECT_EQ(phases("mean(a[0]) + max(a[1])"), (std::vector<std::uint64_t>{1}));
}

}  // namespace
}  // namespace parcompute
