#include <array>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/operation.h"
#include "common/operation/order_plan.h"
#include "common/operation/plans.h"
#include "proto/limits.h"

namespace parcompute {
namespace {

using K = wire::Operation::KindCase;
constexpr std::array<OperationRow, 21> kOperations{{
    {K::kMatmul, "matmul", 2, 2, plan_product},
    {K::kMandelbrot, "mandelbrot", 0, 0, plan_mandelbrot},
    {K::kFill, "fill", 0, 0, plan_fill},
    {K::kReadFile, "read_file", 1, 1, plan_read_file},
    {K::kNop, "nop", 0, 0, plan_nop},
    {K::kEvaluate, "expr", 0, kMaxInputs, plan_evaluate},
    {K::kDot, "dot", 2, 2, plan_product},
    {K::kVecdot, "vecdot", 2, 2, plan_product},
    {K::kOuter, "outer", 2, 2, plan_product},
    {K::kRandom, "random", 0, 0, plan_random},
    {K::kConcatenate, "concatenate", 1, kMaxInputs, plan_concatenate},
    {K::kSort, "sort", 1, 1, plan_sort},
    {K::kArgsort, "argsort", 1, 1, plan_argsort},
    {K::kScan, "scan", 1, 1, plan_scan},
    {K::kCompress, "compress", 2, 2, plan_compress},
    {K::kTake, "take", 2, 2, plan_take},
    {K::kUnique, "unique", 1, 1, plan_unique},
    {K::kSearchsorted, "searchsorted", 2, 2, plan_searchsorted},
    {K::kBincount, "bincount", 1, 2, plan_bincount},
    {K::kHistogram, "histogram", 1, 3, plan_histogram},
    {K::kPercentile, "percentile", 1, 1, plan_percentile},
}};

// "2", "1 to 14"
std::string format_count(const OperationRow& row) {
  return row.least_inputs == row.most_inputs ? fmt::format("{}", row.most_inputs) : fmt::format("{} to {}", row.least_inputs, row.most_inputs);
}

}  // namespace

std::span<const OperationRow> operations() {
  return kOperations;
}

const OperationRow* find_operation(wire::Operation::KindCase kind) {
  for (const OperationRow& row : kOperations)
    if (row.kind == kind) return &row;
  return nullptr;
}

std::string_view operation_word(const wire::Operation& operation) {
  if (operation.has_scan()) return operation.scan().op() == wire::Scan::PROD ? "cumprod" : "cumsum";
  if (operation.has_concatenate() && operation.concatenate().stack()) return "stack";
  const OperationRow* row = find_operation(operation.kind_case());
  return row == nullptr ? "unknown" : row->name;
}

Result<Plan> plan_operation(const wire::Operation& operation, std::span<const OperandInfo> inputs, const OperandInfo* into) {
  auto plan = plan_fresh(operation, inputs);
  if (!plan) return plan;
  return plan_into(*std::move(plan), operation, inputs, into);
}

Result<Plan> plan_fresh(const wire::Operation& operation, std::span<const OperandInfo> inputs) {
  const OperationRow* row = find_operation(operation.kind_case());
  if (row == nullptr)
    return fail(ErrorCode::kUnsupported, "the job's operation is unknown to this server; is the client newer than it?");
  if (inputs.size() < row->least_inputs || inputs.size() > row->most_inputs)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} takes {} operand{}, not {}", row->name, format_count(*row),
                                                         row->most_inputs == 1 ? "" : "s", inputs.size()));
  return row->plan(operation, inputs);
}

Result<Plan> plan_into(Plan plan, const wire::Operation& operation, std::span<const OperandInfo> inputs, const OperandInfo* into) {
  const std::string_view name = operation_word(operation);
  if (into != nullptr)
    if (auto ok = redirect(plan, operation, *into, inputs); !ok) return fail(ok.error());
  for (const Phase& phase : plan.phases)
    if (phase.blocks == 0 || phase.blocks > kMaxBlocks)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{} falls into {} blocks here; a phase has 1 to {}", name, phase.blocks, kMaxBlocks));
  return plan;
}

std::string format_operand(const OperandInfo& operand) {
  return fmt::format("'{}' ({})", operand.label, format_spec(operand.spec));
}

void to_wire(const ArraySpec& spec, wire::ArraySpec& message) {
  message.set_dtype(static_cast<std::uint32_t>(spec.dtype));
  message.mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
  message.mutable_strides()->Assign(spec.strides.begin(), spec.strides.end());
  message.set_offset(spec.offset);
}

Result<ArraySpec> from_wire(const wire::ArraySpec& message) {
  const auto dtype = dtype_from_number(message.dtype());
  if (!dtype) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is no dtype number", message.dtype()));
  auto spec = make_spec(*dtype, Dims(message.shape().begin(), message.shape().end()));
  if (!spec) return spec;
  if (message.strides_size() != 0) {
    if (message.strides_size() != message.shape_size())
      return fail(ErrorCode::kInvalidArgument, fmt::format("an array of {} dimensions came with {} strides",
                                                           message.shape_size(), message.strides_size()));
    spec->strides.assign(message.strides().begin(), message.strides().end());
  }
  spec->offset = message.offset();
  return spec;
}

}  // namespace parcompute
