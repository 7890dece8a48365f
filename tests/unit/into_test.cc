// Results that go into arrays that exist: every operation, into every kind of view.
#include <unistd.h>

#include <sys/mman.h>

#include <complex>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/array/view.h"
#include "common/os/unique_fd.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/loops.h"

namespace parcompute::testing {
namespace {

using K = wire::Operation::KindCase;

// A job whose result some view takes. Sizes are such that most have several blocks in every phase.
struct Example {
  wire::Operation operation;
  std::vector<Operand> inputs;
  std::shared_ptr<UniqueFd> file = nullptr;  // behind the first input

  std::vector<View> views() {
    std::vector<View> views;
    for (Operand& input : inputs) views.push_back(input.view());
    if (file != nullptr) views[0].fd = file->get();
    return views;
  }
};

// Elements of any dtype, small enough for each of them, not sorted.
Operand numbers(DType dtype, Dims shape) {
  return visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> elements(element_count(*make_spec(dtype, shape)));
    std::uint32_t state = 1;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      state = state * 1664525 + 1013904223;
      elements[i] = static_cast<T>(static_cast<float>(state >> 25) * (std::is_same_v<T, bool> ? 0 : 1) + static_cast<float>(state >> 31));
    }
    return operand_of(elements, std::move(shape));
  });
}

wire::Operation evaluate(std::string expression, std::vector<std::string> names) {
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression(std::move(expression));
  for (std::string& name : names) operation.mutable_evaluate()->add_names(std::move(name));
  return operation;
}

// Two operands each, for every route that a product takes.
std::vector<Example> products(const std::function<void(wire::Operation&)>& choose, const std::vector<std::pair<Dims, Dims>>& shapes) {
  std::vector<Example> examples;
  for (const auto& [a, b] : shapes)
    for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kComplex128, DType::kInt16, DType::kBool}) {
      choose(examples.emplace_back().operation);
      examples.back().inputs.push_back(numbers(dtype, a));
      examples.back().inputs.push_back(numbers(dtype, b));
    }
  return examples;
}

std::vector<Example> grids() {
  std::vector<Example> examples(1);
  wire::Mandelbrot& grid = *examples[0].operation.mutable_mandelbrot();
  grid.set_nx(70);
  grid.set_ny(50);
  grid.set_x_min(-2);
  grid.set_x_max(1);
  grid.set_y_min(-1);
  grid.set_y_max(1);
  grid.set_max_iter(50);
  return examples;
}

std::vector<Example> fills() {
  std::vector<Example> examples;
  const auto add = [&](wire::Fill::How how, DType dtype, Dims shape) -> wire::Fill& {
    wire::Fill& fill = *examples.emplace_back().operation.mutable_fill();
    fill.set_how(how);
    to_wire(*make_spec(dtype, std::move(shape)), *fill.mutable_spec());
    return fill;
  };
  add(wire::Fill::ZEROS, DType::kFloat64, {300, 500});
  add(wire::Fill::VALUE, DType::kInt16, {300, 2000}).set_value("ab");
  add(wire::Fill::ARANGE, DType::kFloat64, {300, 500}).mutable_start()->set_integer(5);
  wire::Fill& line = add(wire::Fill::LINSPACE, DType::kFloat32, {300'000});
  line.mutable_start()->set_real(-1);
  line.mutable_stop()->set_real(3);
  add(wire::Fill::EYE, DType::kFloat64, {300, 500});
  return examples;
}

std::vector<Example> files() {
  std::vector<Example> examples;
  for (const Order order : {Order::kC, Order::kFortran})
    for (const bool is_half : {false, true}) {
      Example& example = examples.emplace_back();
      example.operation.mutable_read_file()->set_is_half(is_half);
      Operand file = numbers(is_half ? DType::kUint16 : DType::kFloat64, {300, 500});
      file.spec = *make_spec(file.spec.dtype, file.spec.shape, order);
      example.file = std::make_shared<UniqueFd>(::memfd_create("elements", MFD_CLOEXEC));
      const auto size = byte_count(file.spec);
      EXPECT_EQ(::pwrite(example.file->get(), file.buffer.data(), size, 0), static_cast<ssize_t>(size));
      example.inputs.push_back(std::move(file));
    }
  return examples;
}

std::vector<Example> expressions() {
  std::vector<Example> examples;
  const auto add = [&](std::string text, DType dtype, Dims shape) {
    Example& example = examples.emplace_back();
    example.operation = evaluate(std::move(text), {"x"});
    example.inputs.push_back(numbers(dtype, std::move(shape)));
  };
  add("x * x + 1", DType::kFloat64, {300, 500});
  add("x * x - x", DType::kFloat32, {300, 500});
  add("x > 3", DType::kInt16, {300, 500});
  add("x", DType::kComplex64, {300, 500});
  add("x - mean(x, axis=0)", DType::kFloat64, {300, 500});
  add("sum(x, axis=1)", DType::kFloat32, {3000, 50});
  add("sum(x)", DType::kFloat64, {300, 500});
  // Written around the caches.
  add("x * 2 + x", DType::kFloat32, {4500, 1000});
  return examples;
}

std::vector<Example> random_numbers() {
  std::vector<Example> examples;
  const auto add = [&](DType dtype, Dims shape) -> wire::Random& {
    wire::Random& random = *examples.emplace_back().operation.mutable_random();
    to_wire(*make_spec(dtype, std::move(shape)), *random.mutable_spec());
    random.set_key_low(7);
    return random;
  };
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    add(dtype, {400, 500}).mutable_uniform()->set_high(1);
    add(dtype, {400, 500}).mutable_normal()->set_standard_deviation(1);
    add(dtype, {400, 500}).mutable_exponential()->set_scale(1);
  }
  for (const auto& [dtype, most] : {std::pair{DType::kBool, 1}, {DType::kInt8, 99}, {DType::kUint16, 255}}) {
    wire::Random::Integers& integers = *add(dtype, {400, 500}).mutable_integers();
    integers.set_least(std::string(itemsize(dtype), '\0'));
    std::string end(itemsize(dtype), '\0');
    end[0] = static_cast<char>(most);
    integers.set_most(std::move(end));
  }
  // Written around the caches.
  add(DType::kFloat64, {4200, 1000}).mutable_uniform()->set_high(1);
  return examples;
}

std::vector<Example> joined() {
  std::vector<Example> examples;
  for (const std::int32_t axis : {0, 1}) {
    Example& example = examples.emplace_back();
    example.operation.mutable_concatenate()->set_axis(axis);
    example.inputs.push_back(numbers(DType::kFloat64, {300, 500}));
    example.inputs.push_back(numbers(DType::kFloat64, {300, 500}));
  }
  return examples;
}

// One operand, along an axis and flat, of short and of long rows.
template <class Choose>
std::vector<Example> rows(Choose choose) {
  std::vector<Example> examples;
  for (const auto& [shape, axis] : std::vector<std::pair<Dims, std::optional<int>>>{{{300, 500}, 1}, {{300, 500}, 0}, {{200'000}, {}}, {{2, 150'000}, 1}}) {
    Example& example = examples.emplace_back();
    choose(example.operation, axis);
    example.inputs.push_back(numbers(DType::kFloat64, shape));
  }
  return examples;
}
template <class Message>
void set_axis(Message& message, std::optional<int> axis) {
  if (axis) message.set_axis(*axis);
}

std::vector<Example> taken() {
  std::vector<Example> examples;
  for (const std::optional<int> axis : {std::optional<int>(1), std::optional<int>(0), std::optional<int>()}) {
    Example& example = examples.emplace_back();
    set_axis(*example.operation.mutable_take(), axis);
    example.inputs.push_back(numbers(DType::kFloat32, {300, 500}));
    example.inputs.push_back(numbers(DType::kInt32, {200}));
  }
  return examples;
}

std::vector<Example> places() {
  std::vector<Example> examples(1);
  examples[0].operation.mutable_searchsorted();
  std::vector<double> sorted(50);
  for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = static_cast<double>(i);
  examples[0].inputs.push_back(operand_of(sorted, {50}));
  examples[0].inputs.push_back(numbers(DType::kFloat64, {300, 500}));
  return examples;
}

std::vector<Example> counts(bool of_integers) {
  std::vector<Example> examples;
  for (const std::int64_t size : {1000, 700'000})
    for (const bool weighted : {false, true}) {
      Example& example = examples.emplace_back();
      if (of_integers) {
        example.operation.mutable_bincount()->set_length(200);
      } else {
        example.operation.mutable_histogram()->set_bins(100);
        example.operation.mutable_histogram()->set_high(50);
        example.operation.mutable_histogram()->set_weighted(weighted);
      }
      example.inputs.push_back(numbers(of_integers ? DType::kInt16 : DType::kFloat32, {size}));
      if (weighted) example.inputs.push_back(numbers(of_integers ? DType::kFloat64 : DType::kFloat32, {size}));
    }
  return examples;
}

// Empty where there is nothing that could go into a view. No default: the compiler names an operation that is missing.
std::vector<Example> examples_of(K kind) {
  switch (kind) {
    case K::kMatmul: return products([](wire::Operation& o) { o.mutable_matmul(); }, {{{150, 170}, {170, 190}}, {{300, 9, 9}, {300, 9, 9}}, {{100, 300}, {300}}, {{2, 20'000}, {20'000, 2}}});
    case K::kMandelbrot: return grids();
    case K::kFill: return fills();
    case K::kReadFile: return files();
    case K::kNop: return {};
    case K::kEvaluate: return expressions();
    case K::kDot: return products([](wire::Operation& o) { o.mutable_dot(); }, {{{5, 40, 30}, {30, 20}}, {{50'000}, {50'000}}, {{}, {300, 500}}});
    case K::kVecdot: return products([](wire::Operation& o) { o.mutable_vecdot(); }, {{{900, 40}, {900, 40}}, {{3, 60'000}, {3, 60'000}}});
    case K::kOuter: return products([](wire::Operation& o) { o.mutable_outer(); }, {{{300}, {500}}});
    case K::kRandom: return random_numbers();
    case K::kConcatenate: return joined();
    case K::kSort: return rows([](wire::Operation& o, auto axis) { set_axis(*o.mutable_sort(), axis); });
    case K::kArgsort: return rows([](wire::Operation& o, auto axis) { set_axis(*o.mutable_argsort(), axis); });
    case K::kScan:
      return rows([](wire::Operation& o, auto axis) {
        o.mutable_scan()->set_op(wire::Scan::SUM);
        set_axis(*o.mutable_scan(), axis);
      });
    case K::kCompress: return {};  // its length shows at the end
    case K::kTake: return taken();
    case K::kUnique: return {};  // its length shows at the end
    case K::kSearchsorted: return places();
    case K::kBincount: return counts(true);
    case K::kHistogram: return counts(false);
    case K::kPercentile:
      return rows([](wire::Operation& o, auto axis) {
        for (const double q : {5.0, 50.0, 99.0}) o.mutable_percentile()->add_q(q);
        set_axis(*o.mutable_percentile(), axis);
      });
    case K::KIND_NOT_SET: break;
  }
  ADD_FAILURE() << "no examples of this operation";
  return {};
}

// ---- views that take a result -------------------------------------------------------------------------------------

// Where a result of this dtype and shape goes: a view of some memory that is larger on both sides.
struct Taker {
  std::string_view name;
  ArraySpec (*view)(DType dtype, const Dims& shape);
  bool is_direct;  // as a new output would lie
};

constexpr std::uint64_t kMargin = 192;

ArraySpec shifted(ArraySpec spec, std::uint64_t offset) {
  spec.offset += offset;
  return spec;
}
ArraySpec at_offset(DType dtype, const Dims& shape) {
  return shifted(*make_spec(dtype, shape), kMargin);
}
ArraySpec at_odd_place(DType dtype, const Dims& shape) {
  return shifted(*make_spec(dtype, shape), kMargin + itemsize(dtype));
}
ArraySpec unaligned(DType dtype, const Dims& shape) {
  return shifted(*make_spec(dtype, shape), kMargin + 1);
}
ArraySpec in_fortran_order(DType dtype, const Dims& shape) {
  return shifted(*make_spec(dtype, shape, Order::kFortran), kMargin);
}
// Every third element along the last axis, and a row left out after each.
ArraySpec with_gaps(DType dtype, const Dims& shape) {
  Dims larger = shape;
  for (std::size_t axis = 0; axis < larger.size(); ++axis) larger[axis] = larger[axis] * (axis + 1 == larger.size() ? 3 : 2);
  ArraySpec spec = shifted(*make_spec(dtype, larger), kMargin);
  spec.shape = shape;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) spec.strides[axis] *= axis + 1 == shape.size() ? 3 : 2;
  return spec;
}
ArraySpec backwards(DType dtype, const Dims& shape) {
  ArraySpec spec = shifted(*make_spec(dtype, shape), kMargin);
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    spec.offset += static_cast<std::uint64_t>(spec.strides[axis] * (shape[axis] - 1));
    spec.strides[axis] = -spec.strides[axis];
  }
  return spec;
}
ArraySpec of_another_dtype(DType dtype, const Dims& shape) {
  return at_offset(dtype == DType::kComplex128 ? DType::kComplex64 : DType::kComplex128, shape);
}
ArraySpec of_more_dimensions(DType dtype, const Dims& shape) {
  Dims larger = shape;
  larger.insert(larger.begin(), 2);
  return at_offset(dtype, larger);
}

constexpr Taker kTakers[] = {
    {"at an offset", at_offset, true},         {"at an odd place", at_odd_place, true},
    {"unaligned", unaligned, false},           {"in Fortran order", in_fortran_order, false},
    {"with gaps", with_gaps, false},           {"backwards", backwards, false},
    {"of another dtype", of_another_dtype, false}, {"of more dimensions", of_more_dimensions, false},
};

// The bytes that its elements lie among end here, at most.
std::uint64_t end_of(const ArraySpec& spec) {
  std::uint64_t end = spec.offset + itemsize(spec.dtype);
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis)
    if (spec.strides[axis] > 0) end += static_cast<std::uint64_t>(spec.strides[axis] * (spec.shape[axis] - 1));
  return end;
}

// What the memory must hold in the end: as before, but for the view's elements, which are the result's.
std::vector<std::byte> expected_memory(const std::vector<std::byte>& before, const ArraySpec& into, const Outcome& fresh) {
  const ArraySpec& result = *fresh.plan.output;
  const auto stretched = broadcast_to(result, into.shape);
  EXPECT_TRUE(stretched.has_value());
  const std::uint64_t count = element_count(into);
  std::vector<std::byte> elements(count * itemsize(result.dtype)), cast(count * itemsize(into.dtype));
  gather(*stretched, fresh.output.data(), 0, count, elements.data());
  Strip strip;
  strip.in[0] = elements.data();
  strip.out = cast.data();
  strip.count = count;
  find_cast(result.dtype, into.dtype)(strip);
  std::vector<std::byte> after = before;
  scatter(into, after.data(), 0, count, cast.data());
  return after;
}

void fill_with_noise(Buffer& memory) {
  for (std::size_t i = 0; i < memory.size(); ++i) memory.data()[i] = static_cast<std::byte>(i * 37 + i / 251);
}

std::vector<std::byte> bytes_of(const Buffer& memory) {
  return {memory.data(), memory.data() + memory.size()};
}

class Into : public ::testing::TestWithParam<OperationRow> {};

TEST_P(Into, WritesTheElementsOfANewArrayAndNothingElse) {
  int number = 0;
  for (Example& example : examples_of(GetParam().kind)) {
    SCOPED_TRACE(number++);
    const auto fresh = run_job(example.operation, example.views());
    ASSERT_TRUE(fresh) << fresh.error().message;
    ASSERT_TRUE(fresh->plan.output);
    const ArraySpec& result = *fresh->plan.output;
    const bool is_small = element_count(result) < 1'000'000;
    for (const Taker& taker : kTakers) {
      if (!is_small && !taker.is_direct) continue;
      SCOPED_TRACE(taker.name);
      const ArraySpec spec = taker.view(result.dtype, result.shape);
      Buffer memory(end_of(spec) + kMargin);
      fill_with_noise(memory);
      const View into{spec, "into", memory.data(), -1, 0};
      const auto before = bytes_of(memory);
      const auto after = expected_memory(before, spec, *fresh);
      for (const std::uint32_t seed : {0U, 5U}) {
        std::copy(before.begin(), before.end(), memory.data());
        const auto outcome = run_job(example.operation, example.views(), {.seed = seed, .into = &into});
        ASSERT_TRUE(outcome) << outcome.error().message;
        ASSERT_EQ(outcome->plan.output, spec);
        const bool is_direct = taker.is_direct && is_c_contiguous(result) && !fresh->plan.output_is_zeroed;
        const bool may_fail = example.operation.has_take() || example.operation.has_bincount();
        EXPECT_FALSE(is_direct && !may_fail && (outcome->plan.stored || outcome->plan.pieces));
        EXPECT_EQ(outcome->scalar, fresh->scalar);
        ASSERT_TRUE(bytes_of(memory) == after);
      }
    }
  }
}

// The operand lies in the memory that takes the result, some elements before it, behind it, and in its place.
TEST_P(Into, ReadsAnOperandThatItOverwritesFirst) {
  int number = 0;
  for (Example& example : examples_of(GetParam().kind)) {
    SCOPED_TRACE(number++);
    if (example.inputs.empty() || example.file != nullptr) continue;
    const auto fresh = run_job(example.operation, example.views());
    ASSERT_TRUE(fresh) << fresh.error().message;
    const ArraySpec& result = *fresh->plan.output;
    if (element_count(result) > 1'000'000) continue;
    for (const std::uint64_t distance : {0, 16, 32}) {
      for (std::size_t overwritten = 0; overwritten < example.inputs.size(); ++overwritten) {
        Operand& input = example.inputs[overwritten];
        const ArraySpec spec = shifted(*make_spec(result.dtype, result.shape), kMargin + distance);
        const ArraySpec lying = shifted(input.spec, kMargin + 16);
        Buffer memory(std::max(end_of(spec), end_of(lying)) + kMargin);
        fill_with_noise(memory);
        std::memcpy(memory.data() + lying.offset, input.buffer.data(), byte_count(input.spec));
        const auto before = bytes_of(memory);
        const auto after = expected_memory(before, spec, *fresh);
        const View into{spec, "into", memory.data(), -1, 0};
        auto views = example.views();
        views[overwritten] = {lying, "a", memory.data(), -1, 0};
        for (const std::uint32_t seed : {0U, 9U}) {
          std::copy(before.begin(), before.end(), memory.data());
          const auto outcome = run_job(example.operation, views, {.seed = seed, .into = &into});
          ASSERT_TRUE(outcome) << outcome.error().message;
          EXPECT_TRUE(outcome->plan.stored || outcome->plan.overwrites_operands || spec.offset >= end_of(lying) || lying.offset >= end_of(spec));
          ASSERT_TRUE(bytes_of(memory) == after) << distance;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, Into, ::testing::ValuesIn(operations().begin(), operations().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(IntoViews, HasExamplesOfAllOperationsThatMakeAnOutputOfKnownLength) {
  for (const OperationRow& row : operations()) {
    const bool makes_none = row.kind == K::kNop, tells_length = row.kind == K::kCompress || row.kind == K::kUnique;
    EXPECT_EQ(examples_of(row.kind).empty(), makes_none || tells_length) << row.name;
  }
}

TEST(IntoViews, IsRefusedWhereTheLengthShowsAtTheEnd) {
  wire::Operation operation;
  operation.mutable_unique();
  Operand a = numbers(DType::kFloat64, {10}), b = numbers(DType::kFloat64, {10});
  const View into = b.view();
  const auto outcome = run_job(operation, {a.view()}, {.into = &into});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "the result of unique (float64, 10) cannot go into 'a' (float64, 10): how long it is shows at the end: let it be a new array");
}

}  // namespace
}  // namespace parcompute::testing
