// random: the stream, the distributions, and that neither workers nor instruction sets change a bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/random_plan.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/philox.h"
#include "worker/kernels/random_loops.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::run_job;
using testing::WithInstructionSet;

wire::Operation random_of(DType dtype, Dims shape, std::uint64_t key = 1) {
  wire::Operation operation;
  to_wire(*make_spec(dtype, std::move(shape)), *operation.mutable_random()->mutable_spec());
  operation.mutable_random()->set_key_low(key);
  return operation;
}
wire::Operation uniform(DType dtype, Dims shape, double low = 0, double high = 1) {
  wire::Operation operation = random_of(dtype, std::move(shape));
  operation.mutable_random()->mutable_uniform()->set_low(low);
  operation.mutable_random()->mutable_uniform()->set_high(high);
  return operation;
}
wire::Operation normal(DType dtype, Dims shape, double mean = 0, double deviation = 1, std::uint64_t key = 1) {
  wire::Operation operation = random_of(dtype, std::move(shape), key);
  operation.mutable_random()->mutable_normal()->set_mean(mean);
  operation.mutable_random()->mutable_normal()->set_standard_deviation(deviation);
  return operation;
}
wire::Operation exponential(DType dtype, Dims shape, double scale = 1) {
  wire::Operation operation = random_of(dtype, std::move(shape), 3);
  operation.mutable_random()->mutable_exponential()->set_scale(scale);
  return operation;
}
template <class T>
wire::Operation integers(Dims shape, T least, T most) {
  wire::Operation operation = random_of(dtype_of<T>(), std::move(shape));
  auto& range = *operation.mutable_random()->mutable_integers();
  range.set_least(&least, sizeof least);
  range.set_most(&most, sizeof most);
  return operation;
}

std::string message_of(const wire::Operation& operation) {
  const auto plan = plan_operation(operation, {});
  return plan ? "planned" : plan.error().message;
}

TEST(Philox, GivesNumPysWords) {
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    std::array<std::uint64_t, 64> words{};
    philox_words({{7, 0}, 0}, 0, words);
    // numpy.random.Philox(key=7).random_raw(5)
    EXPECT_EQ((std::vector<std::uint64_t>(words.begin(), words.begin() + 5)),
              (std::vector<std::uint64_t>{0xdf4034b829e9fba4, 0x4b9d10cdf8e64087, 0x6b8b857e506aac98,
                                          0x67c7c945b1ba6e52, 0x15352da77ecee8e6}));
  }
}

TEST(Philox, AnyPieceOfTheStreamIsTheSameOnEveryInstructionSet) {
  const PhiloxStream stream{{0x123456789abcdef, 0xfedcba987654321}, 77};
  std::vector<std::uint64_t> all(4096);
  {
    const WithInstructionSet with("sse2");
    philox_words(stream, 5, all);
  }
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const std::size_t first : {0, 1, 7, 500})
      for (const std::size_t blocks : {1, 2, 3, 15, 16, 17, 33, 500}) {
        std::vector<std::uint64_t> piece(4 * blocks);
        philox_words(stream, 5 + first, piece);
        EXPECT_TRUE(std::equal(piece.begin(), piece.end(), all.begin() + static_cast<std::ptrdiff_t>(4 * first)))
            << isa;
      }
  }
}

TEST(Philox, CountersCarryIntoTheSecondWord) {
  std::vector<std::uint64_t> wanted(4 * 64);
  for (std::uint64_t block = 0; block < 64; ++block) {
    // One block at a time is the plain code.
    const PhiloxStream stream{{9, 9}, std::numeric_limits<std::uint64_t>::max() - 20};
    philox_words(stream, block, {wanted.data() + 4 * block, 4});
  }
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    std::vector<std::uint64_t> words(wanted.size());
    philox_words({{9, 9}, std::numeric_limits<std::uint64_t>::max() - 20}, 0, words);
    EXPECT_EQ(words, wanted) << isa;
  }
}

template <class T>
void expect_same_everywhere(const wire::Operation& operation) {
  std::vector<T> wanted;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const std::uint32_t seed : {0, 1, 2}) {
      const auto outcome = run_job(operation, {}, {.seed = seed});
      ASSERT_TRUE(outcome) << outcome.error().message;
      const auto got = outcome->template output_as<T>();
      if (wanted.empty()) wanted = got;
      ASSERT_EQ(got.size(), wanted.size());
      EXPECT_EQ(std::memcmp(got.data(), wanted.data(), got.size() * sizeof(T)), 0) << isa << " " << seed;
    }
  }
}

TEST(Random, SameBitsHoweverBlocksAreRunAndOnEveryInstructionSet) {
  for (const std::int64_t size : {1, 1000, 400'003}) {
    expect_same_everywhere<double>(uniform(DType::kFloat64, {size}, -3, 5));
    expect_same_everywhere<float>(uniform(DType::kFloat32, {size}, -3, 5));
    expect_same_everywhere<double>(normal(DType::kFloat64, {size}, 1, 2));
    expect_same_everywhere<float>(normal(DType::kFloat32, {size}));
    expect_same_everywhere<double>(exponential(DType::kFloat64, {size}));
    expect_same_everywhere<std::int64_t>(integers<std::int64_t>({size}, -5, 1'000'000));
    expect_same_everywhere<std::uint8_t>(integers<bool>({size}, false, true));
  }
}

TEST(Random, LargeArraysThatPassByTheCachesAreTheSame) {
  const auto large = run_job(uniform(DType::kFloat64, {5'000'000}), {}, {.seed = 4})->output_as<double>();
  const auto small = run_job(uniform(DType::kFloat64, {300'000}), {})->output_as<double>();
  EXPECT_TRUE(std::equal(small.begin(), small.end(), large.begin()));
}

TEST(Random, CounterPassesOverBlocksOfFourWords) {
  auto later = uniform(DType::kFloat64, {1000});
  later.mutable_random()->set_counter(100);
  const auto all = run_job(uniform(DType::kFloat64, {1400}), {})->output_as<double>();
  EXPECT_EQ(run_job(later, {})->output_as<double>(), std::vector<double>(all.begin() + 400, all.end()));
}

TEST(Random, EmptyArraysNeedNoBlocks) {
  EXPECT_TRUE(run_job(uniform(DType::kFloat64, {0, 7}), {})->plan.phases.empty());
}

// The largest distance between the sample's distribution and the exact one, times sqrt(n): above 1.95 in one of 1000
// tries.
template <class Cdf>
double kolmogorov_smirnov(std::vector<double> sample, Cdf cdf) {
  std::sort(sample.begin(), sample.end());
  const double n = static_cast<double>(sample.size());
  double most = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double exact = cdf(sample[i]), below = static_cast<double>(i) / n;
    most = std::max({most, exact - below, below + 1 / n - exact});
  }
  return most * std::sqrt(n);
}

double normal_cdf(double z) {
  return std::erfc(-z / std::sqrt(2.0)) / 2;
}

TEST(Random, NormalNumbersHaveTheirDistribution) {
  for (const std::uint64_t key : {1, 2, 3, 4}) {
    const auto z = run_job(normal(DType::kFloat64, {1'000'000}, 0, 1, key), {})->output_as<double>();
    EXPECT_LT(kolmogorov_smirnov(z, normal_cdf), 1.95) << key;
    double sum[5] = {};
    for (const double x : z)
      for (int power = 1; power <= 4; ++power) sum[power] += std::pow(x, power);
    // Five standard deviations of each moment's mean: 1, sqrt(2), sqrt(15), sqrt(96) over sqrt(n).
    EXPECT_LT(std::abs(sum[1] / 1e6), 0.005);
    EXPECT_LT(std::abs(sum[2] / 1e6 - 1), 0.0071);
    EXPECT_LT(std::abs(sum[3] / 1e6), 0.0194);
    EXPECT_LT(std::abs(sum[4] / 1e6 - 3), 0.049);
    // 2 * 1e6 * (1 - cdf(4)) = 63.3 on average.
    const auto beyond = std::count_if(z.begin(), z.end(), [](double x) { return std::abs(x) > 4; });
    EXPECT_NEAR(static_cast<double>(beyond), 63.3, 40);
  }
}

TEST(Random, ExponentialNumbersHaveTheirDistribution) {
  const auto x = run_job(exponential(DType::kFloat64, {1'000'000}, 2), {})->output_as<double>();
  EXPECT_LT(kolmogorov_smirnov(x, [](double t) { return -std::expm1(-t / 2); }), 1.95);
}

TEST(Random, UniformNumbersHaveTheirDistribution) {
  const auto x = run_job(uniform(DType::kFloat64, {1'000'000}, -2, 3), {})->output_as<double>();
  EXPECT_LT(kolmogorov_smirnov(x, [](double t) { return (t + 2) / 5; }), 1.95);
  const auto single = run_job(uniform(DType::kFloat32, {1'000'000}), {})->output_as<float>();
  EXPECT_LT(kolmogorov_smirnov({single.begin(), single.end()}, [](double t) { return t; }), 1.95);
}

// Of words that are everywhere, and densest at the ends and at the seams between the approximations.
std::vector<std::uint64_t> telling_words() {
  std::vector<std::uint64_t> words;
  for (unsigned bit = 0; bit < 63; ++bit)
    for (const std::uint64_t low : {0, 1, 3, 12345})
      words.push_back((std::uint64_t{1} << bit) + low % (std::uint64_t{1} << bit));
  for (const double p : {0.075, std::exp(-25.0), 0.25, 0.5})
    for (int step = -500; step < 500; ++step) {
      const double word = p * 0x1p64 * (1 + step * 1e-13);
      if (word < 0x1p63) words.push_back(static_cast<std::uint64_t>(word));
    }
  words.push_back(0);
  for (std::size_t i = words.size(); i-- > 0;) words.push_back(~words[i]);
  while (words.size() % 64 != 0) words.push_back(0);
  return words;
}

// Calls loop(words, count, out) strip by strip.
template <class Loop>
std::vector<double> in_strips(const std::vector<std::uint64_t>& words, Loop loop) {
  std::vector<double> out(words.size());
  for (std::size_t at = 0; at < words.size(); at += kRandomStrip)
    loop(words.data() + at, std::min(kRandomStrip, words.size() - at), out.data() + at);
  return out;
}

TEST(Random, NormalQuantilesAreExactFarIntoTheTails) {
  const auto words = telling_words();
  std::vector<double> first;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    const auto z = in_strips(words, normal_quantiles);
    if (first.empty()) first = z;
    EXPECT_EQ(std::memcmp(z.data(), first.data(), z.size() * sizeof(double)), 0) << isa;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto m = static_cast<double>(words[i] & ~(std::uint64_t{1} << 63));
      const double p = (m + 0.5) * 0x1p-64;
      ASSERT_EQ(std::signbit(z[i]), words[i] >> 63 != 0);
      // The other tail's probability, whose relative error is z^2 times the quantile's.
      const double back = std::erfc(std::abs(z[i]) / std::sqrt(2.0)) / 2;
      ASSERT_NEAR(back / p, 1, 1e-15 * (2 + 2 * z[i] * z[i])) << fmt::format("p {} z {}", p, z[i]);
    }
  }
}

TEST(Random, ExponentialQuantilesAreExactAtBothEnds) {
  const auto words = telling_words();
  std::vector<double> first;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    const auto x = in_strips(words, exponential_quantiles);
    if (first.empty()) first = x;
    EXPECT_EQ(std::memcmp(x.data(), first.data(), x.size() * sizeof(double)), 0) << isa;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const bool upper = words[i] >> 63 != 0;
      const double near = (static_cast<double>(upper ? ~words[i] : words[i]) + 0.5) * 0x1p-64;
      const double wanted = upper ? -std::log1p(-near) : -std::log(near);
      ASSERT_NEAR(x[i] / wanted, 1, 5e-16) << fmt::format("word {:x}", words[i]);
    }
  }
}

TEST(Random, QuantilesOfAPartOfAStripAreThoseOfAll) {
  const auto words = telling_words();
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const auto loop : {normal_quantiles, exponential_quantiles}) {
      std::vector<double> all(kRandomStrip);
      loop(words.data(), kRandomStrip, all.data());
      for (const std::size_t count : {0, 1, 3, 7, 8, 9, 255}) {
        std::vector<double> part(count + 1, 777);
        loop(words.data(), count, part.data());
        EXPECT_TRUE(std::equal(part.begin(), part.end() - 1, all.begin())) << isa << " " << count;
        EXPECT_EQ(part[count], 777) << "written behind the end";
      }
    }
  }
}

// ---- integers ----

// How often each of n values may come: the squared differences' sum is near n, give or take sqrt(2 n).
template <class T>
void expect_even(const std::vector<T>& sample, T least, std::size_t n) {
  std::vector<double> counts(n);
  for (const T x : sample) {
    const auto value = static_cast<std::size_t>(static_cast<std::int64_t>(x) - static_cast<std::int64_t>(least));
    ASSERT_LT(value, n);
    ++counts[value];
  }
  const double expected = static_cast<double>(sample.size()) / static_cast<double>(n);
  double chi2 = 0;
  for (const double count : counts) chi2 += (count - expected) * (count - expected) / expected;
  EXPECT_NEAR(chi2, static_cast<double>(n - 1), 5 * std::sqrt(2.0 * static_cast<double>(n)) + 5);
}

TEST(RandomIntegers, AreEvenInEveryDType) {
  for (const DTypeInfo& row : kDTypes) {
    if (row.kind == Kind::kFloat || row.kind == Kind::kComplex) continue;
    SCOPED_TRACE(row.name);
    visit_dtype(row.dtype, [](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_same_v<T, bool>) {
        expect_even<std::uint8_t>(run_job(integers<bool>({300'000}, false, true), {})->output_as<std::uint8_t>(), 0,
                                  2);
      } else if constexpr (std::is_integral_v<T>) {
        using Limits = std::numeric_limits<T>;
        const T least = Limits::is_signed ? static_cast<T>(-50) : T{20};
        for (const int n : {1, 2, 64, 100}) {
          const T most = static_cast<T>(least + n - 1);
          expect_even<T>(run_job(integers<T>({300'000}, least, most), {}, {.seed = 5})->template output_as<T>(),
                         least, static_cast<std::size_t>(n));
        }
        // All of them, by their uppermost bits.
        auto all = run_job(integers<T>({300'000}, Limits::min(), Limits::max()), {})->template output_as<T>();
        for (T& x : all) x = static_cast<T>(x >> (8 * sizeof(T) - 4));
        expect_even<T>(all, Limits::is_signed ? static_cast<T>(-8) : T{0}, 16);
      }
    });
  }
}

TEST(RandomIntegers, WideRangesAreEvenBelowTheLastBit) {
  // 3 * 2^62 values, whose thirds must be alike: one word an element would make some twice as likely.
  const std::uint64_t n = std::uint64_t{3} << 62;
  auto sample = run_job(integers<std::uint64_t>({300'000}, 0, n - 1), {})->output_as<std::uint64_t>();
  std::vector<std::uint64_t> low_bits = sample;
  for (std::uint64_t& x : sample) x >>= 62;
  expect_even<std::uint64_t>(sample, 0, 3);
  // A word times 3/4, rounded down: 4/3 words for each value, so bit 0 and bit 1 together would be uneven.
  for (std::uint64_t& x : low_bits) x %= 3;
  expect_even<std::uint64_t>(low_bits, 0, 3);
}

TEST(RandomIntegers, TakeTheStreamsBitsAsDocumented) {
  std::vector<std::uint64_t> words(4096);
  philox_words({{1, 0}, 0}, 0, words);
  const auto byte = run_job(integers<std::uint8_t>({1000}, 10, 13), {})->output_as<std::uint8_t>();
  const auto small = run_job(integers<std::int32_t>({1000}, -7, 92), {})->output_as<std::int32_t>();
  const auto wide =
      run_job(integers<std::uint64_t>({1000}, 5, std::uint64_t{5} << 40), {})->output_as<std::uint64_t>();
  __extension__ using Wide = unsigned __int128;
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::uint64_t bits = words[i / 8] >> (8 * (i % 8)) & 0xff;
    EXPECT_EQ(byte[i], 10 + (bits * 4 >> 8));
    EXPECT_EQ(small[i], -7 + static_cast<std::int32_t>((Wide{words[i]} * 100) >> 64));
    const Wide n = (std::uint64_t{5} << 40) - 4;
    EXPECT_EQ(wide[i], 5 + static_cast<std::uint64_t>((words[2 * i + 1] * n + ((words[2 * i] * n) >> 64)) >> 64));
  }
}

// ---- refusals ----

TEST(Random, RefusalsSayWhatWouldBeAccepted) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT(message_of(uniform(DType::kFloat64, {3}, nan, 1)),
              HasSubstr("the low end of random numbers is nan; give a finite number"));
  EXPECT_THAT(message_of(uniform(DType::kFloat64, {3}, 0, infinity)),
              HasSubstr("the high end of random numbers is inf"));
  EXPECT_THAT(message_of(uniform(DType::kFloat64, {3}, 2, 1)), HasSubstr("the high end lies below the low one"));
  EXPECT_THAT(message_of(uniform(DType::kFloat64, {3}, -1e308, 1e308)), HasSubstr("choose nearer ends"));
  EXPECT_THAT(message_of(uniform(DType::kFloat32, {3}, 0, 1e39)), HasSubstr("further apart than float32 can tell"));
  EXPECT_THAT(
      message_of(uniform(DType::kInt32, {3})),
      HasSubstr("uniform random numbers cannot fill a new array of int32, 3: they are made as float32 and float64"));
  EXPECT_THAT(message_of(normal(DType::kComplex128, {3})), HasSubstr("float32 and float64"));
  EXPECT_THAT(message_of(normal(DType::kFloat64, {3}, 0, -1)),
              HasSubstr("the standard deviation of random numbers is -1; give 0 or more"));
  EXPECT_THAT(message_of(normal(DType::kFloat64, {3}, infinity, 1)), HasSubstr("mean"));
  EXPECT_THAT(message_of(exponential(DType::kFloat64, {3}, nan)), HasSubstr("scale"));
  EXPECT_THAT(message_of(integers<double>({3}, 1, 2)), HasSubstr("bool and as all integers"));
  EXPECT_THAT(message_of(integers<std::int8_t>({3}, 2, 1)), HasSubstr("no integers from 2 to 1"));
  auto operation = integers<std::int8_t>({3}, 2, 3);
  operation.mutable_random()->mutable_integers()->set_most("22");
  EXPECT_THAT(message_of(operation), HasSubstr("has 2 bytes; an element of int8 has 1"));
  operation = integers<bool>({3}, false, true);
  operation.mutable_random()->mutable_integers()->set_most("\x02");
  EXPECT_THAT(message_of(operation), HasSubstr("a bool is the byte 0 or 1"));
  EXPECT_THAT(message_of(random_of(DType::kFloat64, {3})),
              HasSubstr("choose uniform, normal, exponential or integers"));
  operation = uniform(DType::kFloat64, {3, 4});
  to_wire(*make_spec(DType::kFloat64, {3, 4}, Order::kFortran), *operation.mutable_random()->mutable_spec());
  EXPECT_THAT(message_of(operation), HasSubstr("in C order"));
}

}  // namespace
}  // namespace parcompute
