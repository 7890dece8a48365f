// Expressions into views that exist, piece by piece: what they give, and which of them go that way.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/array/view.h"
#include "common/operation/evaluate_plan.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/loops.h"

namespace parcompute {
namespace {

using testing::Buffer;
using testing::run_job;

wire::Operation expression(const std::string& text, const std::vector<std::string>& names) {
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression(text);
  for (const std::string& name : names) *operation.mutable_evaluate()->add_names() = name;
  return operation;
}

void fill(Buffer& buffer, DType dtype, std::mt19937& random) {
  for (std::size_t at = 0; at + itemsize(dtype) <= buffer.size(); at += itemsize(dtype)) {
    if (dtype == DType::kFloat64) {
      const double x = static_cast<double>(static_cast<int>(random() % 2000) - 1000) / 7;
      std::memcpy(buffer.data() + at, &x, sizeof x);
    } else if (dtype == DType::kFloat32) {
      const float x = static_cast<float>(static_cast<int>(random() % 2000) - 1000) / 7;
      std::memcpy(buffer.data() + at, &x, sizeof x);
    } else {
      const auto x = static_cast<std::uint32_t>(random());
      std::memcpy(buffer.data() + at, &x, std::min(itemsize(dtype), sizeof x));
    }
  }
}

// A view of a dense array: some elements of some axes, in another order, from either end.
ArraySpec random_view(const ArraySpec& whole, std::mt19937& random) {
  ArraySpec view = whole;
  for (std::size_t axis = 0; axis < view.ndim(); ++axis) {
    const auto length = view.shape[axis];
    const std::int64_t step = 1 + static_cast<std::int64_t>(random() % 3);
    const std::int64_t first = static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(std::max<std::int64_t>(1, length / 4)));
    const std::int64_t count = std::max<std::int64_t>(1, (length - first + step - 1) / step);
    view.offset += static_cast<std::uint64_t>(first * view.strides[axis]);
    view.shape[axis] = count;
    view.strides[axis] *= step;
    if (random() % 3 == 0) {
      view.offset += static_cast<std::uint64_t>((count - 1) * view.strides[axis]);
      view.strides[axis] = -view.strides[axis];
    }
  }
  if (random() % 2 == 0) view = *transposed(view);
  return view;
}

std::vector<std::byte> bytes_of(const Buffer& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

// The memory afterwards: the fresh result's elements, cast, in the view's places.
std::vector<std::byte> expected(const std::vector<std::byte>& before, const ArraySpec& into, const testing::Outcome& fresh) {
  const std::uint64_t count = element_count(into);
  std::vector<std::byte> cast(count * itemsize(into.dtype));
  Strip strip;
  strip.in[0] = fresh.output.data();
  strip.out = cast.data();
  strip.count = count;
  find_cast(fresh.plan.output->dtype, into.dtype)(strip);
  auto after = before;
  scatter(into, after.data(), 0, count, cast.data());
  return after;
}

constexpr const char* kExpressions[] = {"a + 1",     "a * b",      "a - mean(a)",         "where(a > b, a, b)", "a",          "b + 0*mean(a)",
                                        "a * a - b", "sum(a) + b", "a - max(a, axis=0)",  "abs(a)",             "a / (1 + b * b)",
                                        "minimum(a, 3)"};

TEST(Pieces, GiveWhatANewArrayWouldHold) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const std::string text = kExpressions[random() % std::size(kExpressions)];
    const DType dtype = random() % 3 == 0 ? DType::kFloat32 : DType::kFloat64;
    Dims shape;
    const std::size_t ndim = 1 + random() % 3;
    for (std::size_t axis = 0; axis < ndim; ++axis) shape.push_back(ndim == 1 ? 1 + random() % 90'000 : 1 + random() % (ndim == 2 ? 300 : 40));
    const ArraySpec whole = *make_spec(dtype, shape);
    Buffer memory(byte_count(whole));
    fill(memory, dtype, random);
    const ArraySpec view = random_view(whole, random);
    const ArraySpec other = *make_spec(random() % 2 == 0 ? dtype : DType::kFloat32, view.shape);
    Buffer other_memory(byte_count(other));
    fill(other_memory, other.dtype, random);
    SCOPED_TRACE(fmt::format("{}: {} into {}", round, text, format_spec(view)));

    const View into{view, "a", memory.data(), -1, 0};
    const std::vector<View> inputs{into, {other, "b", other_memory.data(), -1, 0}};
    const bool has_b = text.find('b') != std::string::npos && text != "abs(a)";  // every name must be used
    const auto names = has_b ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a"};
    const std::vector<View> used(inputs.begin(), inputs.begin() + (has_b ? 2 : 1));
    const auto operation = expression(text, names);
    const auto before = bytes_of(memory);
    const auto fresh = run_job(operation, used);
    ASSERT_TRUE(fresh) << fresh.error().message;
    const auto after = expected(before, view, *fresh);
    for (const std::uint32_t seed : {0U, 1U + static_cast<std::uint32_t>(random() % 1000)}) {
      std::copy(before.begin(), before.end(), memory.data());
      const auto outcome = run_job(operation, used, {.seed = seed, .into = &into});
      ASSERT_TRUE(outcome) << outcome.error().message;
      if (text == "a + 1" && element_count(view) > 40'000) { EXPECT_TRUE(outcome->plan.pieces); }
      EXPECT_TRUE(bytes_of(memory) == after);
    }
  }
}

// Which way a job goes: `operand` and `into` lie in the same memory.
Plan plan_of(const std::string& text, const ArraySpec& operand, const ArraySpec& into) {
  const std::vector<OperandInfo> operands{{operand, "a", 1}};
  const OperandInfo output{into, "a", 1};
  auto plan = plan_operation(expression(text, {"a"}), operands, &output);
  EXPECT_TRUE(plan) << plan.error().message;
  return *std::move(plan);
}

ArraySpec spec_of(const Dims& shape, DType dtype = DType::kFloat64) {
  return *make_spec(dtype, shape);
}
ArraySpec viewed(const ArraySpec& spec, std::string_view steps) {
  return *apply_view(spec, steps);
}

TEST(Pieces, NeedNoScratchAreaWhereAnElementIsAnOperandOfItsOwnResultAlone) {
  const ArraySpec a = spec_of({1000, 1000});
  for (const char* steps : {"", "[::2, 1:]", ".T", "[::-1]", "[5]"}) {
    const ArraySpec view = viewed(a, steps);
    const Plan plan = plan_of("a + 1", view, view);
    ASSERT_TRUE(plan.pieces) << steps;
    EXPECT_TRUE(plan.overwrites_operands);
    EXPECT_FALSE(plan.stored);
    EXPECT_EQ(plan.scratch_bytes, 0U);
    EXPECT_EQ(plan.phases.size(), 1U);
    for (const std::int64_t stride : plan.pieces->target.strides) EXPECT_GT(stride, 0) << "met in the order of memory";
  }
  // The mean is one phase, and needs its partial sums alone.
  const Plan centred = plan_of("a - mean(a)", a, a);
  EXPECT_TRUE(centred.pieces);
  EXPECT_LT(centred.scratch_bytes, 1'000'000U);
}

TEST(Pieces, LogNothingWhereTheViewIsNoOperand) {
  const ArraySpec a = spec_of({1000, 1000});
  const Plan plan = plan_of("a + 1", viewed(a, "[:500]"), viewed(a, "[500:, ::-1]"));
  ASSERT_TRUE(plan.pieces);
  EXPECT_FALSE(plan.overwrites_operands);
}

TEST(Pieces, AreNotForResultsThatNeedElementsOfOthersPlaces) {
  const ArraySpec a = spec_of({1000, 1000});
  EXPECT_TRUE(plan_of("a + 1", viewed(a, "[::-1]"), a).stored);
  EXPECT_TRUE(plan_of("a + 1", viewed(a, ".T"), a).stored);
  EXPECT_TRUE(plan_of("a + 1", viewed(a, "[1:]"), viewed(a, "[:-1]")).stored);
  EXPECT_TRUE(plan_of("a + 1", viewed(a, "[0]"), a).stored) << "one row for all";
}

TEST(Pieces, AreNotForWhatMayFailInTheMiddle) {
  const ArraySpec a = spec_of({100'000}, DType::kInt64);
  EXPECT_TRUE(plan_of("a ** a", a, a).stored);
  EXPECT_TRUE(plan_of("a * a", a, a).pieces);
}

// ---- what may not begin to be written

Result<Plan> plan_number(const std::string& text, DType into) {
  const OperandInfo output{spec_of({4}, into), "a", 1};
  return plan_operation(expression(text, {}), {}, &output);
}

TEST(Numbers, MustFitTheIntegersThatTheyGoInto) {
  struct Refused {
    const char* number;
    DType into;
    const char* words;
  };
  for (const Refused& refused : {Refused{"300", DType::kInt8, "int8 holds -128 to 127, not 300"},
                                 {"-129", DType::kInt8, "int8 holds -128 to 127, not -129"},
                                 {"-1", DType::kUint64, "uint64 holds 0 to 18446744073709551615, not -1"},
                                 {"3000000000", DType::kInt32, "int32 holds -2147483648 to 2147483647, not 3000000000"}}) {
    const auto plan = plan_number(refused.number, refused.into);
    ASSERT_FALSE(plan) << refused.number;
    EXPECT_NE(plan.error().message.find(refused.words), std::string::npos) << plan.error().message;
  }
  for (const auto& [text, dtype] : {std::pair{"7", DType::kUint8}, {"-128", DType::kInt8}, {"255", DType::kUint8}, {"18446744073709551615", DType::kUint64}, {"7", DType::kFloat32}})
    EXPECT_TRUE(plan_number(text, dtype)) << text;
}

TEST(Results, ThatDataMayMakeFailAreMadeElsewhereFirst) {
  wire::Operation take;
  take.mutable_take();
  const std::vector<OperandInfo> operands{{spec_of({10}), "a", 1}, {spec_of({4}, DType::kInt64), "at", 2}};
  const OperandInfo output{spec_of({4}), "b", 3};
  const auto taken = plan_operation(take, operands, &output);
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->stored);
  const std::vector<OperandInfo> integers{{spec_of({4}, DType::kInt64), "a", 1}};
  const OperandInfo into{spec_of({4}, DType::kInt64), "b", 2};
  EXPECT_TRUE(plan_operation(expression("a ** a", {"a"}), integers, &into)->stored);
  EXPECT_FALSE(plan_operation(expression("a * a", {"a"}), integers, &into)->stored);
}

TEST(Pieces, AreNotForStagesOfOnePhase) {
  // Of one block each: run again, the mean would be taken of what has been overwritten.
  const ArraySpec a = spec_of({100});
  EXPECT_TRUE(plan_of("a - mean(a)", a, a).stored);
}

}  // namespace
}  // namespace parcompute
