// The plans of operations that move bytes, or nothing at all: fill, read_file, nop.
#include <algorithm>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

// Of one core: writing to pages that are there; reading a file that the page cache holds.
constexpr double kFillBytesPerNs = 8;
constexpr double kReadBytesPerNs = 4;
constexpr double kNopNs = 20;

Phase copy_phase(std::uint64_t bytes, double bytes_per_ns) {
  return {ceil_div(bytes, kCopyBlockBytes),
          static_cast<double>(std::min(bytes, kCopyBlockBytes)) / bytes_per_ns};
}

Result<void> check_fill(const wire::Fill& fill, const ArraySpec& spec) {
  const std::string text = format_spec(spec);
  if (!is_dense(spec) || spec.offset != 0)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("a new array of {} cannot have gaps or an offset; ask for C or Fortran order", text));
  switch (fill.how()) {
    case wire::Fill::ZEROS:
      return {};
    case wire::Fill::VALUE:
      if (fill.value().size() != itemsize(spec.dtype))
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("the value to fill a new array of {} with has {} bytes; an element has {}",
                                text, fill.value().size(), itemsize(spec.dtype)));
      if (spec.dtype == DType::kBool && static_cast<unsigned char>(fill.value()[0]) > 1)
        return fail(ErrorCode::kInvalidArgument, "a bool is the byte 0 or 1");
      return {};
    case wire::Fill::ARANGE:
      if (spec.dtype == DType::kBool && element_count(spec) > 2)
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("arange is defined for at most 2 bools, not for a new array of {}", text));
      if (!is_c_contiguous(spec))
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("arange fills arrays in C order; {} is not", text));
      return {};
    default:
      return fail(ErrorCode::kUnsupported,
                  fmt::format("fill's way {} is unknown; choose zeros, a value or arange",
                              static_cast<int>(fill.how())));
  }
}

}  // namespace

Result<Plan> plan_fill(const wire::Operation& operation, Operands) {
  const wire::Fill& fill = operation.fill();
  auto spec = from_wire(fill.spec());
  if (!spec) return fail(spec.error());
  if (auto ok = check_fill(fill, *spec); !ok) return fail(ok.error());

  Plan plan;
  const std::uint64_t bytes = byte_count(*spec);
  plan.output_is_zeroed = fill.how() == wire::Fill::ZEROS;
  if (bytes != 0 && !plan.output_is_zeroed) plan.phases.push_back(copy_phase(bytes, kFillBytesPerNs));
  plan.bytes_written = bytes;
  plan.output = *std::move(spec);
  return plan;
}

Result<Plan> plan_read_file(const wire::Operation&, Operands inputs) {
  const OperandInfo& input = inputs[0];
  if (!is_dense(input.spec))
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{} has gaps or reversed axes; a file is read in one piece, in C or Fortran order",
                    format_operand(input)));
  const Order order = is_c_contiguous(input.spec) ? Order::kC : Order::kFortran;
  auto output = make_spec(input.spec.dtype, input.spec.shape, order);
  if (!output) return fail(output.error());

  Plan plan;
  const std::uint64_t bytes = byte_count(*output);
  if (bytes != 0) plan.phases.push_back(copy_phase(bytes, kReadBytesPerNs));
  plan.bytes_read = bytes;
  plan.bytes_written = bytes;
  plan.output = *std::move(output);
  return plan;
}

Result<Plan> plan_nop(const wire::Operation& operation, Operands) {
  Plan plan;
  if (operation.nop().blocks() != 0) plan.phases.push_back({operation.nop().blocks(), kNopNs});
  return plan;
}

}  // namespace parcompute
