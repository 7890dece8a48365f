// Reductions of whole arrays against exact arithmetic, on every instruction set, at every alignment, cut in every way.
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/operation.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using testing::Operand;
using testing::operand_of;
using testing::Outcome;
using testing::run_job;
using testing::RunOptions;
using testing::WithInstructionSet;

wire::Operation reduce(std::string_view function) {
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression(fmt::format("{}(a)", function));
  operation.mutable_evaluate()->add_names()->push_back('a');  // g++ 12 takes add_names("a") for an overflow
  return operation;
}

// Bit patterns with the dtype's borders among them.
template <class T>
std::vector<T> random_elements(std::size_t count, std::uint32_t seed) {
  std::mt19937_64 random(seed);
  std::vector<T> elements(count);
  for (T& x : elements) {
    if constexpr (std::is_floating_point_v<T>) {
      x = static_cast<T>(std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())),
                                    static_cast<int>(random() % 40) - 80));
    } else {
      x = static_cast<T>(random());
      if (random() % 16 == 0) x = std::numeric_limits<T>::max();
      if (random() % 16 == 0) x = std::numeric_limits<T>::min();
    }
  }
  return elements;
}

// Around the borders of rows, vectors, passes and segments.
template <class T>
std::vector<std::size_t> sizes() {
  const std::size_t block = 256 * 1024 / sizeof(T);
  return {1,  2,   7,   8,   15,   16,        17,    31,        33,        63,           64,
          65, 127, 255, 257, 1000, block - 1, block, block + 1, 2 * block, 3 * block + 5};
}

template <class T>
class ReduceIntegers : public ::testing::Test {};
using Integers = ::testing::Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t,
                                  std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(ReduceIntegers, Integers);

TYPED_TEST(ReduceIntegers, AreExactOnEveryInstructionSet) {
  using T = TypeParam;
  using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  for (const std::size_t size : sizes<T>()) {
    const std::vector<T> elements = random_elements<T>(size, static_cast<std::uint32_t>(size));
    std::uint64_t sum = 0;
    for (const T x : elements) sum += static_cast<std::uint64_t>(x);
    const T least = *std::min_element(elements.begin(), elements.end());
    const T most = *std::max_element(elements.begin(), elements.end());
    Operand a = operand_of(elements, {static_cast<std::int64_t>(size)}, size % 8);
    for (const std::string_view isa : available_instruction_sets()) {
      SCOPED_TRACE(fmt::format("{} elements, {}", size, isa));
      const WithInstructionSet with(isa);
      const RunOptions options{.seed = static_cast<std::uint32_t>(size)};
      EXPECT_EQ(run_job(reduce("sum"), {a.view()}, options)->template scalar_as<Wide>(),
                static_cast<Wide>(sum));
      EXPECT_EQ(run_job(reduce("min"), {a.view()}, options)->template scalar_as<T>(), least);
      EXPECT_EQ(run_job(reduce("max"), {a.view()}, options)->template scalar_as<T>(), most);
    }
  }
}

template <class T>
class ReduceFloats : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ReduceFloats, Floats);

template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

TYPED_TEST(ReduceFloats, GiveTheSameBitsHoweverTheyAreCut) {
  using T = TypeParam;
  for (const std::size_t size : sizes<T>()) {
    const std::vector<T> elements = random_elements<T>(size, 7);
    for (const std::string_view op : {"sum", "min", "max"}) {
      Operand first = operand_of(elements, {static_cast<std::int64_t>(size)});
      const auto wanted = run_job(reduce(op), {first.view()})->template scalar_as<BitsOf<T>>();
      std::uint32_t seed = 1;
      for (const std::string_view isa : available_instruction_sets()) {
        const WithInstructionSet with(isa);
        for (std::size_t shift = 0; shift < 8; ++shift, ++seed) {
          Operand a = operand_of(elements, {static_cast<std::int64_t>(size)}, shift);
          const auto got = run_job(reduce(op), {a.view()}, {.seed = seed});
          EXPECT_EQ(got->template scalar_as<BitsOf<T>>(), wanted)
              << fmt::format("{} elements, op {}, {}, shifted by {}", size, op, isa, shift);
        }
      }
    }
  }
}

// The exact sum of doubles that are multiples of 2^-80 and small.
__extension__ using Int128 = __int128;
double exact_sum(const std::vector<double>& elements) {
  Int128 sum = 0;
  for (const double x : elements) sum += static_cast<Int128>(std::ldexp(static_cast<long double>(x), 60));
  return static_cast<double>(std::ldexp(static_cast<long double>(sum), -60));
}

TEST(ReduceFloat64, SumIsTheNearestDoubleWhereEverythingCancels) {
  std::mt19937_64 random(3);
  std::vector<double> elements(100'000);
  for (std::size_t i = 0; i < elements.size(); i += 2) {
    // 53 bits above 2^-40; each value meets its negative, but for one small rest.
    elements[i] = std::ldexp(static_cast<double>(random() >> 11), -40);
    elements[i + 1] = -elements[i];
  }
  std::shuffle(elements.begin(), elements.end(), random);
  elements[17] += 0.5;
  const double wanted = exact_sum(elements);
  Operand a = operand_of(elements, {100'000});
  EXPECT_EQ(run_job(reduce("sum"), {a.view()}, {.seed = 5})->scalar_as<double>(), wanted);
}

TEST(ReduceFloat64, SumOfATenthAMillionTimesIsRoundedOnce) {
  const std::vector<double> elements(1'000'000, 0.1);
  Operand a = operand_of(elements, {1000, 1000});
  EXPECT_EQ(run_job(reduce("sum"), {a.view()})->scalar_as<double>(), 100000.0);
}

TEST(ReduceFloat32, SumIsRoundedOnce) {
  // Past 2^24 a float32 accumulator would stand still.
  const std::vector<float> elements((1U << 25) + 8, 1.0F);
  Operand a = operand_of(elements, {static_cast<std::int64_t>(elements.size())});
  EXPECT_EQ(run_job(reduce("sum"), {a.view()})->scalar_as<float>(), 33554440.0F);
}

TYPED_TEST(ReduceFloats, PropagateOneNaNAndOrderZeros) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const T inf = Limits::infinity();
  // Another NaN than the canonical one: negative, with a payload.
  const T odd_nan =
      std::bit_cast<T>(static_cast<BitsOf<T>>(std::bit_cast<BitsOf<T>>(-Limits::quiet_NaN()) | 5));
  const auto canonical = std::bit_cast<BitsOf<T>>(Limits::quiet_NaN());
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    SCOPED_TRACE(isa);
    for (const std::size_t size : {3UL, 64UL, 200UL, 40'000UL}) {
      for (const std::size_t at : {0UL, 1UL, size / 2, size - 1}) {
        const auto bits = [&](std::string_view op, const std::vector<T>& elements) {
          Operand a = operand_of(elements, {static_cast<std::int64_t>(elements.size())});
          return run_job(reduce(op), {a.view()})->template scalar_as<BitsOf<T>>();
        };
        std::vector<T> elements(size, T{1});
        elements[at] = odd_nan;
        for (const std::string_view op : {"sum", "min", "max"}) EXPECT_EQ(bits(op, elements), canonical);
        elements[at] = inf;
        EXPECT_EQ(bits("sum", elements), std::bit_cast<BitsOf<T>>(inf));
        EXPECT_EQ(bits("max", elements), std::bit_cast<BitsOf<T>>(inf));
        EXPECT_EQ(bits("min", elements), std::bit_cast<BitsOf<T>>(T{1}));
        elements[(at + 1) % size] = -inf;
        EXPECT_EQ(bits("sum", elements), canonical);
        EXPECT_EQ(bits("min", elements), std::bit_cast<BitsOf<T>>(-inf));

        std::vector<T> zeros(size, T{0});
        zeros[at] = -T{0};
        EXPECT_EQ(bits("min", zeros), std::bit_cast<BitsOf<T>>(-T{0}));
        EXPECT_EQ(bits("max", zeros), std::bit_cast<BitsOf<T>>(T{0}));
        EXPECT_EQ(bits("sum", zeros), std::bit_cast<BitsOf<T>>(T{0}));
        std::vector<T> negatives(size, -T{0});
        EXPECT_EQ(bits("max", negatives), std::bit_cast<BitsOf<T>>(-T{0}));
        negatives[at] = T{0};
        EXPECT_EQ(bits("max", negatives), std::bit_cast<BitsOf<T>>(T{0}));
      }
    }
  }
}

TYPED_TEST(ReduceFloats, KeepDenormals) {
  using T = TypeParam;
  const T tiny = std::numeric_limits<T>::denorm_min();
  Operand a = operand_of(std::vector<T>(50, tiny), {50});
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    EXPECT_EQ(run_job(reduce("sum"), {a.view()})->template scalar_as<T>(), 50 * tiny) << isa;
    EXPECT_EQ(run_job(reduce("max"), {a.view()})->template scalar_as<T>(), tiny) << isa;
  }
}

TEST(ReduceFloat64, SumThatOverflowsIsInfinite) {
  const double most = std::numeric_limits<double>::max();
  Operand a = operand_of(std::vector<double>(40, most), {40});
  EXPECT_EQ(run_job(reduce("sum"), {a.view()})->scalar_as<double>(),
            std::numeric_limits<double>::infinity());
}

TEST(ReduceBool, CountsWhatIsTrue) {
  // In a file that someone else wrote, true may be any byte but 0.
  std::vector<std::uint8_t> bytes(200'000, 0);
  for (std::size_t i = 0; i < bytes.size(); i += 3) bytes[i] = static_cast<std::uint8_t>(1 + i % 255);
  Operand a = operand_of(bytes, {200'000});
  a.spec.dtype = DType::kBool;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    EXPECT_EQ(run_job(reduce("sum"), {a.view()})->scalar_as<std::int64_t>(), 66'667) << isa;
    EXPECT_EQ(run_job(reduce("min"), {a.view()})->scalar_as<std::uint8_t>(), 0) << isa;
    EXPECT_EQ(run_job(reduce("max"), {a.view()})->scalar_as<std::uint8_t>(), 1) << isa;
  }
}

TEST(Reduce, OperandWithGapsEqualsItsCopy) {
  const std::vector<double> elements = random_elements<double>(60 * 70 * 80, 11);
  Operand base = operand_of(elements, {60, 70, 80});
  // base[::-1, 1::3, ::2]: 60 x 23 x 40
  Operand view = operand_of(elements, {60, 70, 80});
  view.spec.shape = {60, 23, 40};
  view.spec.offset = (59 * 70 * 80 + 80) * 8;
  view.spec.strides = {-70 * 80 * 8, 3 * 80 * 8, 16};
  ASSERT_TRUE(check_spec(view.spec, view.buffer.size()));
  std::vector<double> copy;
  for (std::size_t i = 60; i-- > 0;)
    for (std::size_t j = 1; j < 70; j += 3)
      for (std::size_t k = 0; k < 80; k += 2) copy.push_back(elements[(i * 70 + j) * 80 + k]);
  ASSERT_EQ(copy.size(), 60U * 23 * 40);
  Operand dense = operand_of(copy, {60, 23, 40});
  for (const std::string_view op : {"sum", "min", "max"})
    EXPECT_EQ(run_job(reduce(op), {view.view()}, {.seed = 4})->scalar_as<std::uint64_t>(),
              run_job(reduce(op), {dense.view()})->scalar_as<std::uint64_t>());
}

TEST(Reduce, BroadcastOperandCountsEveryElement) {
  Operand a = operand_of(std::vector<std::int32_t>{1, 2, 3}, {3});
  a.spec.shape = {100'000, 3};
  a.spec.strides = {0, 4};
  EXPECT_EQ(run_job(reduce("sum"), {a.view()}, {.seed = 9})->scalar_as<std::int64_t>(), 600'000);
}

TEST(Reduce, WritesTheOutputBesideTheScalar) {
  Operand a = operand_of(std::vector<float>(100'000, 0.5F), {100'000});
  for (const std::uint32_t seed : {0U, 1U}) {
    const auto outcome = run_job(reduce("sum"), {a.view()}, {.seed = seed});
    EXPECT_EQ(outcome->output_as<float>(), std::vector<float>{50'000.0F});
    const auto without = run_job(reduce("sum"), {a.view()}, {.seed = seed, .with_output = false});
    EXPECT_EQ(without->scalar_as<float>(), 50'000.0F);
  }
}

TEST(Reduce, EmptySumIsZeroAndEmptyExtremesAreRefused) {
  Operand a = operand_of(std::vector<double>{}, {3, 0});
  EXPECT_EQ(run_job(reduce("sum"), {a.view()})->scalar_as<std::uint64_t>(), 0U);
  const auto least = run_job(reduce("min"), {a.view()});
  ASSERT_FALSE(least);
  EXPECT_EQ(least.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(least.error().message, ::testing::HasSubstr("of no elements"));
}

TEST(Reduce, ZeroDimensionalOperandIsItsElement) {
  Operand a = operand_of(std::vector<std::int16_t>{-5}, {});
  EXPECT_EQ(run_job(reduce("sum"), {a.view()})->scalar_as<std::int64_t>(), -5);
  EXPECT_EQ(run_job(reduce("max"), {a.view()})->scalar_as<std::int16_t>(), -5);
}

TEST(ReducePlan, OneSegmentAnswersAtOnceAndMoreInTwoPhases) {
  constexpr std::int64_t kSegment = 256 * 1024;
  const auto plan_of = [](std::int64_t elements) {
    const std::array<OperandInfo, 1> inputs{{{*make_spec(DType::kUint8, {elements}), "a"}}};
    return *plan_operation(reduce("sum"), inputs);
  };
  const Plan one = plan_of(kSegment);
  ASSERT_EQ(one.phases.size(), 1U);
  EXPECT_EQ(one.phases[0].blocks, 1U);
  EXPECT_EQ(one.scratch_bytes, 0U);
  EXPECT_EQ(one.scalar, DType::kUint64);
  const Plan two = plan_of(kSegment + 1);
  ASSERT_EQ(two.phases.size(), 2U);
  EXPECT_EQ(two.phases[0].blocks, 2U);
  EXPECT_EQ(two.phases[1].blocks, 1U);
  EXPECT_GT(two.scratch_bytes, 0U);
  EXPECT_EQ(two.bytes_read, static_cast<std::uint64_t>(kSegment + 1));
  EXPECT_EQ(two.bytes_written, 8U);
}

}  // namespace
}  // namespace parcompute
