// searchsorted, bincount and histogram: borders of bins, and refusals.
#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/order_plan.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/peak_memory.h"

namespace parcompute {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Operand;
using testing::operand_of;
using testing::run_job;

wire::Operation bincount(std::uint64_t length) {
  wire::Operation operation;
  operation.mutable_bincount()->set_length(length);
  return operation;
}
wire::Operation histogram(std::uint64_t bins, double low, double high) {
  wire::Operation operation;
  operation.mutable_histogram()->set_bins(bins);
  operation.mutable_histogram()->set_low(low);
  operation.mutable_histogram()->set_high(high);
  return operation;
}

std::string refusal(const wire::Operation& operation, std::vector<View> inputs) {
  const auto outcome = run_job(operation, std::move(inputs));
  return outcome ? "it was served" : outcome.error().message;
}

TEST(Bincount, NamesTheValueThatHasNoBin) {
  Operand a = operand_of<std::int8_t>({0, 1, -2, 9}, {4});
  EXPECT_EQ(refusal(bincount(5), {a.view()}),
            "bincount of 'a' (int8, 4): element 2 in C order is -2; values lie from 0 to below the length, 5");
  Operand b = operand_of<std::uint64_t>({0, ~std::uint64_t{0}}, {2});
  EXPECT_THAT(refusal(bincount(5), {b.view()}), HasSubstr("element 1 in C order is 18446744073709551615"));
  Operand floats = operand_of<double>({1}, {1});
  EXPECT_THAT(refusal(bincount(5), {floats.view()}), HasSubstr("it counts integers"));
}

TEST(Bincount, CountsNothingOfNothing) {
  Operand none = operand_of<std::int64_t>({}, {0});
  EXPECT_THAT(run_job(bincount(3), {none.view()})->output_as<std::int64_t>(), ElementsAre(0, 0, 0));
  EXPECT_TRUE(run_job(bincount(0), {none.view()})->output_as<std::int64_t>().empty());
}

TEST(Bincount, AddsWeightsInTheSameOrderForEveryCutIntoRuns) {
  std::mt19937_64 random(2);
  std::vector<std::int32_t> values(kBinPart * 5);
  std::vector<double> weights(values.size());
  for (auto& x : values) x = static_cast<std::int32_t>(random() % 7);
  for (auto& x : weights) x = static_cast<double>(random()) * 0x1p-64;
  const auto count = static_cast<std::int64_t>(values.size());
  Operand a = operand_of(values, {count}), w = operand_of(weights, {count});
  ASSERT_GT(shape_bins(values.size(), 7).parts, 1U);
  const auto once = run_job(bincount(7), {a.view(), w.view()})->output_as<double>();
  for (std::uint32_t seed = 1; seed < 5; ++seed)
    EXPECT_EQ(run_job(bincount(7), {a.view(), w.view()}, {.seed = seed})->output_as<double>(), once);
}

TEST(Bincount, ScratchNeverOutgrowsItsOperand) {
  for (const std::uint64_t bins : {1U, 100U, 1000000U, 40000000U}) {
    const BinShape shape = shape_bins(50'000'000, bins);
    EXPECT_TRUE(shape.parts == 1 || shape.parts * bins <= 50'000'000U) << bins;
    EXPECT_GE(shape.part * shape.parts, 50'000'000U);
  }
}

TEST(Bincount, RefusesWeightsOfAnotherShapeAndComplexOnes) {
  Operand a = operand_of<std::int64_t>({1, 2}, {2});
  Operand w = operand_of<double>({1}, {1}), z = operand_of<std::complex<float>>({1, 2}, {2});
  z.label = "w";
  EXPECT_THAT(refusal(bincount(5), {a.view(), w.view()}), HasSubstr("must have its shape"));
  EXPECT_EQ(refusal(bincount(5), {a.view(), z.view()}),
            "bincount of 'a' (int64, 2): weights 'w' (complex64, 2) must be real; add up real(w) and imag(w), one after the other");
}

TEST(Histogram, SumsOfWholeWeightsAreExactAndWrapInTheirDtype) {
  wire::Operation operation = histogram(1, 0, 1);
  operation.mutable_histogram()->set_weighted(true);
  Operand a = operand_of<double>({0, 1, 0.5}, {3});
  const std::int64_t large = (std::int64_t{1} << 53) + 1;
  Operand wide = operand_of<std::int64_t>({large, large, 1}, {3}), narrow = operand_of<std::int8_t>({100, 27, 1}, {3});
  EXPECT_THAT(run_job(operation, {a.view(), wide.view()})->output_as<std::int64_t>(), ElementsAre(2 * large + 1));
  EXPECT_THAT(run_job(operation, {a.view(), narrow.view()})->output_as<std::int8_t>(), ElementsAre(-128));
}

TEST(Histogram, LastBinIsClosedAndNaNsAndOutsidersAreLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  Operand a = operand_of<double>({0, 0.5, 1, 2, 3, -0.1, 3.1, nan, inf, -inf}, {10});
  EXPECT_THAT(run_job(histogram(3, 0, 3), {a.view()})->output_as<std::int64_t>(), ElementsAre(2, 1, 2));
  Operand edges = operand_of<double>({0, 1, 1, 3}, {4});
  EXPECT_THAT(run_job(histogram(0, 0, 0), {a.view(), edges.view()})->output_as<std::int64_t>(), ElementsAre(2, 0, 3));
  // Whole numbers are looked up as float64, as NumPy does beside edges of float64.
  Operand whole = operand_of<std::int64_t>({0, 1, 2, 3, -1, 4, (std::int64_t{1} << 53) + 1}, {7});
  EXPECT_THAT(run_job(histogram(0, 0, 0), {whole.view(), edges.view()})->output_as<std::int64_t>(), ElementsAre(1, 0, 3));
  Operand far = operand_of<double>({4, 0x1p53}, {2});
  EXPECT_THAT(run_job(histogram(0, 0, 0), {whole.view(), far.view()})->output_as<std::int64_t>(), ElementsAre(2));
}

TEST(Histogram, WidensARangeWithoutWidthAndSurvivesOneThatOverflows) {
  Operand a = operand_of<double>({2, 2, 2.4}, {3});
  EXPECT_THAT(run_job(histogram(2, 2, 2), {a.view()})->output_as<std::int64_t>(), ElementsAre(0, 3));
  const double huge = std::numeric_limits<double>::max();
  Operand b = operand_of<double>({-huge, 0, huge}, {3});
  const auto counts = run_job(histogram(4, -huge, huge), {b.view()})->output_as<std::int64_t>();
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}), 3);
  Operand c = operand_of<double>({0, 5e-324}, {2});
  EXPECT_THAT(run_job(histogram(1, 0, 5e-324), {c.view()})->output_as<std::int64_t>(), ElementsAre(2));
}

TEST(Histogram, RefusesWhatMakesNoBins) {
  Operand a = operand_of<double>({1}, {1}), falling = operand_of<double>({1, 3, 2}, {3});
  Operand z = operand_of<std::complex<float>>({1}, {1}), wide = operand_of<std::int64_t>({1}, {1});
  falling.label = "edges";
  EXPECT_THAT(refusal(histogram(3, 2, 1), {a.view()}), HasSubstr("must be finite and must not decrease"));
  EXPECT_THAT(refusal(histogram(3, 0, std::numeric_limits<double>::infinity()), {a.view()}),
              HasSubstr("must be finite"));
  EXPECT_EQ(refusal(histogram(0, 0, 0), {a.view(), falling.view()}),
            "histogram with edges 'edges' (float64, 3): edge 1 is 3 and the next one 2; they must not decrease");
  EXPECT_THAT(refusal(histogram(0, 0, 0), {a.view()}), HasSubstr("takes 2 operands, not 1"));
  EXPECT_THAT(refusal(histogram(3, 0, 1), {z.view()}), HasSubstr("complex numbers have no order"));
  EXPECT_THAT(refusal(histogram(0, 0, 0), {a.view(), wide.view()}), HasSubstr("must be float64 of 1 dimension; cast them"));
  EXPECT_THAT(refusal(histogram(~std::uint64_t{0}, 0, 1), {a.view()}), HasSubstr("cannot be addressed"));
}

TEST(Searchsorted, ComparesInTheDtypeThatHoldsBoth) {
  wire::Operation operation;
  operation.mutable_searchsorted();
  Operand whole = operand_of<std::int32_t>({-1, 0, 5}, {3}), x = operand_of<float>({-0.5, 5, 4.99F}, {3});
  EXPECT_THAT(run_job(operation, {whole.view(), x.view()})->output_as<std::int64_t>(), ::testing::ElementsAre(1, 2, 2));
  Operand natural = operand_of<std::uint8_t>({0, 200, 255}, {3}), sign = operand_of<std::int8_t>({-1, 0, 1}, {3});
  EXPECT_THAT(run_job(operation, {natural.view(), sign.view()})->output_as<std::int64_t>(), ::testing::ElementsAre(0, 0, 1));
}

TEST(Searchsorted, RefusesSeveralDimensions) {
  wire::Operation operation;
  operation.mutable_searchsorted();
  Operand a = operand_of<double>({1, 2}, {2}), c = operand_of<double>({1, 2}, {1, 2});
  EXPECT_THAT(refusal(operation, {c.view(), a.view()}), HasSubstr("must have 1 dimension"));
}

TEST(Searchsorted, SurvivesAnArrayThatIsNotSorted) {
  wire::Operation operation;
  operation.mutable_searchsorted();
  Operand a = operand_of<double>({5, 1, 4, 2, 3}, {5}), v = operand_of<double>({0, 3, 9}, {3});
  EXPECT_THAT(run_job(operation, {a.view(), v.view()})->output_as<std::int64_t>(),
              Each(::testing::AllOf(::testing::Ge(0), ::testing::Le(5))));
}

TEST(Histogram, ReadsItsEdgesWhereTheyLie) {
  Operand a = operand_of<double>({}, {0});
  Operand edges = operand_of<double>({1}, {1});
  edges.spec.shape = {std::int64_t{1} << 26};
  edges.spec.strides = {0};
  const std::vector<OperandInfo> operands{{a.spec, "a"}, {edges.spec, "edges"}};
  const wire::Operation operation = histogram(0, 0, 0);
  const auto plan = plan_operation(operation, operands);
  ASSERT_TRUE(plan) << plan.error().message;
  const testing::PeakMemory memory;
  // It has looked at all edges when it is made.
  const auto kernel = make_kernel({operation, *plan, {a.view(), edges.view()}, {{*plan->output, "out"}}, {}});
  EXPECT_LT(memory.grown_mebibytes(), 32U);
}

TEST(Histogram, TakesEdgesWithGapsAndBackwards) {
  Operand a = operand_of<double>({-1, 0, 0.5, 1, 2.5, 3, std::numeric_limits<double>::quiet_NaN(), 4}, {8});
  Operand edges = operand_of<double>({3, 9, 1, 9, 0, 9}, {3}, 1);
  edges.spec.offset = 4 * sizeof(double);
  edges.spec.strides = {-2 * static_cast<std::int64_t>(sizeof(double))};
  const auto outcome = run_job(histogram(0, 0, 0), {a.view(), edges.view()});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->output_as<std::int64_t>(), ElementsAre(2, 3));
}

}  // namespace
}  // namespace parcompute
