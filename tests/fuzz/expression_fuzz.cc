// Any bytes as an expression over a few arrays: what compiles is verified, laid out and run, in one run of blocks and block
// by block from the last; both must leave the same bytes, and none outside their own.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/base/invariant.h"
#include "common/expression/syntax.h"
#include "common/operation/evaluate_plan.h"
#include "common/operation/plans.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

// Small arrays can be stretched to large ones; those are planned and not run. A few blocks' worth is enough to meet every seam.
constexpr std::uint64_t kMostElements = 20'000;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 19;

// Bytes of every kind: small numbers, NaNs, infinities, truths that are neither 0 nor 1.
std::vector<std::byte> operand_bytes() {
  std::vector<std::byte> bytes(1024);
  std::uint64_t state = 88172645463325252;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const double small = static_cast<double>(static_cast<std::int64_t>(state >> 40)) / 65536 - 100;
    std::memcpy(bytes.data() + i, &state, 8);
    if (i % 3 != 0) std::memcpy(bytes.data() + i, &small, 8);
  }
  return bytes;
}

struct Operand {
  const char* name;
  ArraySpec spec;
};

const std::vector<Operand>& operands() {
  static const std::vector<Operand> all{
      {"a", {DType::kFloat64, {4, 6}, {48, 8}, 0}},
      {"b", {DType::kFloat64, {6}, {-8}, 48}},
      {"c", {DType::kComplex64, {4, 1}, {16, 0}, 8}},
      {"t", {DType::kBool, {4, 6}, {1, 4}, 3}},
      {"i", {DType::kInt8, {4, 6}, {7, 1}, 5}},
      {"u", {DType::kUint64, {6}, {8}, 1}},
      {"s", {DType::kFloat32, {}, {}, 16}},
      {"n", {DType::kInt16, {0, 6}, {12, 2}, 0}},
      {"x", {DType::kFloat32, {40, 6}, {24, 4}, 0}},
  };
  return all;
}

struct Memory {
  std::vector<std::byte> output, scratch;
  ScalarBytes scalar{};
};

// Answers whether every block ran.
bool run(const wire::Operation& operation, const Plan& plan, const std::vector<View>& inputs, bool one_by_one, Memory& memory) {
  memory.output.assign(byte_count(*plan.output), std::byte{0xA5});
  memory.scratch.assign(plan.scratch_bytes, std::byte{0x5A});
  const std::vector<View> outputs{{*plan.output, "out", memory.output.data(), -1, 0}};
  const auto kernel = make_evaluate(KernelJob{operation, plan, inputs, outputs, {memory.scratch.data(), memory.scratch.size()}});
  for (std::size_t phase = 0; phase < plan.phases.size(); ++phase) {
    const std::uint64_t blocks = plan.phases[phase].blocks;
    if (!one_by_one) {
      if (!kernel->run(phase, {0, blocks}, memory.scalar)) return false;
      continue;
    }
    for (std::uint64_t block = blocks; block-- > 0;)
      if (!kernel->run(phase, {block, 1}, memory.scalar)) return false;
  }
  return true;
}

void evaluate(std::string_view text) {
  static std::vector<std::byte> bytes = operand_bytes();
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression(std::string(text));
  std::vector<View> inputs;
  std::vector<OperandInfo> infos;
  std::vector<ArraySpec> specs;
  for (const Operand& operand : operands()) {
    PARCOMPUTE_INVARIANT(check_spec(operand.spec, bytes.size()));
    operation.mutable_evaluate()->add_names(operand.name);
    inputs.push_back({operand.spec, operand.name, element_count(operand.spec) == 0 ? nullptr : bytes.data(), -1, 0});
    infos.push_back({operand.spec, operand.name});
    specs.push_back(operand.spec);
  }
  const auto stages = make_evaluate_plan(operation.evaluate(), infos);
  if (!stages) {
    PARCOMPUTE_INVARIANT(!stages.error().message.empty());
    return;
  }
  PARCOMPUTE_INVARIANT(verify(stages->evaluation, specs));
  const auto plan = plan_evaluate(operation, infos);
  PARCOMPUTE_INVARIANT(plan && plan->output && check_spec(*plan->output, byte_count(*plan->output)));
  for (const Stage& stage : stages->evaluation.stages)
    if (element_count({DType::kBool, stage.shape, {}, 0}) > kMostElements) return;
  if (byte_count(*plan->output) > kMostBytes || plan->scratch_bytes > kMostBytes) return;

  Memory whole, parts;
  const bool ran = run(operation, *plan, inputs, false, whole);
  PARCOMPUTE_INVARIANT(run(operation, *plan, inputs, true, parts) == ran);
  PARCOMPUTE_INVARIANT(!ran || (whole.output == parts.output && whole.scalar == parts.scalar));
}

}  // namespace
}  // namespace parcompute

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Longer ones are refused before anything is read.
  if (size > parcompute::kMaxExpressionBytes + 1) return 0;
  parcompute::evaluate({reinterpret_cast<const char*>(data), size});
  return 0;
}
