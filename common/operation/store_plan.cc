// Results that go into arrays that exist.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "common/array/view.h"
#include "common/base/checked.h"
#include "common/operation/evaluate_plan.h"

namespace parcompute {
namespace {

constexpr double kStoreElementNs = 1;
constexpr std::uint64_t kAlignment = 64;

// NumPy's 'same_kind': to a wider kind, or within one.
bool casts_within_kind(DType from, DType to) {
  const auto rank = [](DType dtype) { return static_cast<int>(info(dtype).kind); };
  if (info(from).kind == Kind::kSigned && info(to).kind == Kind::kUnsigned) return false;
  return rank(from) <= rank(to) || (info(from).kind == Kind::kUnsigned && info(to).kind == Kind::kSigned);
}

// The bytes that a view's elements lie among.
struct Reach {
  std::int64_t low, high;
};
Reach reach_of(const ArraySpec& spec) {
  Reach reach{static_cast<std::int64_t>(spec.offset), static_cast<std::int64_t>(spec.offset + itemsize(spec.dtype))};
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis) {
    const std::int64_t span = (spec.shape[axis] - 1) * spec.strides[axis];
    (span < 0 ? reach.low : reach.high) += span;
  }
  return reach;
}

// Whether two elements may lie in one place: where no dimension steps over all that the smaller ones reach. Views that
// slices, transpositions and diagonals make of an array never do.
bool may_repeat_elements(const ArraySpec& spec) {
  if (element_count(spec) == 0) return false;
  boost::container::small_vector<std::pair<std::uint64_t, std::uint64_t>, 8> steps;  // of a dimension, and how many
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis)
    if (spec.shape[axis] > 1)
      steps.emplace_back(static_cast<std::uint64_t>(std::abs(spec.strides[axis])), static_cast<std::uint64_t>(spec.shape[axis] - 1));
  std::sort(steps.begin(), steps.end());
  std::uint64_t reach = itemsize(spec.dtype);
  for (const auto& [step, count] : steps) {
    if (step < reach) return true;
    reach += step * count;
  }
  return false;
}

// As NumPy's assignment: more dimensions than there are places may be ones.
ArraySpec without_leading_ones(ArraySpec spec, std::size_t ndim) {
  while (spec.ndim() > ndim && spec.shape.front() == 1) {
    spec.shape.erase(spec.shape.begin());
    spec.strides.erase(spec.strides.begin());
  }
  return spec;
}

__extension__ using Wide = __int128;

// The whole number that an expression without operands is: 300, a.size.
std::optional<Wide> whole_number(const Plan& plan) {
  if (!plan.evaluate || plan.evaluate->evaluation.stages.size() != 1) return std::nullopt;
  const Stage& stage = plan.evaluate->evaluation.stages.front();
  const Program& program = stage.program;
  if (stage.reduction || !program.inputs.empty() || !program.code.empty() || program.constants.size() != 1) return std::nullopt;
  const ElementBytes& bytes = program.constants.front().value;
  const auto value_of = [&]<class T>(T value) {
    std::memcpy(&value, bytes.data(), sizeof value);
    return Wide{value};
  };
  if (program.dtype == DType::kInt64) return value_of(std::int64_t{});
  if (program.dtype == DType::kUint64) return value_of(std::uint64_t{});
  return std::nullopt;
}

bool is_integer(DType dtype) {
  return info(dtype).kind == Kind::kSigned || info(dtype).kind == Kind::kUnsigned;
}

struct Range {
  Wide least, most;
};
Range range_of(DType dtype) {
  const bool is_signed = info(dtype).kind == Kind::kSigned;
  const Wide beyond = Wide{1} << (8 * itemsize(dtype) - (is_signed ? 1 : 0));
  return {is_signed ? -beyond : 0, beyond - 1};
}

std::string text_of(Wide number) {
  return number < 0 ? fmt::format("{}", static_cast<std::int64_t>(number)) : fmt::format("{}", static_cast<std::uint64_t>(number));
}

// What an operand's elements may make fail: an index out of range, a negative count, a negative power, a slice of NaN alone.
bool may_fail_on_data(const wire::Operation& operation, const Plan& plan) {
  if (operation.has_take() || operation.has_bincount()) return true;
  if (!plan.evaluate) return false;
  const auto& stages = plan.evaluate->evaluation.stages;
  return std::any_of(stages.begin(), stages.end(), [](const Stage& stage) {
    const bool tells_position = stage.reduction && (stage.reduction->reducer == Reducer::kNanargmin || stage.reduction->reducer == Reducer::kNanargmax);
    return tells_position || has_integer_power(stage.program);
  });
}

}  // namespace

bool may_overlap(const OperandInfo& a, const OperandInfo& b) {
  if (a.memory == 0 || a.memory != b.memory || element_count(a.spec) == 0 || element_count(b.spec) == 0) return false;
  const Reach x = reach_of(a.spec), y = reach_of(b.spec);
  return x.low < y.high && y.low < x.high;
}

Result<void> redirect(Plan& plan, const wire::Operation& operation, const OperandInfo& into, Operands inputs) {
  if (!plan.output) return {};  // whoever asked for one is told elsewhere
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the result of {} ({}) cannot go into {}: {}", operation_word(operation), format_spec(*plan.output), format_operand(into), why));
  };
  if (plan.answers_length) return refuse("how long it is shows at the end: let it be a new array");
  auto stretched = broadcast_to(without_leading_ones(*plan.output, into.spec.ndim()), into.spec.shape);
  if (!stretched) return refuse("its shape does not stretch to the other's");
  const auto number = is_integer(into.spec.dtype) ? whole_number(plan) : std::nullopt;
  if (number) {
    const auto [least, most] = range_of(into.spec.dtype);
    if (*number < least || *number > most)
      return refuse(fmt::format("{} holds {} to {}, not {}", name(into.spec.dtype), text_of(least), text_of(most), text_of(*number)));
  }
  if (!number && !casts_within_kind(plan.output->dtype, into.spec.dtype)) return refuse(fmt::format("{0} does not become {1} without being asked to: cast it, in an expression by {1}(...) or --dtype {1}", name(plan.output->dtype), name(into.spec.dtype)));
  if (may_repeat_elements(into.spec)) return refuse("several elements of the view lie in the same place");

  const bool overlaps = std::any_of(inputs.begin(), inputs.end(), [&](const OperandInfo& input) { return may_overlap(input, into); });
  // As a new output would be. What may fail is made elsewhere first, so that the array keeps what it holds. (A file in Fortran order is read into an output in Fortran order, byte by byte.)
  const bool direct = !overlaps && into.spec.dtype == plan.output->dtype && plan.output->shape == into.spec.shape && is_c_contiguous(*plan.output) &&
                      is_c_contiguous(into.spec) && is_aligned(into.spec) && !plan.output_is_zeroed && !may_fail_on_data(operation, plan);
  if (direct) {
    plan.output = into.spec;
    return {};
  }
  plan.pieces = store_in_pieces(plan, into, inputs);
  if (plan.pieces) {
    Phase& last = plan.phases.back();
    last.blocks = plan.pieces->layout.blocks();
    last.elements = plan.pieces->target.strides == into.spec.strides ? plan.pieces->layout.elements_per_block : 0;
    plan.overwrites_operands = overlaps;
  } else {
    StoredResult stored{*plan.output, *std::move(stretched), round_up(plan.scratch_bytes, kAlignment), plan.output_is_zeroed};
    if (!stored.is_zeros) plan.scratch_bytes = stored.offset + byte_count(stored.spec);
    if (plan.output->shape != into.spec.shape)
      for (Phase& phase : plan.phases) phase.elements = phase.tile_rows = 0;  // of the result, not of the view
    const std::uint64_t elements = element_count(into.spec);
    if (elements > 0)
      plan.phases.push_back({ceil_div(elements, kStoreBlockElements), static_cast<double>(std::min(elements, kStoreBlockElements)) * kStoreElementNs, kStoreBlockElements});
    plan.stored = std::move(stored);
    plan.output_is_zeroed = false;
  }
  plan.output = into.spec;
  return {};
}

}  // namespace parcompute
