// The plans of operations that move bytes, or nothing at all: read_file, nop.
#include <algorithm>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

// Of one core: reading a file that the page cache holds.
constexpr double kReadBytesPerNs = 4;
constexpr double kNopNs = 20;
constexpr double kMostNopNs = 1e15;

Phase copy_phase(std::uint64_t bytes, double bytes_per_ns) {
  return {ceil_div(bytes, kCopyBlockBytes),
          static_cast<double>(std::min(bytes, kCopyBlockBytes)) / bytes_per_ns};
}

}  // namespace

Result<Plan> plan_read_file(const wire::Operation& operation, Operands inputs) {
  const OperandInfo& input = inputs[0];
  if (!is_dense(input.spec))
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{} has gaps or reversed axes; a file is read in one piece, in C or Fortran order",
                    format_operand(input)));
  const bool is_half = operation.read_file().is_half();
  if (is_half && input.spec.dtype != DType::kUint16)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} cannot be read as float16: its bits come as uint16", format_operand(input)));
  const Order order = is_c_contiguous(input.spec) ? Order::kC : Order::kFortran;
  auto output = make_spec(is_half ? DType::kFloat32 : input.spec.dtype, input.spec.shape, order);
  if (!output) return fail(output.error());

  Plan plan;
  const std::uint64_t bytes = byte_count(*output);
  if (bytes != 0) plan.phases.push_back(copy_phase(bytes, kReadBytesPerNs));
  if (bytes != 0 && order == Order::kC) plan.phases.back().elements = kCopyBlockBytes / itemsize(output->dtype);
  plan.bytes_read = byte_count(input.spec);
  plan.bytes_written = bytes;
  plan.output = *std::move(output);
  return plan;
}

Result<Plan> plan_nop(const wire::Operation& operation, Operands) {
  Plan plan;
  const double block_ns = operation.nop().block_ns();
  if (!(block_ns >= 0 && block_ns <= kMostNopNs)) return fail(ErrorCode::kInvalidArgument, fmt::format("nop: {} ns are no time for a block: 0 to {} are", block_ns, kMostNopNs));
  if (operation.nop().blocks() != 0) plan.phases.push_back({operation.nop().blocks(), block_ns > 0 ? block_ns : kNopNs});
  return plan;
}

}  // namespace parcompute
