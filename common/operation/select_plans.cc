// compress and take: elements picked by a mask or by indices.
#include <fmt/format.h>

#include "common/operation/order_plan.h"

namespace parcompute {
namespace {

constexpr std::uint64_t kMaskBlock = 64 * 1024;
constexpr std::uint64_t kCopiedBytes = 512 * 1024;
constexpr std::uint64_t kTakeBlock = 16 * 1024;

// The product of dimensions [from, to). It fits: make_spec counts an array without elements as if it had one along each axis.
std::uint64_t product(const Dims& shape, std::size_t from, std::size_t to) {
  std::uint64_t all = 1;
  for (std::size_t axis = from; axis < to; ++axis)
    all *= static_cast<std::uint64_t>(shape[axis]);
  return all;
}

}  // namespace

CompressShape shape_compress(const ArraySpec& a, const ArraySpec& mask) {
  CompressShape shape;
  shape.mask = element_count(mask);
  shape.inner = product(a.shape, mask.ndim(), a.ndim());
  const std::uint64_t inner_bytes = std::max<std::uint64_t>(1, shape.inner * itemsize(a.dtype));
  shape.per_block = std::clamp<std::uint64_t>(kCopiedBytes / inner_bytes, 1, kMaskBlock);
  shape.mask_blocks = ceil_div(shape.mask, shape.per_block);
  shape.inner_part = std::max<std::uint64_t>(1, std::min(shape.inner, 2 * kCopiedBytes / itemsize(a.dtype)));
  shape.inner_parts = std::max<std::uint64_t>(1, ceil_div(shape.inner, shape.inner_part));
  return shape;
}

Result<Plan> plan_compress(const wire::Operation&, Operands inputs) {
  const OperandInfo &a = inputs[0], &mask = inputs[1];
  if (mask.spec.dtype != DType::kBool)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("compress of {} by {}: the mask's dtype must be bool; compare first, as in 'm != 0'",
                            format_operand(a), format_operand(mask)));
  const bool fits = mask.spec.ndim() <= a.spec.ndim() && mask.spec.ndim() > 0 &&
                    std::equal(mask.spec.shape.begin(), mask.spec.shape.end(), a.spec.shape.begin());
  if (!fits)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("compress of {} by {}: the mask's shape must be that of the array, or of its first dimensions",
                    format_operand(a), format_operand(mask)));
  Dims shape{static_cast<std::int64_t>(element_count(mask.spec))};
  shape.insert(shape.end(), a.spec.shape.begin() + static_cast<std::ptrdiff_t>(mask.spec.ndim()), a.spec.shape.end());
  auto output = make_spec(a.spec.dtype, shape);
  if (!output)
    return fail(output.error().code, fmt::format("compress of {}: {}", format_operand(a), output.error().message));
  Plan plan;
  plan.bytes_read = byte_count(a.spec) + byte_count(mask.spec);
  plan.bytes_written = byte_count(*output);
  const CompressShape blocks = shape_compress(a.spec, mask.spec);
  // Without inner elements there is nothing to copy, but the first dimension is to be told.
  if (blocks.mask != 0) {
    plan.answers_length = true;
    plan.scratch_bytes = blocks.mask_blocks * sizeof(std::uint64_t);
    plan.phases.push_back({blocks.mask_blocks, 50 + static_cast<double>(blocks.per_block) / 8});
    plan.phases.push_back({blocks.mask_blocks * blocks.inner_parts, 50 + 2 * static_cast<double>(blocks.per_block)});
  }
  plan.output = *std::move(output);
  return plan;
}

TakeShape shape_take(const ArraySpec& a, const ArraySpec& indices, std::optional<std::int32_t> axis) {
  TakeShape shape;
  shape.indices = element_count(indices);
  if (axis) {
    const auto ndim = static_cast<std::int64_t>(a.ndim());
    const auto at = static_cast<std::size_t>(*axis < 0 ? *axis + ndim : *axis);
    shape.axis = at;
    shape.outer = product(a.shape, 0, at);
    shape.inner = product(a.shape, at + 1, a.ndim());
    shape.length = static_cast<std::uint64_t>(a.shape[at]);
  } else {
    shape.length = element_count(a);
  }
  const std::uint64_t bytes = std::max<std::uint64_t>(1, shape.inner * itemsize(a.dtype));
  shape.per_block = std::clamp<std::uint64_t>(kCopiedBytes / bytes, 1, kTakeBlock);
  return shape;
}

Result<Plan> plan_take(const wire::Operation& operation, Operands inputs) {
  const OperandInfo &a = inputs[0], &indices = inputs[1];
  const auto axis = axis_of(operation.take());
  if (const auto rows = rows_along("take", a, axis); !rows) return fail(rows.error());
  const Kind kind = info(indices.spec.dtype).kind;
  if (kind != Kind::kSigned && kind != Kind::kUnsigned)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("take from {} at {}: indices are integers; cast them with an expression first",
                            format_operand(a), format_operand(indices)));
  Dims shape;
  const TakeShape take = shape_take(a.spec, indices.spec, axis);
  const auto split = static_cast<std::ptrdiff_t>(take.axis.value_or(0));
  if (axis) shape.assign(a.spec.shape.begin(), a.spec.shape.begin() + split);
  shape.insert(shape.end(), indices.spec.shape.begin(), indices.spec.shape.end());
  if (axis) shape.insert(shape.end(), a.spec.shape.begin() + split + 1, a.spec.shape.end());
  auto output = make_spec(a.spec.dtype, shape);
  if (!output)
    return fail(output.error().code, fmt::format("take from {}: {}", format_operand(a), output.error().message));
  if (element_count(*output) != 0 && take.length == 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("take from {}: there is nothing to take from", format_operand(a)));
  Plan plan;
  plan.bytes_read = byte_count(*output) + byte_count(indices.spec);
  plan.bytes_written = byte_count(*output);
  if (element_count(*output) != 0)
    plan.phases.push_back(
        {ceil_div(take.outer * take.indices, take.per_block), 5 * static_cast<double>(take.per_block)});
  plan.output = *std::move(output);
  return plan;
}

}  // namespace parcompute
