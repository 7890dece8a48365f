// sort, argsort, unique and percentile: what NumPy leaves open, refusals, and long rows of every kind of order.
#include <bit>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/order_plan.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/sort_runs.h"

namespace parcompute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Operand;
using testing::operand_of;
using testing::run_job;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<std::uint64_t> bits_of(const std::vector<double>& values) {
  std::vector<std::uint64_t> bits;
  for (const double x : values) bits.push_back(std::bit_cast<std::uint64_t>(x));
  return bits;
}

wire::Operation sort(bool descending = false) {
  wire::Operation operation;
  operation.mutable_sort()->set_descending(descending);
  return operation;
}
wire::Operation argsort(bool descending = false) {
  wire::Operation operation;
  operation.mutable_argsort()->set_descending(descending);
  return operation;
}

template <class T>
std::vector<T> answer(const wire::Operation& operation, Operand& a, std::uint32_t seed = 1) {
  const auto outcome = run_job(operation, {a.view()}, {.seed = seed});
  EXPECT_TRUE(outcome) << outcome.error().message;
  std::vector<T> result = outcome->template output_as<T>();
  if (outcome->plan.answers_length) result.resize(outcome->template scalar_as<std::uint64_t>());
  return result;
}

std::string refusal(const wire::Operation& operation, Operand& a) {
  const auto outcome = run_job(operation, {a.view()});
  return outcome ? "it was served" : outcome.error().message;
}

TEST(Sort, SortsNaNsToTheEndAndNegativeZerosBeforePositiveOnesBitByBit) {
  const double negative_nan = std::copysign(kNan, -1.0);
  const double payload = std::bit_cast<double>(std::uint64_t{0x7ff8000000000123});
  Operand a = operand_of<double>({kNan, 0.0, negative_nan, -0.0, kInf, payload, -kInf, 5e-324, -5e-324}, {9});
  const std::vector<double> sorted{-kInf, -5e-324, -0.0, 0.0, 5e-324, kInf, kNan, payload, negative_nan};
  EXPECT_EQ(bits_of(answer<double>(sort(), a)), bits_of(sorted));
  EXPECT_EQ(bits_of(answer<double>(sort(true), a)), bits_of({sorted.rbegin(), sorted.rend()}));
}

TEST(Sort, KeysKeepEveryBitOfEveryElement) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 100000; ++i) {
    const auto x = std::bit_cast<double>(random()), y = std::bit_cast<double>(random());
    ASSERT_EQ(std::bit_cast<std::uint64_t>(element_of<double>(exact_key(x))), std::bit_cast<std::uint64_t>(x));
    const bool before = x < y || (x == x && y != y);
    ASSERT_TRUE(!before || exact_key(x) < exact_key(y)) << x << " and " << y;
    const auto z = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    ASSERT_EQ(std::bit_cast<std::uint32_t>(element_of<float>(exact_key(z))), std::bit_cast<std::uint32_t>(z));
  }
}

// Rows of several runs, in orders that choose pivots badly or defeat the first digits.
std::vector<std::vector<double>> hard_rows(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::vector<double>> rows(7, std::vector<double>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const auto x = static_cast<double>(i);
    rows[0][i] = x;
    rows[1][i] = -x;
    rows[2][i] = 1;
    rows[3][i] = static_cast<double>(i < count / 2 ? i : count - i);
    rows[4][i] = static_cast<double>(random() % 3);
    rows[5][i] = i == 77 ? 1e300 : i == 99 ? -1e300 : 1 + static_cast<double>(random() % 1000000) * 0x1p-52;
    rows[6][i] = std::bit_cast<double>(random());
  }
  return rows;
}

TEST(Sort, OrdersLongRowsOfAnyOrder) {
  const std::size_t count = 3 * kSortBlockBytes / sizeof(double) + 12345;
  for (const std::vector<double>& row : hard_rows(count)) {
    Operand a = operand_of(row, {static_cast<std::int64_t>(count)});
    std::vector<double> sorted = row;
    std::sort(sorted.begin(), sorted.end(), [](double x, double y) { return exact_key(x) < exact_key(y); });
    EXPECT_EQ(bits_of(answer<double>(sort(), a, 3)), bits_of(sorted));
    std::vector<std::int64_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t j) {
      return equal_key(row[static_cast<std::size_t>(i)]) < equal_key(row[static_cast<std::size_t>(j)]);
    });
    EXPECT_EQ(answer<std::int64_t>(argsort(), a, 4), order);
  }
}

TEST(Sort, GivesTheSameBytesForEveryCutIntoRuns) {
  Operand a = operand_of(hard_rows(200000)[6], {200000});
  const auto once = bits_of(answer<double>(sort(), a, 0));
  for (std::uint32_t seed = 1; seed < 6; ++seed) EXPECT_EQ(bits_of(answer<double>(sort(), a, seed)), once);
}

TEST(Sort, ANonzeroByteIsTrue) {
  Operand a = operand_of<std::uint8_t>({7, 0, 1, 255}, {4});
  a.spec.dtype = DType::kBool;
  EXPECT_THAT(answer<std::uint8_t>(sort(), a), ElementsAre(0, 1, 1, 1));
}

TEST(Argsort, KeepsEqualElementsInTheirOrderBothWays) {
  Operand a = operand_of<double>({0.0, kNan, -0.0, 1, std::copysign(kNan, -1.0), 1}, {6});
  EXPECT_THAT(answer<std::int64_t>(argsort(), a), ElementsAre(0, 2, 3, 5, 1, 4));
  EXPECT_THAT(answer<std::int64_t>(argsort(true), a), ElementsAre(1, 4, 3, 5, 0, 2));
}

TEST(Sort, ComplexNumbersThatAreEqualKeepTheirOrderBothWays) {
  using Complex = std::complex<double>;
  Operand a = operand_of<Complex>({{0.0, 1}, {2, 0}, {-0.0, 1}, {0.0, 1}}, {4});
  const auto zeros_of = [](const std::vector<Complex>& numbers) {
    std::vector<bool> negative;
    for (const Complex& x : numbers)
      if (x.real() == 0) negative.push_back(std::signbit(x.real()));
    return negative;
  };
  EXPECT_EQ(zeros_of(answer<Complex>(sort(), a)), (std::vector<bool>{false, true, false}));
  Operand b = operand_of<Complex>({{-0.0, 1}, {2, 0}, {0.0, 1}, {0.0, 1}}, {4});
  EXPECT_EQ(zeros_of(answer<Complex>(sort(true), b)), (std::vector<bool>{true, false, false}));
}

TEST(Sort, RefusesAnAxisThatDoesNotExist) {
  Operand a = operand_of<double>({1, 2}, {2});
  wire::Operation operation = sort();
  operation.mutable_sort()->set_axis(1);
  EXPECT_EQ(refusal(operation, a), "sort along axis 1 of 'a' (float64, 2): its axes are -1 to 0");
  operation.mutable_sort()->set_axis(-2);
  EXPECT_THAT(refusal(operation, a), HasSubstr("its axes are -1 to 0"));
  Operand scalar = operand_of<double>({1}, {});
  operation.mutable_sort()->set_axis(0);
  EXPECT_THAT(refusal(operation, scalar), HasSubstr("leave the axis out"));
}

TEST(Sort, BlocksAreManyAndAlikeWhateverTheSize) {
  for (const std::uint64_t length :
       {std::uint64_t{200000}, std::uint64_t{50'000'000}, std::uint64_t{10'000'000'000}}) {
    const SortShape shape = shape_sort(1, length, 8);
    ASSERT_TRUE(shape.is_long());
    EXPECT_LE(shape.runs, kMostRuns);
    EXPECT_GE(shape.run * shape.runs, length);
    EXPECT_GE(shape.piece * shape.pieces, length);
    EXPECT_LE(shape.piece * 8, kSortBlockBytes);
  }
}

TEST(Sort, HasNoPhasesForNoElements) {
  Operand a = operand_of<double>({}, {0, 5});
  wire::Operation operation = sort();
  operation.mutable_sort()->set_axis(0);
  const auto outcome = run_job(operation, {a.view()});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->plan.phases.empty());
  EXPECT_EQ(outcome->plan.output->shape, (Dims{0, 5}));
}

TEST(RunSplit, TakesEqualItemsFromTheFirstRuns) {
  const std::vector<std::uint32_t> a{1, 2, 2, 2}, b{2, 2, 3}, c{0, 2};
  RunSplit<std::uint32_t> split({a, b, c});
  EXPECT_THAT(split.at(0), ElementsAre(0, 0, 0));
  EXPECT_THAT(split.at(1), ElementsAre(0, 0, 1));
  EXPECT_THAT(split.at(4), ElementsAre(3, 0, 1));
  EXPECT_THAT(split.at(6), ElementsAre(4, 1, 1));
  EXPECT_THAT(split.at(9), ElementsAre(4, 3, 2));
  EXPECT_THAT(split.at(2), ElementsAre(1, 0, 1));  // back again
}

TEST(Unique, CollapsesNaNsAndZerosAndPiecesThatRepeat) {
  wire::Operation operation;
  operation.mutable_unique();
  Operand a = operand_of<double>({kNan, 0.0, 2, -0.0, std::copysign(kNan, -1.0), 2}, {6});
  const auto few = answer<double>(operation, a);
  ASSERT_EQ(few.size(), 3U);
  EXPECT_EQ(bits_of({few[0], few[1]}), bits_of({-0.0, 2}));
  EXPECT_TRUE(std::isnan(few[2]));
  // A value that fills several pieces.
  std::vector<double> many(400000, 5);
  many[3] = 4;
  many[5] = 6;
  Operand b = operand_of(many, {400000});
  EXPECT_THAT(answer<double>(operation, b, 2), ElementsAre(4, 5, 6));
  Operand none = operand_of<double>({}, {0});
  EXPECT_TRUE(answer<double>(operation, none).empty());
}

TEST(Percentile, IsNaNWhereThereIsOneAndDoesNotWrap) {
  wire::Operation operation;
  operation.mutable_percentile()->add_q(50);
  Operand a = operand_of<double>({1, kNan, 3}, {3});
  EXPECT_TRUE(std::isnan(answer<double>(operation, a)[0]));
  Operand b = operand_of<std::int8_t>({-128, 127}, {2});
  EXPECT_THAT(answer<double>(operation, b), ElementsAre(-0.5));
}

TEST(Percentile, OneOfFloat32IsFloat32AndSeveralAreFloat64) {
  wire::Operation one;
  one.mutable_percentile()->add_q(50);
  one.mutable_percentile()->set_drop_q(true);
  Operand a = operand_of<float>({1, 2}, {2});
  const auto outcome = run_job(one, {a.view()});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(format_spec(*outcome->plan.output), "float32, ()");
  EXPECT_THAT(outcome->output_as<float>(), ElementsAre(1.5F));
  wire::Operation two = one;
  two.mutable_percentile()->add_q(25);
  two.mutable_percentile()->set_drop_q(false);
  EXPECT_EQ(format_spec(*run_job(two, {a.view()})->plan.output), "float64, 2");
  Operand whole = operand_of<std::int8_t>({1, 2}, {2});
  EXPECT_EQ(format_spec(*run_job(one, {whole.view()})->plan.output), "float64, ()");
}

TEST(Percentile, RefusesWhatHasNone) {
  wire::Operation operation;
  Operand a = operand_of<double>({1, 2}, {2}), none = operand_of<double>({}, {0});
  Operand complex = operand_of<std::complex<double>>({1}, {1});
  operation.mutable_percentile();
  EXPECT_THAT(refusal(operation, a), HasSubstr("0 values of q"));
  operation.mutable_percentile()->add_q(100.5);
  EXPECT_EQ(refusal(operation, a), "percentile 100.5 of 'a' (float64, 2): q lies from 0 to 100");
  operation.mutable_percentile()->set_q(0, kNan);
  EXPECT_THAT(refusal(operation, a), HasSubstr("q lies from 0 to 100"));
  operation.mutable_percentile()->set_q(0, 50);
  EXPECT_THAT(refusal(operation, none), HasSubstr("there is none of no elements"));
  EXPECT_THAT(refusal(operation, complex), HasSubstr("takes integers, float32 and float64"));
}

}  // namespace
}  // namespace parcompute
