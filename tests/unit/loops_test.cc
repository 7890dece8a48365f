// What holds for every loop: the table, the same bits on every instruction set, singles, strips of any length.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/instruction_sets.h"
#include "tests/support/loop_runner.h"

namespace parcompute {
namespace {

using testing::Bytes;
using testing::LoopOperand;
using testing::LoopRun;
using testing::run_loop;
using testing::WithInstructionSet;

template <class T>
void append(Bytes& bytes, T x) {
  const auto* raw = reinterpret_cast<const std::byte*>(&x);
  bytes.insert(bytes.end(), raw, raw + sizeof x);
}

// Random bits, numbers of ordinary size, and edges. Exponents of integers' powers must not be negative.
Bytes random_elements(std::mt19937_64& random, DType dtype, std::size_t count, bool is_exponent = false) {
  Bytes bytes;
  const auto real = [&](auto zero) {
    using T = decltype(zero);
    const double edges[] = {0.0, -0.0, 1, -1, 0.5, INFINITY, -INFINITY, NAN, 1e-310, 3e38, 1e300, 710.2, -2.5, 100};
    const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
    switch (random() % 4) {
      case 0: {
        T x;
        const std::uint64_t bits = random();
        std::memcpy(&x, &bits, sizeof x);
        return x;
      }
      case 1: return static_cast<T>((unit - 0.5) * 40);
      case 2: return static_cast<T>((unit - 0.5) * std::exp2(static_cast<double>(random() % 60)));
      default: return static_cast<T>(edges[random() % std::size(edges)]);
    }
  };
  for (std::size_t i = 0; i < count; ++i) switch (dtype) {
      case DType::kFloat32: append(bytes, real(0.0F)); break;
      case DType::kFloat64: append(bytes, real(0.0)); break;
      case DType::kComplex64: append(bytes, real(0.0F)), append(bytes, real(0.0F)); break;
      case DType::kComplex128: append(bytes, real(0.0)), append(bytes, real(0.0)); break;
      default: {
        const std::size_t size = itemsize(dtype);
        std::uint64_t x = random() >> (random() % (8 * size));
        if (is_exponent) x &= ~std::uint64_t{0} >> (65 - 8 * size);
        for (std::size_t k = 0; k < size; ++k) bytes.push_back(static_cast<std::byte>(x >> (8 * k)));
      }
    }
  return bytes;
}

struct Case {
  Op op;
  DType dtype;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const OpInfo& row : kOps)
    for (const DTypeInfo& dtype : kDTypes)
      if ((row.kinds & kind_set(dtype.dtype)) != 0) cases.push_back({row.op, dtype.dtype});
  return cases;
}

std::string text_of(const Case& one, std::string_view isa) {
  return fmt::format("{} of {} on {}", info(one.op).name, name(one.dtype), isa);
}

struct Operands {
  std::vector<Bytes> bytes;
  std::vector<LoopOperand> operands;
};

Operands random_operands(std::mt19937_64& random, const Case& one, std::size_t count) {
  Operands all;
  const std::size_t number = info(one.op).operands;
  for (std::size_t k = 0; k < number; ++k) {
    const DType dtype = one.op == Op::kWhere && k == 0 ? DType::kBool : one.dtype;
    all.bytes.push_back(random_elements(random, dtype, count, one.op == Op::kPower && k == 1));
    all.operands.push_back({nullptr, itemsize(dtype)});
  }
  for (std::size_t k = 0; k < number; ++k) all.operands[k].data = all.bytes[k].data();
  return all;
}

Bytes run(const Case& one, const std::vector<LoopOperand>& operands, std::size_t count, LoopRun how = {}) {
  bool touched_outside = false;
  const Bytes out = run_loop(find_loop(one.op, one.dtype), operands, count, itemsize(result_dtype(one.op, one.dtype)),
                             how, touched_outside);
  EXPECT_FALSE(touched_outside);
  EXPECT_EQ(how.fault, LoopFault::kNone);
  return out;
}

TEST(Loops, AreThereExactlyWhereTheTableSaysSo) {
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const OpInfo& row : kOps)
      for (const DTypeInfo& dtype : kDTypes)
        EXPECT_EQ(find_loop(row.op, dtype.dtype) != nullptr, (row.kinds & kind_set(dtype.dtype)) != 0)
            << row.name << " of " << dtype.name << " on " << isa;
    for (const DTypeInfo& from : kDTypes)
      for (const DTypeInfo& to : kDTypes) EXPECT_NE(find_cast(from.dtype, to.dtype), nullptr);
  }
}

TEST(Loops, GiveTheSameBitsOnEveryInstructionSet) {
  constexpr std::size_t kCount = 5000;
  for (const Case& one : all_cases()) {
    std::mt19937_64 random(7);
    const Operands operands = random_operands(random, one, kCount);
    Bytes first;
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      const Bytes out = run(one, operands.operands, kCount);
      if (first.empty()) first = out;
      EXPECT_TRUE(out == first) << text_of(one, isa);
    }
  }
}

TEST(Loops, CastsGiveTheSameBitsOnEveryInstructionSet) {
  constexpr std::size_t kCount = 5000;
  for (const DTypeInfo& from : kDTypes)
    for (const DTypeInfo& to : kDTypes) {
      std::mt19937_64 random(8);
      const Bytes elements = random_elements(random, from.dtype, kCount);
      Bytes first;
      for (const std::string_view isa : available_instruction_sets()) {
        const WithInstructionSet with(isa);
        for (const int in_place : {-1, 0}) {
          bool touched_outside = false;
          LoopRun how{.in_place = in_place};
          const Bytes out = run_loop(find_cast(from.dtype, to.dtype), {{elements.data(), from.itemsize}}, kCount,
                                     to.itemsize, how, touched_outside);
          EXPECT_FALSE(touched_outside);
          if (first.empty()) first = out;
          EXPECT_TRUE(out == first) << from.name << " to " << to.name << " on " << isa;
        }
      }
    }
}

// Every part of a strip, wherever it lies, with any operand single or written over, is as the whole strip's.
TEST(Loops, AnElementsResultDependsOnItsOperandsAlone) {
  constexpr std::size_t kCount = 700;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const Case& one : all_cases()) {
      std::mt19937_64 random(9);
      const std::size_t number = info(one.op).operands;
      const std::size_t out_size = itemsize(result_dtype(one.op, one.dtype));
      for (unsigned singles = 0; singles < 1U << number; ++singles) {
        Operands operands = random_operands(random, one, kCount);
        // What is single is first repeated.
        for (std::size_t k = 0; k < number; ++k)
          if ((singles >> k & 1) != 0)
            for (std::size_t i = 1; i < kCount; ++i)
              std::memcpy(operands.bytes[k].data() + i * operands.operands[k].itemsize, operands.bytes[k].data(),
                          operands.operands[k].itemsize);
        const Bytes whole = run(one, operands.operands, kCount);
        for (std::size_t k = 0; k < number; ++k) operands.operands[k].is_single = (singles >> k & 1) != 0;
        for (int part = 0; part < 10; ++part) {
          const std::size_t count = part == 0 ? kCount : random() % 100;
          const std::size_t first = random() % (kCount - count + 1);
          std::vector<LoopOperand> cut = operands.operands;
          for (LoopOperand& operand : cut)
            if (!operand.is_single) operand.data += first * operand.itemsize;
          const LoopRun how{.shift = random() % 17, .in_place = static_cast<int>(random() % (number + 1)) - 1};
          const Bytes out = run(one, cut, count, how);
          ASSERT_TRUE(std::equal(out.begin(), out.end(), whole.begin() + static_cast<std::ptrdiff_t>(first * out_size)))
              << text_of(one, isa) << ", singles " << singles << ", count " << count << ", in place " << how.in_place;
        }
      }
    }
  }
}

TEST(Loops, WhereChoosesByAnyByteThatIsNotZero) {
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const DTypeInfo& dtype : kDTypes) {
      std::mt19937_64 random(10);
      constexpr std::size_t kCount = 300;
      const std::size_t size = dtype.itemsize;
      Bytes conditions;
      for (std::size_t i = 0; i < kCount; ++i)
        conditions.push_back(static_cast<std::byte>(random() % 2 == 0 ? 0 : random()));
      const Bytes a = random_elements(random, dtype.dtype, kCount), b = random_elements(random, dtype.dtype, kCount);
      const Bytes out =
          run({Op::kWhere, dtype.dtype}, {{conditions.data(), 1}, {a.data(), size}, {b.data(), size}}, kCount);
      for (std::size_t i = 0; i < kCount; ++i) {
        const Bytes& chosen = conditions[i] != std::byte{0} ? a : b;
        Bytes wanted(chosen.begin() + static_cast<std::ptrdiff_t>(i * size),
                     chosen.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
        if (dtype.dtype == DType::kBool) wanted[0] = static_cast<std::byte>(wanted[0] != std::byte{0});
        ASSERT_EQ(std::memcmp(out.data() + i * size, wanted.data(), size), 0) << dtype.name << " on " << isa;
      }
    }
  }
}

TEST(Loops, EveryByteThatIsNotZeroIsTrueAndResultsAreZeroOrOne) {
  Bytes a, b;
  for (int x = 0; x < 256; ++x)
    for (const int y : {0, 1, 2, 128, 255})
      a.push_back(static_cast<std::byte>(x)), b.push_back(static_cast<std::byte>(y));
  const auto check = [&](Op op, auto wanted) {
    const Bytes out = run({op, DType::kBool}, {{a.data(), 1}, {b.data(), 1}}, a.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      ASSERT_EQ(out[i] == std::byte{1}, wanted(a[i] != std::byte{0}, b[i] != std::byte{0})) << info(op).name;
    for (const std::byte x : out) ASSERT_LE(x, std::byte{1});
  };
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    check(Op::kBitwiseAnd, [](bool x, bool y) { return x && y; });
    check(Op::kBitwiseOr, [](bool x, bool y) { return x || y; });
    check(Op::kBitwiseXor, [](bool x, bool y) { return x != y; });
    check(Op::kEqual, [](bool x, bool y) { return x == y; });
    check(Op::kNotEqual, [](bool x, bool y) { return x != y; });
    check(Op::kLess, [](bool x, bool y) { return x < y; });
    check(Op::kLessEqual, [](bool x, bool y) { return x <= y; });
    check(Op::kGreater, [](bool x, bool y) { return x > y; });
    check(Op::kGreaterEqual, [](bool x, bool y) { return x >= y; });
    const Bytes inverted = run({Op::kInvert, DType::kBool}, {{a.data(), 1}}, a.size());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(inverted[i], static_cast<std::byte>(a[i] == std::byte{0}));
  }
}

// One divisor for all is another way to divide; C++ says what comes out.
TEST(Loops, DivisionByOneNumberIsThatByMany) {
  const auto check = [&]<class T>(T) {
    using Limits = std::numeric_limits<T>;
    std::vector<T> numbers{0, 1, 2, 3, 5, 6, 7, 10, 100, 641, Limits::max(), Limits::min(), Limits::max() - 1, static_cast<T>(Limits::min() + 1)};
    for (int bit = 2; bit < 64; bit += 3)
      for (const std::uint64_t near : {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1, (std::uint64_t{1} << bit) + 1}) {
        numbers.push_back(static_cast<T>(near));
        numbers.push_back(static_cast<T>(0 - near));
      }
    std::mt19937_64 random(64);
    for (int i = 0; i < 60; ++i) numbers.push_back(static_cast<T>(random() >> (random() % 64)));
    for (const std::string_view isa : available_instruction_sets()) {
      const testing::WithInstructionSet with(isa);
      for (const Op op : {Op::kFloorDivide, Op::kRemainder, Op::kFmod})
        for (const T divisor : numbers) {
          const std::vector<T> many(numbers.size(), divisor);
          std::vector<T> by_one(numbers.size()), by_many(numbers.size());
          const Loop loop = find_loop(op, dtype_of<T>());
          loop({.in = {numbers.data(), &divisor}, .is_single = {false, true}, .out = by_one.data(), .count = numbers.size()});
          loop({.in = {numbers.data(), many.data()}, .out = by_many.data(), .count = numbers.size()});
          ASSERT_EQ(by_one, by_many) << info(op).name << " by " << divisor << " on " << isa;
        }
    }
  };
  check(std::int64_t{});
  check(std::uint64_t{});
}

TEST(Loops, ANegativeExponentOfIntegersIsAFault) {
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    const std::int32_t ones[5] = {1, 1, 1, 1, 1}, exponents[5] = {3, 2, 0, -1, 4};
    std::int32_t out[5];
    const Loop power = find_loop(Op::kPower, DType::kInt32);
    EXPECT_EQ(power({.in = {ones, exponents}, .out = out, .count = 5}), LoopFault::kNegativePower);
    EXPECT_EQ(power({.in = {ones, exponents}, .out = out, .count = 3}), LoopFault::kNone);
    EXPECT_EQ(power({.in = {ones, exponents + 3}, .is_single = {false, true}, .out = out, .count = 5}),
              LoopFault::kNegativePower);
  }
}

TEST(Loops, MinimumOrdersNegativeZeroFirst) {
  const double a[4] = {0.0, -0.0, 0.0, -0.0}, b[4] = {-0.0, 0.0, 0.0, -0.0};
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (const bool fmin : {false, true}) {
      double low[4], high[4];
      find_loop(fmin ? Op::kFmin : Op::kMinimum, DType::kFloat64)({.in = {a, b}, .out = low, .count = 4});
      find_loop(fmin ? Op::kFmax : Op::kMaximum, DType::kFloat64)({.in = {a, b}, .out = high, .count = 4});
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(std::signbit(low[i]), std::signbit(a[i]) || std::signbit(b[i]));
        EXPECT_EQ(std::signbit(high[i]), std::signbit(a[i]) && std::signbit(b[i]));
      }
    }
  }
}

}  // namespace
}  // namespace parcompute
