#include "common/operation/concatenate_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/array/promotion.h"
#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

constexpr double kJoinBytesPerNs = 3;

// Why two operands cannot be joined.
tl::unexpected<Error> mismatch(const wire::Concatenate& concatenate, const OperandInfo& a, const OperandInfo& b,
                               std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} does not match {} for {}: {}", format_operand(a), format_operand(b),
                          concatenate.stack() ? "stack" : "concatenate", why));
}

Result<std::size_t> find_axis(const wire::Concatenate& concatenate, const OperandInfo& operand) {
  const auto ndim = static_cast<std::int64_t>(operand.spec.ndim()) + (concatenate.stack() ? 1 : 0);
  if (ndim == 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has no axis to concatenate along; stack it, or reshape it to 1 dimension",
                            format_operand(operand)));
  const std::int64_t axis = concatenate.axis() < 0 ? concatenate.axis() + ndim : concatenate.axis();
  if (axis < 0 || axis >= ndim)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("axis {} is outside of {}, whose result has {} dimension{}: give {} to {}", concatenate.axis(),
                    format_operand(operand), ndim, ndim == 1 ? "" : "s", -ndim, ndim - 1));
  return static_cast<std::size_t>(axis);
}

Result<void> check_pair(const wire::Concatenate& concatenate, std::size_t axis, const OperandInfo& a,
                        const OperandInfo& b) {
  if (a.spec.ndim() != b.spec.ndim())
    return mismatch(concatenate, a, b,
                    fmt::format("{} and {} dimensions; all must have as many", a.spec.ndim(), b.spec.ndim()));
  for (std::size_t i = 0; i < a.spec.ndim(); ++i)
    if (a.spec.shape[i] != b.spec.shape[i] && (concatenate.stack() || i != axis))
      return mismatch(concatenate, a, b,
                      fmt::format("lengths {} and {} of axis {}", a.spec.shape[i], b.spec.shape[i], i));
  return {};
}

}  // namespace

Result<Joining> join_operands(const wire::Concatenate& concatenate, Operands inputs) {
  const auto axis = find_axis(concatenate, inputs[0]);
  if (!axis) return fail(axis.error());
  Dims shape = inputs[0].spec.shape;
  if (concatenate.stack()) shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), 0);
  std::uint64_t length = 0;  // below 14 * 2^63: checked by adding
  Joining joining;
  std::vector<DType> dtypes;
  for (const OperandInfo& input : inputs) {
    if (auto ok = check_pair(concatenate, *axis, inputs[0], input); !ok) return fail(ok.error());
    ArraySpec spec = input.spec;
    if (concatenate.stack()) {
      spec.shape.insert(spec.shape.begin() + static_cast<std::ptrdiff_t>(*axis), 1);
      spec.strides.insert(spec.strides.begin() + static_cast<std::ptrdiff_t>(*axis), 0);
    }
    const auto sum = checked_add(length, static_cast<std::uint64_t>(spec.shape[*axis]));
    if (!sum || *sum > static_cast<std::uint64_t>(INT64_MAX))
      return fail(ErrorCode::kOverBudget,
                  fmt::format("axis {} of the {} operands together is longer than any memory", *axis, inputs.size()));
    length = *sum;
    dtypes.push_back(spec.dtype);
    joining.operands.push_back(std::move(spec));
  }
  shape[*axis] = static_cast<std::int64_t>(length);
  auto output = make_spec(promote(dtypes), shape);
  if (!output) return fail(output.error());
  joining.output = *std::move(output);

  const Dims& result = joining.output.shape;
  joining.rows = 1;
  for (std::size_t i = 0; i < *axis; ++i) joining.rows *= static_cast<std::uint64_t>(result[i]);
  for (const ArraySpec& operand : joining.operands) {
    const std::uint64_t run = joining.rows == 0 ? 0 : element_count(operand) / joining.rows;
    joining.runs.push_back(run);
    joining.row_elements += run;
  }
  return joining;
}

Result<Plan> plan_concatenate(const wire::Operation& operation, Operands inputs) {
  auto joining = join_operands(operation.concatenate(), inputs);
  if (!joining) return fail(joining.error());
  Plan plan;
  const std::uint64_t bytes = byte_count(joining->output);
  if (bytes != 0)
    plan.phases.push_back(
        {ceil_div(bytes, kCopyBlockBytes), static_cast<double>(std::min(bytes, kCopyBlockBytes)) / kJoinBytesPerNs,
         kCopyBlockBytes / itemsize(joining->output.dtype)});
  for (const OperandInfo& input : inputs) plan.bytes_read += byte_count(input.spec);
  plan.bytes_written = bytes;
  plan.output = std::move(joining->output);
  return plan;
}

}  // namespace parcompute
