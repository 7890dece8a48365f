#include <algorithm>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

// What a core of today reads from memory, for a first guess.
constexpr double kBytesPerNs = 12;
constexpr double kLeastBlockNs = 100;

std::string_view operator_name(wire::Reduce::Operator op) {
  switch (op) {
    case wire::Reduce::SUM:
      return "sum";
    case wire::Reduce::MIN:
      return "min";
    case wire::Reduce::MAX:
      return "max";
    default:
      return "";
  }
}

}  // namespace

Result<DType> reduce_result_dtype(wire::Reduce::Operator op, DType dtype) {
  const std::string_view op_name = operator_name(op);
  if (op_name.empty())
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("reduction operator {} is unknown; choose sum, min or max", static_cast<int>(op)));
  const Kind kind = info(dtype).kind;
  if (kind == Kind::kComplex)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} of {} is not served; reduce takes bool, integers, float32 and float64",
                            op_name, name(dtype)));
  if (op != wire::Reduce::SUM || kind == Kind::kFloat) return dtype;
  return kind == Kind::kUnsigned ? DType::kUint64 : DType::kInt64;
}

std::uint64_t reduce_blocks(DType dtype, std::uint64_t elements) {
  return std::max<std::uint64_t>(1, ceil_div(elements, reduce_block_elements(dtype)));
}

Result<Plan> plan_reduce(const wire::Operation& operation, Operands inputs) {
  const wire::Reduce::Operator op = operation.reduce().op();
  const OperandInfo& input = inputs[0];
  const auto result = reduce_result_dtype(op, input.spec.dtype);
  if (!result)
    return fail(result.error().code, fmt::format("{}: {}", format_operand(input), result.error().message));

  const std::uint64_t elements = element_count(input.spec);
  if (elements == 0 && op != wire::Reduce::SUM)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} has no elements: a zero-size array has no {}, for the reduction has no identity",
                    format_operand(input), operator_name(op)));
  auto output = make_spec(*result, {});
  if (!output) return fail(output.error());

  Plan plan;
  plan.output = *std::move(output);
  plan.scalar = *result;
  plan.bytes_read = byte_count(input.spec);
  plan.bytes_written = itemsize(*result);
  const std::uint64_t blocks = reduce_blocks(input.spec.dtype, elements);
  const std::uint64_t block_bytes = std::min(plan.bytes_read, kReduceBlockBytes);
  plan.phases.push_back({blocks, std::max(kLeastBlockNs, static_cast<double>(block_bytes) / kBytesPerNs)});
  if (blocks > 1) {
    plan.scratch_bytes = blocks * kReducePartialBytes;
    plan.phases.push_back({1, kLeastBlockNs + static_cast<double>(blocks) * 2});
  }
  return plan;
}

}  // namespace parcompute
