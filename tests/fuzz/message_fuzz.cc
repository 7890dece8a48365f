// Any bytes as a client's request: what parses as one, and asks for a job, is planned on made-up operands, for a
// new output and for a view that exists. No plan may crash, overflow or claim an output that its own header could not hold.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "common/base/invariant.h"
#include "common/operation/operation.h"
#include "proto/limits.h"
#include "proto/parcompute.pb.h"

namespace parcompute {
namespace {

void check_plan(const Plan& plan, const ArraySpec* into) {
  if (plan.output && into != nullptr) {
    PARCOMPUTE_INVARIANT(*plan.output == *into);
    if (plan.stored) PARCOMPUTE_INVARIANT(plan.stored->stretched.shape == into->shape && !plan.output_is_zeroed);
    if (plan.stored && !plan.stored->is_zeros)
      PARCOMPUTE_INVARIANT(plan.stored->offset + byte_count(plan.stored->spec) <= plan.scratch_bytes);
  } else if (plan.output) {
    PARCOMPUTE_INVARIANT(is_dense(*plan.output));
    PARCOMPUTE_INVARIANT(check_spec(*plan.output, byte_count(*plan.output)));
  }
  for (const Phase& phase : plan.phases) {
    PARCOMPUTE_INVARIANT(phase.blocks >= 1 && phase.blocks <= kMaxBlocks);
    PARCOMPUTE_INVARIANT(phase.block_ns >= 0);
  }
  PARCOMPUTE_INVARIANT(plan.scratch_bytes < std::uint64_t{1} << 62);
}

// Each operand is a wire::ArraySpec of its share of the bytes, or a plain array where they are none.
std::vector<OperandInfo> made_up_operands(std::span<const std::uint8_t> bytes, std::size_t count) {
  std::vector<OperandInfo> operands;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = bytes.size() / (count - i);
    wire::ArraySpec message;
    const bool parsed = message.ParseFromArray(bytes.data(), static_cast<int>(size));
    bytes = bytes.subspan(size);
    auto spec =
        parsed ? from_wire(message) : make_spec(DType::kFloat64, {static_cast<std::int64_t>(size), 3});
    // As the server does before it plans; any array may be this large.
    if (!spec || !check_spec(*spec, std::uint64_t{1} << 50)) spec = make_spec(DType::kFloat32, {3, 3});
    operands.push_back({*std::move(spec), "fuzz", 1});
  }
  return operands;
}

void plan_request(std::span<const std::uint8_t> request_bytes, std::span<const std::uint8_t> operand_bytes) {
  wire::Request request;
  if (!request.ParseFromArray(request_bytes.data(), static_cast<int>(request_bytes.size()))) return;
  if (request.has_attach_array()) {
    if (const auto spec = from_wire(request.attach_array().spec())) (void)check_spec(*spec, 1 << 20);
  }
  if (!request.has_submit_job()) return;
  const wire::Operation& operation = request.submit_job().operation();
  const OperationRow* row = find_operation(operation.kind_case());
  for (std::size_t inputs : {std::size_t{0}, row == nullptr ? 1 : row->least_inputs, row == nullptr ? 1 : row->most_inputs, kMaxInputs}) {
    auto operands = made_up_operands(operand_bytes, inputs + 1);
    const OperandInfo into = operands.back();
    operands.pop_back();
    for (const OperandInfo* taker : {static_cast<const OperandInfo*>(nullptr), &into}) {
      const auto plan = plan_operation(operation, operands, taker);
      if (plan)
        check_plan(*plan, taker == nullptr ? nullptr : &taker->spec);
      else
        PARCOMPUTE_INVARIANT(!plan.error().message.empty());
    }
  }
}

}  // namespace
}  // namespace parcompute

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Of what cannot be read there would be words without end.
  [[maybe_unused]] static const auto spoken = google::protobuf::SetLogHandler(nullptr);
  // One byte says where the request ends and the operands begin.
  if (size < 1 || size > parcompute::kMaxPacketBytes) return 0;
  const std::span all(data + 1, size - 1);
  const std::size_t cut = all.size() * data[0] / 255;
  parcompute::plan_request(all.first(cut), all.subspan(cut));
  return 0;
}
