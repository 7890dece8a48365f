// matmul, dot, vecdot and outer beyond NumPy's answers: shapes, slices, bits, refusals.
#include <array>
#include <bit>
#include <complex>
#include <cstring>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/products_plan.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/peak_memory.h"

namespace parcompute {
namespace {

using testing::Operand;
using testing::operand_of;
using testing::run_job;
using testing::WithInstructionSet;

enum class Verb { kMatmul, kDot, kVecdot, kOuter };
wire::Operation operation_of(Verb verb) {
  wire::Operation operation;
  switch (verb) {
    case Verb::kMatmul: operation.mutable_matmul(); break;
    case Verb::kDot: operation.mutable_dot(); break;
    case Verb::kVecdot: operation.mutable_vecdot(); break;
    case Verb::kOuter: operation.mutable_outer(); break;
  }
  return operation;
}

std::vector<double> uniform(std::size_t count, std::uint32_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> between(-1, 1);
  std::vector<double> elements(count);
  for (double& x : elements) x = between(random);
  return elements;
}

std::string bytes_of(const testing::Outcome& outcome) {
  return {reinterpret_cast<const char*>(outcome.output.data()), outcome.output.size()};
}

// The same bytes however the blocks are run and on every instruction set.
void expect_same_bytes(Verb verb, Operand& a, Operand& b) {
  const auto wanted = run_job(operation_of(verb), {a.view(), b.view()});
  ASSERT_TRUE(wanted) << wanted.error().message;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (std::uint32_t seed = 1; seed < 4; ++seed)
      EXPECT_EQ(bytes_of(*run_job(operation_of(verb), {a.view(), b.view()}, {.seed = seed})), bytes_of(*wanted))
          << isa << " seed " << seed;
  }
}

TEST(Products, HaveTheSameBytesHoweverBlocksAreRun) {
  Operand long_a = operand_of(uniform(500'003, 1), {500'003}), long_b = operand_of(uniform(500'003, 2), {500'003});
  expect_same_bytes(Verb::kDot, long_a, long_b);
  expect_same_bytes(Verb::kVecdot, long_a, long_b);
  Operand matrix = operand_of(uniform(300 * 5000, 3), {300, 5000}), row = operand_of(uniform(300, 4), {300}),
          column = operand_of(uniform(5000, 5), {5000});
  expect_same_bytes(Verb::kMatmul, matrix, column);
  expect_same_bytes(Verb::kMatmul, row, matrix);
  Operand stack = operand_of(uniform(700 * 12 * 9, 6), {700, 12, 9}), other = operand_of(uniform(700 * 9 * 19, 7), {700, 9, 19});
  expect_same_bytes(Verb::kMatmul, stack, other);
  Operand tall = operand_of(uniform(9000 * 11, 8), {9000, 11}), small = operand_of(uniform(11 * 6, 9), {11, 6});
  expect_same_bytes(Verb::kMatmul, tall, small);
  expect_same_bytes(Verb::kOuter, row, column);
}

// A product with a long inner dimension has blocks to share out, and partial sums in scratch.
TEST(Products, LongInnerDimensionsAreSliced) {
  const auto plan_of = [](Verb verb, const ArraySpec& a, const ArraySpec& b) {
    const std::array<OperandInfo, 2> inputs{{{a, "a"}, {b, "b"}}};
    return *plan_operation(operation_of(verb), inputs);
  };
  const auto spec = [](Dims shape) { return *make_spec(DType::kFloat64, std::move(shape)); };
  const Plan dot = plan_of(Verb::kDot, spec({100'000'000}), spec({100'000'000}));
  ASSERT_EQ(dot.phases.size(), 2U);
  EXPECT_GE(dot.phases[0].blocks, 256U);
  EXPECT_EQ(dot.phases[1].blocks, 1U);
  EXPECT_EQ(dot.scalar, DType::kFloat64);
  const Plan gram = plan_of(Verb::kMatmul, spec({50, 10'000'000}), spec({10'000'000, 50}));
  ASSERT_EQ(gram.phases.size(), 2U);
  EXPECT_GE(gram.phases[0].blocks, 64U);
  const Plan vecmat = plan_of(Verb::kMatmul, spec({10'000'000}), spec({10'000'000, 4}));
  EXPECT_GE(vecmat.phases[0].blocks, 64U);
  // A square one is not.
  EXPECT_EQ(plan_of(Verb::kMatmul, spec({2000, 2000}), spec({2000, 2000})).phases.size(), 1U);
}

// A stack by one matrix is one tall matrix by it; vectors of a contiguous stack are rows of one.
TEST(Products, StacksThatAreOneProductBecomeOne) {
  const auto contraction = [](Verb verb, Dims left, Dims right) {
    const std::array<OperandInfo, 2> inputs{
        {{*make_spec(DType::kFloat64, std::move(left)), "a"}, {*make_spec(DType::kFloat64, std::move(right)), "b"}}};
    return *contract(operation_of(verb), inputs);
  };
  const Contraction tall = contraction(Verb::kMatmul, {100, 32, 16}, {16, 8});
  EXPECT_EQ(tall.batch(), 1U);
  EXPECT_EQ(tall.m, 3200);
  const Contraction rows = contraction(Verb::kVecdot, {10, 20, 3}, {10, 20, 3});
  EXPECT_EQ(rows.batch(), 1U);
  EXPECT_EQ(rows.m, 200);
  EXPECT_EQ(rows.b_by_row, 24);
  EXPECT_EQ(contraction(Verb::kMatmul, {7, 4, 5}, {7, 5, 6}).batch(), 7U);
  const Contraction dot = contraction(Verb::kDot, {2, 3, 4}, {5, 4, 6});
  EXPECT_EQ(dot.shape, (Dims{2, 3, 5, 6}));
  EXPECT_EQ(dot.m, 6);
  EXPECT_EQ(dot.c_row, 30);
  EXPECT_TRUE(contraction(Verb::kMatmul, {4}, {4, 9}).is_swapped);
}

TEST(Products, ComplexVecdotConjugatesTheFirstOperand) {
  using C = std::complex<double>;
  Operand a = operand_of(std::vector<C>{{1, 2}, {3, -4}}, {2}), b = operand_of(std::vector<C>{{5, 6}, {-7, 8}}, {2});
  EXPECT_EQ(run_job(operation_of(Verb::kVecdot), {a.view(), b.view()})->scalar_as<C>(),
            (C{1, -2} * C{5, 6} + C{3, 4} * C{-7, 8}));
  EXPECT_EQ(run_job(operation_of(Verb::kDot), {a.view(), b.view()})->scalar_as<C>(),
            (C{1, 2} * C{5, 6} + C{3, -4} * C{-7, 8}));
}

TEST(Products, IntegersWrapAndBoolsAreOrs) {
  Operand a = operand_of(std::vector<std::int8_t>{100, 100, 7}, {3}), b = operand_of(std::vector<std::int8_t>{2, 100, -5}, {3});
  EXPECT_EQ(run_job(operation_of(Verb::kDot), {a.view(), b.view()})->scalar_as<std::int8_t>(),
            static_cast<std::int8_t>(200 + 10'000 - 35));
  // Bytes that are neither 0 nor 1 are true.
  Operand odd{*make_spec(DType::kBool, {2, 2}), testing::Buffer(4), "a"};
  std::memset(odd.buffer.data(), 6, 3);
  const auto c = run_job(operation_of(Verb::kMatmul), {odd.view(), odd.view()});
  EXPECT_EQ(bytes_of(*c), std::string("\1\1\1\1", 4));
}

TEST(Products, OfNothingAreZeros) {
  for (const DTypeInfo& dtype : kDTypes)
    for (const Verb verb : {Verb::kMatmul, Verb::kDot}) {
      Operand a{*make_spec(dtype.dtype, {3, 0}), testing::Buffer(), ""}, b{*make_spec(dtype.dtype, {0, 5}), testing::Buffer(), ""};
      const auto c = run_job(operation_of(verb), {a.view(), b.view()}, {.seed = 1});
      ASSERT_TRUE(c);
      EXPECT_EQ(bytes_of(*c), std::string(15 * dtype.itemsize, '\0')) << dtype.name;
    }
  Operand none = operand_of(std::vector<double>{}, {0});
  EXPECT_EQ(run_job(operation_of(Verb::kDot), {none.view(), none.view()}, {.with_output = false})->scalar_as<double>(), 0);
  EXPECT_TRUE(run_job(operation_of(Verb::kOuter), {none.view(), none.view()})->plan.phases.empty());
}

// Sums of many equal terms: what one long chain of additions would lose.
TEST(Products, LongFloatDotsKeepTheirDigits) {
  constexpr std::size_t kCount = 3'000'000;
  Operand a = operand_of(std::vector<float>(kCount, 0.1F), {kCount}), b = operand_of(std::vector<float>(kCount, 0.3F), {kCount});
  const double wanted = static_cast<double>(0.1F) * static_cast<double>(0.3F) * kCount;
  EXPECT_EQ(run_job(operation_of(Verb::kDot), {a.view(), b.view()})->scalar_as<float>(), static_cast<float>(wanted));
  Operand c = operand_of(std::vector<double>(kCount, 0.1), {kCount}), d = operand_of(std::vector<double>(kCount, 0.3), {kCount});
  EXPECT_NEAR(run_job(operation_of(Verb::kDot), {c.view(), d.view()})->scalar_as<double>(), 0.1 * 0.3 * kCount, 1e-9);
}

TEST(Products, RefusalsNameBothOperandsAndTheReason) {
  const auto refusal = [](Verb verb, DType left, Dims left_shape, DType right, Dims right_shape) -> std::string {
    const std::array<OperandInfo, 2> inputs{
        {{*make_spec(left, std::move(left_shape)), "a"}, {*make_spec(right, std::move(right_shape)), "b"}}};
    const auto plan = plan_operation(operation_of(verb), inputs);
    return plan ? "served" : plan.error().message;
  };
  EXPECT_EQ(refusal(Verb::kDot, DType::kInt8, {3, 4}, DType::kFloat32, {2, 3, 5}),
            "'a' (int8, 3x4) does not match 'b' (float32, 2x3x5) for dot: a's last dimension 4 and b's second to last "
            "dimension 3");
  EXPECT_EQ(refusal(Verb::kDot, DType::kInt8, {4}, DType::kInt8, {3}),
            "'a' (int8, 4) does not match 'b' (int8, 3) for dot: a's last dimension 4 and b's only dimension 3");
  EXPECT_EQ(refusal(Verb::kVecdot, DType::kInt8, {3, 4}, DType::kInt8, {3, 5}),
            "'a' (int8, 3x4) does not match 'b' (int8, 3x5) for vecdot: last dimensions 4 and 5");
  EXPECT_EQ(refusal(Verb::kVecdot, DType::kInt8, {3, 4}, DType::kInt8, {2, 4}),
            "'a' (int8, 3x4) does not match 'b' (int8, 2x4) for vecdot: leading dimensions 3 and 2 (axis 0)");
  EXPECT_EQ(refusal(Verb::kVecdot, DType::kInt8, {}, DType::kInt8, {4}), "'a' (int8, ()) has no dimensions; vecdot takes 1 or more");
  EXPECT_THAT(refusal(Verb::kOuter, DType::kFloat64, {1LL << 31}, DType::kFloat64, {1LL << 31}),
              ::testing::HasSubstr("the product of 'a' (float64, 2147483648) and 'b' (float64, 2147483648)"));
}

// Every element of every product belongs to one tile, every step of its sum to one slice.
TEST(Products, TilingsCoverEveryProductOnce) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 3000; ++round) {
    const auto side = [&] { return static_cast<std::int64_t>(std::exp(static_cast<double>(random() % 1300) / 100)); };
    const DType dtype = kDTypes[random() % kDTypes.size()].dtype;
    Dims left{side(), side()}, right{left[1], random() % 4 == 0 ? 1 : side()};
    if (random() % 2 == 0) left.insert(left.begin(), 1 + static_cast<std::int64_t>(random() % 50));
    const auto a = make_spec(dtype, left), b = make_spec(dtype, right);
    const std::array<OperandInfo, 2> inputs{{{*a, "a"}, {*b, "b"}}};
    const auto c = contract(operation_of(Verb::kMatmul), inputs);
    if (!c) continue;
    const MatmulTiling tiling = tile_contraction(*c, inputs);
    SCOPED_TRACE(fmt::format("{} by {}", format_spec(*a), format_spec(*b)));
    const auto covers = [](std::uint64_t count, std::int64_t piece, std::int64_t length) {
      const auto pieces = static_cast<std::int64_t>(count);
      return pieces * piece >= length && (pieces - 1) * piece < length;
    };
    ASSERT_TRUE(covers(tiling.tiles_m, tiling.tile_m, c->m));
    ASSERT_TRUE(covers(tiling.tiles_n, tiling.tile_n, c->n));
    ASSERT_TRUE(covers(tiling.slices, tiling.slice_k, c->k)) << tiling.slices << " of " << tiling.slice_k;
    ASSERT_TRUE(tiling.products_per_block == 1 || (tiling.tiles() == 1 && tiling.slices == 1));
    ASSERT_GE(tiling.blocks() * tiling.products_per_block, tiling.batch * tiling.tiles() * tiling.slices);
    ASSERT_GT(tiling.block_ns, 0);
    const auto plan = plan_operation(operation_of(Verb::kMatmul), inputs);
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_LE(plan->scratch_bytes, std::uint64_t{64} << 20);
  }
}

// A view says nothing about how much memory it has: an element that is repeated is as long a vector as a peer likes.
TEST(Products, CopyLittleOfVectorsOfAnyLength) {
  constexpr std::int64_t kLong = std::int64_t{1} << 26;
  const auto repeated = [](Dims shape, Dims strides) {
    Operand operand = operand_of(std::vector<double>(5000, 1.0), {5000});
    operand.spec.shape = std::move(shape);
    operand.spec.strides = std::move(strides);
    return operand;
  };
  Operand vector = repeated({kLong}, {0});
  Operand by_rows = repeated({8192, kLong}, {0, 0});
  // Of the last tile's only row, in each of many products.
  Operand by_columns = repeated({1100, 4097, kLong}, {0, 8, 0});
  for (Operand* matrix : {&by_rows, &by_columns}) {
    const std::array<View, 2> views{matrix->view(), vector.view()};
    const std::array<OperandInfo, 2> operands{{{views[0].spec, "a"}, {views[1].spec, "b"}}};
    const wire::Operation operation = operation_of(Verb::kMatmul);
    const auto plan = plan_operation(operation, operands);
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_EQ(plan->phases.size(), 1U);
    testing::Buffer output(byte_count(*plan->output));
    const testing::PeakMemory memory;
    const auto kernel = make_kernel({operation, *plan, {views[0], views[1]}, {{*plan->output, "out", output.data()}}, {}});
    ScalarBytes scalar;
    ASSERT_TRUE(kernel->run(0, {plan->phases[0].blocks - 1, 1}, scalar));
    EXPECT_LT(memory.grown_mebibytes(), 32U);
    double sum;
    std::memcpy(&sum, output.data() + output.size() - sizeof sum, sizeof sum);
    EXPECT_EQ(sum, static_cast<double>(kLong));
  }
}

// Vectors with gaps and of other dtypes are packed whole up to some length, and in pieces above it.
TEST(Products, OfLongVectorsAreTheSameWithGapsAndOfAnotherDType) {
  constexpr std::int64_t kLong = 300'001;
  std::vector<float> elements;
  for (const double x : uniform(2 * kLong, 3)) elements.push_back(static_cast<float>(x));
  Operand with_gaps = operand_of(elements, {kLong});
  with_gaps.spec.strides[0] *= 2;
  std::vector<double> picked;
  for (std::size_t i = 0; i < elements.size(); i += 2) picked.push_back(static_cast<double>(elements[i]));
  Operand dense = operand_of(picked, {kLong});
  Operand rows = operand_of(uniform(11 * kLong, 4), {11, kLong});
  Operand columns = operand_of(uniform(11 * kLong, 4), {11, kLong}, 0, Order::kFortran);
  Operand unsliced = operand_of(uniform(kLong, 5), {1, kLong});
  unsliced.spec.shape = {1024, 1, kLong};
  unsliced.spec.strides.insert(unsliced.spec.strides.begin(), 0);
  for (Operand* matrix : {&rows, &columns, &unsliced})
    for (const std::int64_t length : {kLong, std::int64_t{262'144}, std::int64_t{262'145}}) {
      if (matrix == &unsliced && length != kLong) continue;
      with_gaps.spec.shape[0] = dense.spec.shape[0] = matrix->spec.shape.back() = length;
      const auto wanted = run_job(operation_of(Verb::kMatmul), {matrix->view(), dense.view()});
      const auto got = run_job(operation_of(Verb::kMatmul), {matrix->view(), with_gaps.view()}, {.seed = 2});
      EXPECT_EQ(bytes_of(*got), bytes_of(*wanted)) << length;
    }
}

// Which of two NaNs a sum is, and the sign of one that it makes, follow from compilers and instruction sets.
TEST(Products, HoldTheSameNaNOnEveryInstructionSet) {
  const auto check = [](Verb verb, auto zero, const Dims& a_shape, const Dims& b_shape) {
    using T = decltype(zero);
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    const Bits nan = std::bit_cast<Bits>(std::numeric_limits<T>::quiet_NaN());
    const T specials[] = {std::bit_cast<T>(static_cast<Bits>(nan | 1)), std::bit_cast<T>(static_cast<Bits>(~Bits{0} - 7)), kInfinity, -kInfinity, T{0}, T{1}, T{-2}, T{3}};
    const auto elements = [&](const Dims& shape, std::size_t step) {
      std::vector<T> values(element_count(*make_spec(dtype_of<T>(), shape)));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = specials[(i * step + i / 11) % 8];
      return operand_of(values, shape);
    };
    Operand a = elements(a_shape, 3), b = elements(b_shape, 5);
    // The same bytes as complex numbers, half as many along the last axis.
    Operand complex_a = elements(a_shape, 3), complex_b = elements(b_shape, 5);
    for (Operand* operand : {&complex_a, &complex_b}) {
      operand->spec = *make_spec(sizeof(T) == 4 ? DType::kComplex64 : DType::kComplex128, operand->spec.shape);
      Operand larger{operand->spec, testing::Buffer(byte_count(operand->spec))};
      for (std::size_t at = 0; at < larger.buffer.size(); ++at) larger.buffer.data()[at] = operand->buffer.data()[at % operand->buffer.size()];
      *operand = std::move(larger);
    }
    for (const auto& [x, y] : {std::pair(&a, &b), std::pair(&complex_a, &complex_b)}) {
      if (verb == Verb::kMatmul && x == &complex_a && b_shape.size() > 1 && b_shape.back() > 1) continue;  // OpenBLAS's
      expect_same_bytes(verb, *x, *y);
      const auto outcome = run_job(operation_of(verb), {x->view(), y->view()});
      std::size_t nans = 0;
      for (const T result : outcome->template output_as<T>()) {
        if (result == result) continue;
        ++nans;
        ASSERT_EQ(std::bit_cast<Bits>(result), nan);
      }
      EXPECT_GT(nans, 0U);
    }
  };
  const auto check_both = [&](Verb verb, const Dims& a, const Dims& b) {
    SCOPED_TRACE(format_shape(a) + " by " + format_shape(b));
    check(verb, float{}, a, b);
    check(verb, double{}, a, b);
  };
  check_both(Verb::kMatmul, {40, 3, 7}, {40, 7, 5});
  check_both(Verb::kMatmul, {100, 33}, {33, 29});
  check_both(Verb::kMatmul, {9, 300}, {300});
  check_both(Verb::kVecdot, {50, 6}, {50, 6});
  check_both(Verb::kVecdot, {2, 300'000}, {2, 300'000});
  check_both(Verb::kOuter, {70}, {90});
}

// Large results of small products are written around the caches where their rows are whole lines: the same bytes as those of
// a part of the product that is too small for that, wherever the result lies and however the blocks are run.
TEST(Products, WrittenAroundTheCachesAreTheSame) {
  const auto check = [](auto zero, std::int64_t batch, std::int64_t m, std::int64_t k, std::int64_t n) {
    using T = decltype(zero);
    SCOPED_TRACE(fmt::format("{} products of {}x{} by {}x{}", batch, m, k, k, n));
    const auto numbers = [](std::int64_t count, std::uint32_t seed) {
      std::vector<T> elements;
      for (const double x : uniform(static_cast<std::size_t>(count), seed)) elements.push_back(static_cast<T>(x));
      return elements;
    };
    Operand a = operand_of(numbers(batch * m * k, 1), {batch, m, k}), b = operand_of(numbers(batch * k * n, 2), {batch, k, n});
    const wire::Operation operation = operation_of(Verb::kMatmul);
    // A quarter of the stack, or of the rows.
    const std::size_t axis = batch > 1 ? 0 : 1;
    std::string wanted;
    for (int part = 0; part < 4; ++part) {
      const auto cut = [&](const Operand& operand, View view) {
        view.spec.shape[axis] /= 4;
        view.spec.offset = static_cast<std::uint64_t>(part * view.spec.shape[axis] * operand.spec.strides[axis]);
        return view;
      };
      wanted += bytes_of(*run_job(operation, {cut(a, a.view()), batch > 1 ? cut(b, b.view()) : b.view()}));
    }
    const std::array<View, 2> views{a.view(), b.view()};
    const std::array<OperandInfo, 2> operands{{{a.spec, "a"}, {b.spec, "b"}}};
    const Plan plan = *plan_operation(operation, operands);
    ASSERT_EQ(tile_contraction(*contract(operation, operands), operands).route, ProductRoute::kSmall);
    ASSERT_GT(byte_count(*plan.output), std::uint64_t{16} << 20);
    ASSERT_EQ(wanted.size(), byte_count(*plan.output));
    const std::uint64_t blocks = plan.phases[0].blocks;
    const auto run = [&](std::size_t shift, std::uint64_t at_once) {
      testing::Buffer output(wanted.size(), shift);
      const auto kernel = make_kernel({operation, plan, {views[0], views[1]}, {{*plan.output, "out", output.data()}}, {}});
      ScalarBytes scalar;
      // The last ones first.
      for (std::uint64_t end = blocks; end > 0;) {
        const std::uint64_t count = std::min(at_once, end);
        EXPECT_TRUE(kernel->run(0, {end - count, count}, scalar));
        end -= count;
      }
      return wanted.compare(0, wanted.size(), reinterpret_cast<const char*>(output.data()), wanted.size()) == 0;
    };
    for (const std::size_t shift : {0, 8, 32})
      for (const std::uint64_t at_once : {std::uint64_t{1}, std::uint64_t{7}, blocks}) EXPECT_TRUE(run(shift, at_once)) << shift << ' ' << at_once;
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      EXPECT_TRUE(run(0, 3)) << isa;
    }
  };
  check(double{}, 1, 72'000, 5, 32);
  check(float{}, 1, 72'000, 5, 64);
  check(double{}, 1200, 40, 6, 48);
  check(float{}, 1200, 80, 3, 48);
  // Rows that are no whole lines.
  check(double{}, 1, 80'000, 4, 29);
}

}  // namespace
}  // namespace parcompute
