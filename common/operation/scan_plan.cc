// scan: cumsum and cumprod along rows.
#include <fmt/format.h>

#include "common/operation/order_plan.h"

namespace parcompute {

DType scan_result_dtype(DType dtype) {
  switch (info(dtype).kind) {
    case Kind::kBool:
    case Kind::kSigned:
      return DType::kInt64;
    case Kind::kUnsigned:
      return DType::kUint64;
    default:
      return dtype;
  }
}

ScanShape shape_scan(wire::Scan::Operator op, DType dtype, std::uint64_t rows, std::uint64_t length) {
  ScanShape shape{.rows = rows, .length = length};
  const bool whole = op == wire::Scan::PROD && info(dtype).kind == Kind::kComplex;
  if (length <= 2 * kScanPart || whole)
    shape.rows_per_block = std::max<std::uint64_t>(1, kScanPart / std::max<std::uint64_t>(1, length));
  else
    shape.parts = ceil_div(length, kScanPart);
  return shape;
}

Result<Plan> plan_scan(const wire::Operation& operation, Operands inputs) {
  const wire::Scan& scan = operation.scan();
  const OperandInfo& a = inputs[0];
  if (scan.op() != wire::Scan::SUM && scan.op() != wire::Scan::PROD)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("scan operator {} is unknown; choose sum or prod", static_cast<int>(scan.op())));
  const std::string_view what = scan.op() == wire::Scan::SUM ? "cumsum" : "cumprod";
  const auto rows = rows_along(what, a, axis_of(scan));
  if (!rows) return fail(rows.error());
  auto output = make_spec(scan_result_dtype(a.spec.dtype), rows->shape);
  if (!output)
    return fail(output.error().code, fmt::format("{} of {}: {}", what, format_operand(a), output.error().message));
  Plan plan;
  plan.bytes_read = byte_count(a.spec);
  plan.bytes_written = byte_count(*output);
  if (rows->elements() != 0) {
    const ScanShape shape = shape_scan(scan.op(), a.spec.dtype, rows->rows, rows->length);
    if (shape.is_long()) {
      plan.scratch_bytes = 2 * shape.rows * shape.parts * kScanTotalBytes;
      plan.phases.push_back({shape.rows * shape.parts, static_cast<double>(kScanPart)});
      plan.phases.push_back({shape.rows, 100 + 10 * static_cast<double>(shape.parts)});
      plan.phases.push_back({shape.rows * shape.parts, 2 * static_cast<double>(kScanPart)});
    } else {
      plan.phases.push_back({ceil_div(shape.rows, shape.rows_per_block),
                             100 + 2 * static_cast<double>(shape.rows_per_block * shape.length)});
    }
  }
  plan.output = *std::move(output);
  return plan;
}

}  // namespace parcompute
