// evaluate: how a job answers, and what it refuses.
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>

#include <fmt/format.h>
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

// In one loop, around the caches where the results are many: whatever starts between two lines is written, too.
TEST(Evaluate, SumsOfProductsAreThoseOfTheirSteps) {
  const auto check = [&]<class T>(T, std::int64_t count) {
    std::vector<T> a(static_cast<std::size_t>(count)), b(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<T>(std::sin(static_cast<double>(i)));
      b[i] = static_cast<T>(std::cos(static_cast<double>(3 * i)) * 1e3);
    }
    Operand left = operand_of(a, {count}), right = operand_of(b, {count});
    const auto results = [&](auto step) {
      std::vector<T> wanted(a.size());
      for (std::size_t i = 0; i < a.size(); ++i) wanted[i] = step(a[i], b[i]);
      return wanted;
    };
    const std::pair<const char*, std::vector<T>> cases[] = {
        {"2*a + 3*b", results([](T x, T y) { return 2 * x + 3 * y; })},
        {"a*b - a", results([](T x, T y) { return x * y - x; })},
        {"a**2 - b**2", results([](T x, T y) { return x * x - y * y; })},
        {"5 - a*b", results([](T x, T y) { return 5 - x * y; })},
    };
    for (const std::string_view isa : available_instruction_sets()) {
      const testing::WithInstructionSet with(isa);
      for (const auto& [expression, wanted] : cases)
        for (const std::size_t shift : {std::size_t{0}, sizeof(T), 5 * sizeof(T)}) {
          const auto outcome = run_job(evaluate(expression, {"a", "b"}), {left.view(), right.view()}, {.seed = 3, .output_shift = shift});
          ASSERT_TRUE(outcome);
          ASSERT_TRUE(outcome->template output_as<T>() == wanted) << expression << " of " << count << " on " << isa << ", results at " << shift;
        }
    }
  };
  for (const std::int64_t count : {1, 7, 4095, 4097, 2'200'003}) check(double{}, count);
  for (const std::int64_t count : {15, 4'400'001}) check(float{}, count);
}

// Dense operands are added up where they lie; unaligned ones go through the separate loops.
TEST(Evaluate, SumsOfAddendsAreThoseOfTheirSteps) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto check = [&]<class T>(T, Dims shape, double special) {
    const auto count = static_cast<std::size_t>(shape[0] * shape[1]);
    std::vector<T> a(count), b(count);
    for (std::size_t i = 0; i < count; ++i) {
      a[i] = static_cast<T>(std::sin(static_cast<double>(i)) * std::exp2(static_cast<double>(i % 40) - 20));
      b[i] = static_cast<T>(std::cos(static_cast<double>(i)));
    }
    a[count / 2] = static_cast<T>(special);
    Operand left = operand_of(a, shape), right = operand_of(b, shape), stepwise = operand_of(a, shape, 3);
    for (const char* sum : {"sum(a*b", "sum(a*a", "sum(a**2", "sum((a - b)**2", "sum((a - b)*(a - b)", "sum(abs(a - b)", "mean((a - b)**2"})
      for (const char* axis : {")", ", axis=0)", ", axis=1)"}) {
        const std::string expression = std::string(sum) + axis;
        std::vector<T> first;
        for (const std::string_view isa : available_instruction_sets()) {
          const testing::WithInstructionSet with(isa);
          for (Operand* operand : {&stepwise, &left}) {
            const auto outcome = run_job(evaluate(expression, {"a", "b"}), {operand->view(), right.view()}, {.seed = 7});
            ASSERT_TRUE(outcome) << expression;
            const auto sums = outcome->template output_as<T>();
            if (first.empty()) first = sums;
            ASSERT_EQ(std::memcmp(sums.data(), first.data(), sums.size() * sizeof(T)), 0) << expression << " of " << shape[0] << " x " << shape[1] << " on " << isa;
          }
        }
      }
  };
  for (const Dims& shape : {Dims{1, 1}, {3, 5}, {1, 70'001}, {300, 257}, {40'000, 3}}) {
    check(double{}, shape, 1);
    check(float{}, shape, 1);
  }
  for (const double special : {kInf, -kInf, std::nan(""), -0.0}) check(double{}, {200, 300}, special);
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

TEST(Evaluate, DimensionsOfOneInFrontAreDroppedByAnExistingOutput) {
  Operand a = operand_of(some(20), {4, 5}), into = operand_of(std::vector<double>(5), {5});
  const View row = into.view();
  const auto outcome = run_job(evaluate("max(a, axis=0, keepdims=True)"), {a.view()}, {.into = &row});
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto kept = run_job(evaluate("max(a, axis=0)"), {a.view()});
  EXPECT_EQ(std::memcmp(into.buffer.data(), kept->output.data(), 40), 0);
  Operand column = operand_of(std::vector<double>(4), {4});
  const View behind = column.view();
  EXPECT_FALSE(run_job(evaluate("max(a, axis=1, keepdims=True)"), {a.view()}, {.into = &behind})) << "dimensions behind are not";
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

TEST(Evaluate, WhatIsReadIsCountedByViewsOnceEach) {
  Operand a = operand_of(some(1000), {100, 10}), b = operand_of(some(10), {10});
  const auto bytes = [&](const char* expression) {
    const auto outcome = run_job(evaluate(expression, {"a", "b"}), {a.view(), b.view()});
    return outcome ? outcome->plan.bytes_read : 0;
  };
  EXPECT_EQ(bytes("a + 1"), 8000U);
  EXPECT_EQ(bytes("a[:5] + 1"), 400U);
  EXPECT_EQ(bytes("a[:5] + b"), 480U);  // stretched, b is read once
  EXPECT_EQ(bytes("a[:5, ::2] + a[5:10, ::2]"), 400U);
  EXPECT_EQ(bytes("a[3, 4] + a[3, 4]"), 8U);
  EXPECT_EQ(bytes("a - mean(a, axis=0)"), 8000U);
  EXPECT_EQ(bytes("a[1:] - a[:-1]"), 8000U);  // no more than there is
  EXPECT_EQ(bytes("sum(a[:0])"), 0U);
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

TEST(Evaluate, AxesOfOneElementChangeNoBits) {
  const struct { Dims shape; Order order; } arrays[] = {
      {{1000, 50}, Order::kC}, {{1000, 50}, Order::kFortran}, {{7, 90'000}, Order::kC}, {{30'000, 12}, Order::kC}, {{3000, 3}, Order::kFortran}};
  const struct { const char *with, *without; } pairs[] = {
      {"{}(a[:, :, None], axis=(0, 2))", "{}(a, axis=0)"}, {"{}(a[:, None], axis=(0, 1))", "{}(a, axis=0)"},
      {"{}(a[None], axis=(0, 1))", "{}(a, axis=0)"},       {"{}(a[:, :, None], axis=0)", "{}(a, axis=0)"},
      {"{}(a[:, :, None], axis=1)", "{}(a, axis=1)"}, {"{}(a[:, None, :, None], axis=(1, 2, 3))", "{}(a, axis=1)"},
      {"{}(a[None, :, :, None])", "{}(a)"}};
  for (const auto& [shape, order] : arrays) {
    Operand a = operand_of(some(element_count(*make_spec(DType::kFloat64, shape))), shape, 0, order);
    for (const char* reducer : {"sum", "mean", "prod", "var", "min", "nansum"})
      for (const auto& [with, without] : pairs) {
        const std::string text = fmt::format(fmt::runtime(with), reducer);
        const auto wanted = run_job(evaluate(fmt::format(fmt::runtime(without), reducer)), {a.view()});
        const auto got = run_job(evaluate(text), {a.view()}, {.seed = 4});
        ASSERT_TRUE(wanted) << wanted.error().message;
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_EQ(got->output_as<std::uint64_t>(), wanted->output_as<std::uint64_t>()) << text << format_spec(a.spec);
      }
  }
  // Positions take one axis, or all.
  Operand a = operand_of(some(5000), {1000, 5});
  EXPECT_EQ(run_job(evaluate("argmax(a[:, None], axis=0)"), {a.view()})->output_as<std::int64_t>(), run_job(evaluate("argmax(a, axis=0)"), {a.view()})->output_as<std::int64_t>());
  EXPECT_EQ(run_job(evaluate("argmin(a[:, :, None])"), {a.view()})->scalar, run_job(evaluate("argmin(a)"), {a.view()})->scalar);
}

// Of the plain formula g++ makes fused operations where a set has them.
TEST(Evaluate, ProductsOfComplexNumbersRoundEachOperation) {
  constexpr std::size_t kRows = 60, kColumns = 600;
  const auto check = [&](auto zero) {
    using T = decltype(zero);
    std::vector<std::complex<T>> numbers;
    for (std::size_t i = 0; i < kRows * kColumns; ++i)
      numbers.emplace_back(static_cast<T>(std::sin(static_cast<double>(i))) * T{1.5}, static_cast<T>(std::cos(static_cast<double>(5 * i))));
    Operand a = operand_of(numbers, {kRows, kColumns});
    // Row after row: so many lie side by side that each has one lane.
    std::vector<std::complex<T>> wanted;
    for (std::size_t column = 0; column < kColumns; ++column) {
      volatile double re = 1, im = 0;
      for (std::size_t row = 0; row < kRows; ++row) {
        const std::complex<double> z(numbers[row * kColumns + column]);
        volatile double products[] = {re * z.real(), im * z.imag(), re * z.imag(), im * z.real()};
        re = products[0] - products[1];
        im = products[2] + products[3];
      }
      wanted.emplace_back(static_cast<T>(re), static_cast<T>(im));
    }
    const auto all = run_job(evaluate("prod(a)"), {a.view()})->template output_as<std::uint64_t>();
    for (const std::string_view isa : available_instruction_sets()) {
      const testing::WithInstructionSet with(isa);
      EXPECT_EQ(run_job(evaluate("prod(a, axis=0)"), {a.view()})->template output_as<std::complex<T>>(), wanted) << isa;
      EXPECT_EQ(run_job(evaluate("prod(a)"), {a.view()})->template output_as<std::uint64_t>(), all) << isa;
    }
  };
  check(float{});
  check(double{});
}

}  // namespace
}  // namespace parcompute
