// Programs with anything changed in them: what the verifier lets through must run without touching what is not its own. The first
// byte chooses an expression; each four that follow change one field of its program.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "common/base/invariant.h"
#include "common/operation/evaluate_plan.h"
#include "common/operation/plans.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

constexpr std::array<std::string_view, 8> kExpressions{
    "a * 2 + b",           "where(t, a, s)",         "sqrt(abs(a)) - c",     "(i << 2) | i",
    "arctan2(a, b) + a**2", "clip(a, -1, 1) * 3j + c", "a - mean(a)",          "sum(a * b, axis=0) + max(i)"};

struct Operand {
  const char* name;
  ArraySpec spec;
};

const std::vector<Operand>& operands() {
  static const std::vector<Operand> all{{"a", {DType::kFloat64, {40, 6}, {48, 8}, 0}},
                                        {"b", {DType::kFloat64, {6}, {-8}, 48}},
                                        {"c", {DType::kComplex64, {40, 1}, {16, 0}, 8}},
                                        {"t", {DType::kBool, {40, 6}, {6, 1}, 3}},
                                        {"i", {DType::kInt8, {40, 6}, {7, 1}, 5}},
                                        {"s", {DType::kFloat32, {}, {}, 16}}};
  return all;
}

class Changes {
 public:
  Changes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool next() {
    if (size_ < 4) return false;
    where_ = data_[0], which_ = data_[1], value_ = static_cast<std::uint16_t>(data_[2] | data_[3] << 8);
    data_ += 4, size_ -= 4;
    return true;
  }
  void apply(Program& program) const {
    const auto small = static_cast<std::uint8_t>(value_);
    switch (where_ % 8) {
      case 0: program.result = value_; return;
      case 1: program.temporaries = value_; return;
      case 2: program.dtype = static_cast<DType>(small); return;
      case 3:
        if (!program.constants.empty()) program.constants[which_ % program.constants.size()].dtype = static_cast<DType>(small);
        return;
      case 4:
        if (!program.inputs.empty()) program.inputs[which_ % program.inputs.size()].index = value_;
        return;
      default: break;
    }
    if (program.code.empty()) return;
    Instruction& instruction = program.code[which_ % program.code.size()];
    switch (where_ / 8 % 8) {
      case 0: instruction.op = static_cast<Op>(small); return;
      case 1: instruction.dtype = static_cast<DType>(small); return;
      case 2: instruction.to = static_cast<DType>(small); return;
      case 3: instruction.operands = small; return;
      case 4: instruction.out = value_; return;
      case 5: instruction.kind = static_cast<Instruction::Kind>(small); return;
      default: instruction.in[which_ / 64 % 3] = value_; return;
    }
  }
  std::uint8_t which() const { return which_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::uint8_t where_ = 0, which_ = 0;
  std::uint16_t value_ = 0;
};

// An expression as it is before anything is changed.
struct Original {
  explicit Original(std::string_view text) {
    static const std::vector<std::byte> bytes(2048, std::byte{0x3f});
    operation.mutable_evaluate()->set_expression(std::string(text));
    std::vector<OperandInfo> infos;
    for (const Operand& operand : operands()) {
      PARCOMPUTE_INVARIANT(check_spec(operand.spec, bytes.size()));
      operation.mutable_evaluate()->add_names(operand.name);
      inputs.push_back({operand.spec, operand.name, const_cast<std::byte*>(bytes.data()), -1, 0});
      infos.push_back({operand.spec, operand.name});
    }
    auto planned = plan_evaluate(operation, infos);
    PARCOMPUTE_INVARIANT(planned.has_value());
    plan = *planned;
  }
  wire::Operation operation;
  std::vector<View> inputs;
  Plan plan;
};

void change_and_run(const Original& original, Changes changes) {
  const auto& [operation, inputs, original_plan] = original;
  Plan plan = original_plan;
  auto changed = std::make_shared<EvaluatePlan>(*plan.evaluate);
  while (changes.next()) {
    auto& stages = changed->evaluation.stages;
    changes.apply(stages[changes.which() % stages.size()].program);
  }
  plan.evaluate = changed;
  std::vector<std::byte> output(byte_count(*plan.output)), scratch(plan.scratch_bytes);
  const std::vector<View> outputs{{*plan.output, "out", output.data(), -1, 0}};
  const auto kernel = make_evaluate(KernelJob{operation, plan, inputs, outputs, {scratch.data(), scratch.size()}});
  ScalarBytes scalar{};
  for (std::size_t phase = 0; phase < plan.phases.size(); ++phase)
    if (!kernel->run(phase, {0, plan.phases[phase].blocks}, scalar)) return;
}

}  // namespace
}  // namespace parcompute

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 400) return 0;
  static const std::vector<parcompute::Original> originals(parcompute::kExpressions.begin(), parcompute::kExpressions.end());
  parcompute::change_and_run(originals[data[0] % originals.size()], {data + 1, size - 1});
  return 0;
}
