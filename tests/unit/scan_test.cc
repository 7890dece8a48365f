// cumsum and cumprod of floats: how large their errors are, and where they stick.
#include <bit>
#include <complex>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/order_plan.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Operand;
using testing::operand_of;
using testing::run_job;

constexpr double kInf = std::numeric_limits<double>::infinity();

wire::Operation scan(wire::Scan::Operator op) {
  wire::Operation operation;
  operation.mutable_scan()->set_op(op);
  return operation;
}

template <class T>
std::vector<T> answer(wire::Scan::Operator op, const std::vector<T>& values, std::uint32_t seed = 1) {
  Operand a = operand_of(values, {static_cast<std::int64_t>(values.size())});
  const auto outcome = run_job(scan(op), {a.view()}, {.seed = seed});
  EXPECT_TRUE(outcome) << outcome.error().message;
  return outcome->template output_as<T>();
}

TEST(Cumsum, IsCloserThanASequentialSum) {
  std::mt19937_64 random(3);
  std::vector<double> values(kScanPart * 5 + 321);
  for (double& x : values) x = static_cast<double>(random() >> 11) * 0x1p-53;
  const std::vector<double> sums = answer(wire::Scan::SUM, values);
  long double exact = 0;
  double sequential = 0;
  long double worst = 0, worst_sequential = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    exact += static_cast<long double>(values[i]);
    sequential += values[i];
    worst = std::max(worst, std::fabs(static_cast<long double>(sums[i]) - exact) / exact);
    worst_sequential = std::max(worst_sequential, std::fabs(static_cast<long double>(sequential) - exact) / exact);
  }
  EXPECT_LE(worst, worst_sequential);
  EXPECT_LE(worst, 64 * 0x1p-53L);
}

TEST(Cumsum, IsSequentialUpToAStrip) {
  std::mt19937_64 random(4);
  std::vector<double> values(kScanStrip), sums;
  for (double& x : values) x = static_cast<double>(random()) - 0x1p63;
  double sum = -0.0;
  for (const double x : values) sums.push_back(sum += x);
  EXPECT_EQ(answer(wire::Scan::SUM, values), sums);
}

TEST(Cumsum, IsTheSameForEveryCutIntoRuns) {
  std::mt19937_64 random(4);
  std::vector<double> values(kScanPart * 3);
  for (double& x : values) x = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 100) - 50);
  for (const auto op : {wire::Scan::SUM, wire::Scan::PROD}) {
    const auto once = answer(op, values, 0);
    for (std::uint32_t seed = 1; seed < 5; ++seed)
      EXPECT_EQ(std::memcmp(answer(op, values, seed).data(), once.data(), once.size() * sizeof(double)), 0);
  }
}

TEST(Cumsum, KeepsNegativeZeros) {
  for (const double x : answer<double>(wire::Scan::SUM, std::vector<double>(2000, -0.0)))
    ASSERT_TRUE(x == 0 && std::signbit(x));
}

TEST(Cumsum, OfInfinitiesIsInfiniteAndOfOppositeOnesNaN) {
  std::vector<double> values(kScanPart * 3, 1);
  values[10] = kInf;
  std::vector<double> sums = answer(wire::Scan::SUM, values);
  EXPECT_EQ(sums[9], 10);
  EXPECT_EQ(sums[10], kInf);
  EXPECT_EQ(sums.back(), kInf);
  values[kScanPart * 2] = -kInf;
  sums = answer(wire::Scan::SUM, values);
  EXPECT_EQ(sums[kScanPart * 2 - 1], kInf);
  EXPECT_TRUE(std::isnan(sums[kScanPart * 2]));
  EXPECT_TRUE(std::isnan(sums.back()));
}

TEST(Cumprod, SticksWhereASequentialProductDoes) {
  const std::size_t count = kScanPart * 4;
  std::vector<double> values(count, 1);
  values[5] = 0;  // 0 stays 0, though what follows would be infinite alone
  for (std::size_t i = kScanPart * 2; i < kScanPart * 3; ++i) values[i] = 1e10;
  EXPECT_EQ(answer(wire::Scan::PROD, values).back(), 0);
  values[5] = 1;  // an overflow stays infinite, though later factors would bring it back
  for (std::size_t i = kScanPart * 3; i < count; ++i) values[i] = 1e-10;
  EXPECT_EQ(answer(wire::Scan::PROD, values).back(), kInf);
  std::swap_ranges(values.begin() + kScanPart * 2, values.begin() + kScanPart * 3, values.begin() + kScanPart * 3);
  EXPECT_EQ(answer(wire::Scan::PROD, values).back(), 0);  // and an underflow 0
}

TEST(Cumprod, IsNearASequentialProduct) {
  std::mt19937_64 random(9);
  std::vector<double> values(kScanPart * 4 + 5);
  for (double& x : values) x = 1 + (static_cast<double>(random() >> 11) * 0x1p-53 - 0.5) * 0.01;
  const std::vector<double> products = answer(wire::Scan::PROD, values);
  double product = 1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    product *= values[i];
    ASSERT_NEAR(products[i] / product, 1, 1e-9) << i;
  }
}

TEST(Scan, RefusesAnUnknownOperator) {
  Operand a = operand_of<double>({1}, {1});
  const auto outcome = run_job(scan(wire::Scan::UNSPECIFIED), {a.view()});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "scan operator 0 is unknown; choose sum or prod");
}

TEST(Scans, HoldThePositiveQuietNaN) {
  constexpr std::uint64_t kNaN = 0x7ff8000000000000;
  const double other = std::bit_cast<double>(kNaN | 5), negative = -other;
  for (const auto op : {wire::Scan::SUM, wire::Scan::PROD})
    for (const std::size_t before : {std::size_t{0}, std::size_t{700}, std::size_t{2 * kScanPart}}) {
      std::vector<double> values(3 * kScanPart, 1);
      values[before] = negative;
      values[before + 1] = other;
      const auto results = answer(op, values);
      for (std::size_t i = before; i < results.size(); ++i) ASSERT_EQ(std::bit_cast<std::uint64_t>(results[i]), kNaN) << i;
      EXPECT_TRUE(before == 0 || results[before - 1] == (op == wire::Scan::SUM ? static_cast<double>(before) : 1));
      values[before] = kInf;
      values[before + 1] = op == wire::Scan::SUM ? -kInf : 0;
      EXPECT_EQ(std::bit_cast<std::uint64_t>(answer(op, values).back()), kNaN);
      const std::vector<std::complex<double>> complex(20, {kInf, 0});
      for (const std::complex<double> z : answer(op, complex))
        for (const double part : {z.real(), z.imag()}) EXPECT_TRUE(part == part || std::bit_cast<std::uint64_t>(part) == kNaN);
    }
}

}  // namespace
}  // namespace parcompute
