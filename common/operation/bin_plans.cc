// searchsorted, bincount and histogram: which bin a value falls into.
#include <cmath>

#include <fmt/format.h>

#include "common/operation/order_plan.h"

namespace parcompute {
namespace {

constexpr std::uint64_t kMostParts = 1024;

Result<Plan> plan_counts(const OperandInfo& a, std::uint64_t bins, DType dtype) {
  if (bins > std::uint64_t{1} << 56)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("counts of {} in {} bins: so many cannot be addressed", format_operand(a), bins));
  auto output = make_spec(dtype, {static_cast<std::int64_t>(bins)});
  if (!output) return fail(output.error());
  const BinShape shape = shape_bins(element_count(a.spec), bins);
  Plan plan;
  plan.bytes_read = byte_count(a.spec);
  plan.bytes_written = byte_count(*output);
  plan.output = *std::move(output);
  if (shape.elements == 0 && bins == 0) return plan;
  plan.phases.push_back(
      {shape.parts, 100 + 2 * static_cast<double>(std::min(shape.part, shape.elements)) + static_cast<double>(bins)});
  if (!counts_into_result(shape, dtype)) {
    plan.scratch_bytes = shape.parts * bins * sizeof(std::uint64_t);
    plan.phases.push_back({shape.sum_blocks, 100 + static_cast<double>(shape.parts * std::min(bins, kBinSumBlock))});
  }
  return plan;
}

Result<void> check_weights(std::string_view what, const OperandInfo& a, const OperandInfo& weights) {
  if (info(weights.spec.dtype).kind == Kind::kComplex)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} of {}: weights {} must be real; add up real(w) and imag(w), one after the other", what,
                            format_operand(a), format_operand(weights)));
  if (weights.spec.shape != a.spec.shape)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} of {}: weights {} must have its shape", what,
                                                         format_operand(a), format_operand(weights)));
  return {};
}

}  // namespace

BinShape shape_bins(std::uint64_t elements, std::uint64_t bins) {
  BinShape shape{.elements = elements, .bins = bins};
  // A part's own counts must cost less than counting it does.
  shape.parts = bins == 0 ? 1 : std::clamp<std::uint64_t>(elements / std::max(kBinPart, 4 * bins), 1, kMostParts);
  shape.part = ceil_div(elements, shape.parts);
  if (shape.part != 0) shape.parts = ceil_div(elements, shape.part);
  shape.sum_blocks = std::max<std::uint64_t>(1, ceil_div(bins, kBinSumBlock));
  return shape;
}

Result<Plan> plan_bincount(const wire::Operation& operation, Operands inputs) {
  const OperandInfo& a = inputs[0];
  const Kind kind = info(a.spec.dtype).kind;
  if (kind != Kind::kSigned && kind != Kind::kUnsigned && kind != Kind::kBool)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("bincount of {}: it counts integers; cast with an expression first", format_operand(a)));
  if (inputs.size() == 2)
    if (auto ok = check_weights("bincount", a, inputs[1]); !ok) return fail(ok.error());
  return plan_counts(a, operation.bincount().length(), inputs.size() == 2 ? DType::kFloat64 : DType::kInt64);
}

Result<Plan> plan_histogram(const wire::Operation& operation, Operands inputs) {
  const wire::Histogram& message = operation.histogram();
  const OperandInfo& a = inputs[0];
  if (info(a.spec.dtype).kind == Kind::kComplex)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("histogram of {}: complex numbers have no order", format_operand(a)));
  const std::size_t wanted = 1 + (message.bins() == 0) + message.weighted();
  if (inputs.size() != wanted)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("histogram of {} with {}{} takes {} operands, not {}", format_operand(a),
                            message.bins() == 0 ? "edges" : "equal bins", message.weighted() ? " and weights" : "",
                            wanted, inputs.size()));
  if (message.weighted())
    if (auto ok = check_weights("histogram", a, inputs.back()); !ok) return fail(ok.error());
  // NumPy's: sums have the weights' dtype, and wrap in it.
  const DType dtype = message.weighted() ? inputs.back().spec.dtype : DType::kInt64;
  if (message.bins() == 0) {
    const OperandInfo& edges = inputs[1];
    if (edges.spec.dtype != DType::kFloat64 || edges.spec.ndim() != 1)
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("histogram of {}: edges {} must be float64 of 1 dimension; cast them with an expression first",
                      format_operand(a), format_operand(edges)));
    const std::uint64_t count = element_count(edges.spec);
    return plan_counts(a, count == 0 ? 0 : count - 1, dtype);
  }
  if (!std::isfinite(message.low()) || !std::isfinite(message.high()) || message.low() > message.high())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("histogram of {}: the range from {} to {} must be finite and must not decrease",
                            format_operand(a), message.low(), message.high()));
  return plan_counts(a, message.bins(), dtype);
}

Result<Plan> plan_searchsorted(const wire::Operation&, Operands inputs) {
  const OperandInfo &a = inputs[0], &values = inputs[1];
  if (a.spec.ndim() != 1)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("searchsorted in {}: the sorted array must have 1 dimension", format_operand(a)));
  auto output = make_spec(DType::kInt64, values.spec.shape);
  if (!output) return fail(output.error());
  Plan plan;
  plan.bytes_read = byte_count(a.spec) + byte_count(values.spec);
  plan.bytes_written = byte_count(*output);
  const std::uint64_t elements = element_count(values.spec);
  if (elements != 0)
    plan.phases.push_back(
        {ceil_div(elements, kSearchBlock), 50 * static_cast<double>(std::min(elements, kSearchBlock)), kSearchBlock});
  plan.output = *std::move(output);
  return plan;
}

}  // namespace parcompute
