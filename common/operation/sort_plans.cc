// sort, argsort, unique and percentile: one way of sorting rows (order_plan.h), four results.
#include <cmath>

#include <fmt/format.h>

#include "common/operation/order_plan.h"

namespace parcompute {
namespace {

// First guesses, of one core of today.
constexpr double kSortNsPerItem = 20;
constexpr double kSelectNs = 100'000;

double block_ns(const SortShape& shape, std::uint64_t items) {
  return 1000 + kSortNsPerItem * static_cast<double>(items) * (shape.item_bytes > 8 ? 2 : 1);
}

Result<void> check_scratch(std::string_view what, const OperandInfo& operand, std::uint64_t elements,
                           std::uint64_t bytes) {
  const auto total = checked_mul(elements, bytes);
  if (!total || *total > std::uint64_t{1} << 62)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} of {} would need more scratch memory than can be addressed", what, format_operand(operand)));
  return {};
}

void add_sort_phases(const SortShape& shape, Plan& plan) {
  if (!shape.is_long()) {
    plan.phases.push_back({shape.row_blocks(), block_ns(shape, shape.rows_per_block * shape.length)});
    return;
  }
  plan.phases.push_back({shape.run_blocks(), block_ns(shape, shape.run)});
  plan.phases.push_back({shape.piece_blocks(), block_ns(shape, shape.piece)});
  plan.scratch_bytes = shape.scratch_bytes();
}

Result<Plan> plan_order(std::string_view what, const OperandInfo& a, std::optional<std::int32_t> axis,
                        bool of_indices) {
  const auto rows = rows_along(what, a, axis);
  if (!rows) return fail(rows.error());
  const DType dtype = a.spec.dtype;
  auto output = make_spec(of_indices ? DType::kInt64 : dtype, rows->shape);
  if (!output)
    return fail(output.error().code, fmt::format("{} of {}: {}", what, format_operand(a), output.error().message));
  const std::uint64_t item_bytes = of_indices ? argsort_item_bytes(dtype, rows->length) : sort_item_bytes(dtype);
  if (auto ok = check_scratch(what, a, rows->elements(), item_bytes); !ok) return fail(ok.error());
  Plan plan;
  plan.bytes_read = byte_count(a.spec);
  plan.bytes_written = byte_count(*output);
  if (rows->elements() != 0) add_sort_phases(shape_sort(rows->rows, rows->length, item_bytes), plan);
  plan.output = *std::move(output);
  return plan;
}

}  // namespace

Result<Rows> rows_along(std::string_view what, const OperandInfo& operand, std::optional<std::int32_t> axis) {
  const ArraySpec& spec = operand.spec;
  Rows rows;
  rows.spec = spec;
  if (!axis) {
    rows.rows = 1;
    rows.length = element_count(spec);
    rows.shape = {static_cast<std::int64_t>(rows.length)};
    return rows;
  }
  const auto ndim = static_cast<std::int64_t>(spec.ndim());
  if (*axis < -ndim || *axis >= ndim)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} along axis {} of {}: {}", what, *axis, format_operand(operand),
                            ndim == 0 ? std::string("it has no axes; leave the axis out")
                                      : fmt::format("its axes are {} to {}", -ndim, ndim - 1)));
  const auto at = static_cast<std::ptrdiff_t>(*axis < 0 ? *axis + ndim : *axis);
  rows.shape = spec.shape;
  rows.length = static_cast<std::uint64_t>(spec.shape[static_cast<std::size_t>(at)]);
  std::rotate(rows.spec.shape.begin() + at, rows.spec.shape.begin() + at + 1, rows.spec.shape.end());
  std::rotate(rows.spec.strides.begin() + at, rows.spec.strides.begin() + at + 1, rows.spec.strides.end());
  rows.rows = 1;
  for (std::ptrdiff_t i = 0; i < ndim; ++i) {
    const auto dim = static_cast<std::uint64_t>(spec.shape[static_cast<std::size_t>(i)]);
    if (i != at) rows.rows *= dim;
    if (i > at) rows.inner *= dim;
  }
  if (element_count(spec) == 0) rows.rows = rows.length == 0 ? rows.rows : 0;
  rows.inner = std::max<std::uint64_t>(rows.inner, 1);
  return rows;
}

SortShape shape_sort(std::uint64_t rows, std::uint64_t length, std::uint64_t item_bytes) {
  SortShape shape{.rows = rows, .length = length, .item_bytes = item_bytes};
  const std::uint64_t fitting = kSortBlockBytes / item_bytes;
  if (length <= 2 * fitting) {
    shape.rows_per_block = std::max<std::uint64_t>(1, fitting / 4 / std::max<std::uint64_t>(1, length));
    return shape;
  }
  shape.run = std::max(fitting, ceil_div(length, kMostRuns));
  shape.runs = ceil_div(length, shape.run);
  shape.piece = fitting;
  shape.pieces = ceil_div(length, shape.piece);
  return shape;
}

std::uint64_t sort_item_bytes(DType dtype) {
  return info(dtype).kind == Kind::kComplex ? 24 : itemsize(dtype);
}

std::uint64_t argsort_item_bytes(DType dtype, std::uint64_t length) {
  if (info(dtype).kind == Kind::kComplex) return 24;
  return itemsize(dtype) <= 4 && length <= std::uint64_t{1} << 32 ? 8 : 16;
}

UniqueScratch unique_scratch(const SortShape& shape) {
  if (!shape.is_long()) return {};
  const std::uint64_t items = round_up(shape.scratch_bytes(), 64);
  return {items, 2 * items, 2 * items + shape.pieces * sizeof(std::uint64_t)};
}

Result<Plan> plan_sort(const wire::Operation& operation, Operands inputs) {
  return plan_order("sort", inputs[0], axis_of(operation.sort()), false);
}

Result<Plan> plan_argsort(const wire::Operation& operation, Operands inputs) {
  return plan_order("argsort", inputs[0], axis_of(operation.argsort()), true);
}

Result<Plan> plan_unique(const wire::Operation&, Operands inputs) {
  const OperandInfo& a = inputs[0];
  const std::uint64_t elements = element_count(a.spec);
  auto output = make_spec(a.spec.dtype, {static_cast<std::int64_t>(elements)});
  if (!output) return fail(output.error());
  const std::uint64_t item_bytes = sort_item_bytes(a.spec.dtype);
  if (auto ok = check_scratch("unique", a, elements, 4 * item_bytes); !ok) return fail(ok.error());
  Plan plan;
  plan.bytes_read = byte_count(a.spec);
  plan.bytes_written = byte_count(*output);
  if (elements != 0) {
    const SortShape shape = shape_sort(1, elements, item_bytes);
    plan.answers_length = true;
    add_sort_phases(shape, plan);
    if (shape.is_long()) plan.phases.push_back({shape.pieces, static_cast<double>(shape.piece)});
    plan.scratch_bytes = unique_scratch(shape).bytes;
  }
  plan.output = *std::move(output);
  return plan;
}

DType percentile_dtype(const wire::Percentile& message, DType elements) {
  return message.drop_q() && elements == DType::kFloat32 ? DType::kFloat32 : DType::kFloat64;
}

Result<Plan> plan_percentile(const wire::Operation& operation, Operands inputs) {
  const wire::Percentile& message = operation.percentile();
  const OperandInfo& a = inputs[0];
  const auto rows = rows_along("percentile", a, axis_of(message));
  if (!rows) return fail(rows.error());
  if (info(a.spec.dtype).kind == Kind::kComplex || a.spec.dtype == DType::kBool)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("percentile of {} is not served; it takes integers, float32 and float64", format_operand(a)));
  if (message.q_size() == 0 || (message.drop_q() && message.q_size() != 1))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("percentile of {} came with {} values of q; it takes {}", format_operand(a),
                            message.q_size(), message.drop_q() ? "one" : "one or more"));
  for (const double q : message.q())
    if (!(q >= 0 && q <= 100))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("percentile {} of {}: q lies from 0 to 100", q, format_operand(a)));
  if (rows->length == 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("percentile of {}: there is none of no elements", format_operand(a)));
  Dims shape;
  if (!message.drop_q()) shape.push_back(message.q_size());
  if (message.has_axis()) shape.insert(shape.end(), rows->spec.shape.begin(), rows->spec.shape.end() - 1);
  auto output = make_spec(percentile_dtype(message, a.spec.dtype), shape);
  if (!output) return fail(output.error());
  Plan plan;
  plan.bytes_read = byte_count(a.spec);
  plan.bytes_written = byte_count(*output);
  if (rows->elements() != 0) {
    const SortShape sort = shape_sort(rows->rows, rows->length, itemsize(a.spec.dtype));
    add_sort_phases(sort, plan);
    if (sort.is_long()) {
      const std::uint64_t answers = sort.rows * static_cast<std::uint64_t>(message.q_size());
      plan.phases.back() = {ceil_div(answers, kPercentilesPerBlock), kSelectNs * kPercentilesPerBlock};
    }
  }
  plan.output = *std::move(output);
  return plan;
}

}  // namespace parcompute
