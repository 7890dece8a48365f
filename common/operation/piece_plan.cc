// Which expressions can store their results in pieces.
#include <algorithm>

#include "common/operation/evaluate_plan.h"

namespace parcompute {
namespace {

// Element for element in the same place.
bool lie_together(const ArraySpec& a, const ArraySpec& b) {
  if (a.dtype != b.dtype || a.shape != b.shape || a.offset != b.offset) return false;
  for (std::size_t axis = 0; axis < a.ndim(); ++axis)
    if (a.shape[axis] > 1 && a.strides[axis] != b.strides[axis]) return false;
  return true;
}

}  // namespace

bool has_integer_power(const Program& program) {
  return std::any_of(program.code.begin(), program.code.end(), [](const Instruction& each) {
    return each.kind == Instruction::Kind::kApply && each.op == Op::kPower && info(each.dtype).kind <= Kind::kUnsigned;
  });
}

std::shared_ptr<const StoredPieces> store_in_pieces(const Plan& plan, const OperandInfo& into, Operands inputs) {
  if (!plan.evaluate || plan.evaluate->phases.empty() || into.spec.ndim() == 0) return nullptr;
  const EvaluatePlan& evaluate = *plan.evaluate;
  const Stage& stage = evaluate.evaluation.stages.back();
  const EvaluateStep& last = evaluate.phases.back().back();
  if (last.kind != EvaluateStep::Kind::kMap || last.stage + 1 != evaluate.layouts.size()) return nullptr;
  // Stages in the same phase are computed again together: they would meet operands that the last one has overwritten.
  if (evaluate.phases.back().size() > 1) return nullptr;
  if (stage.result.shape != into.spec.shape) return nullptr;
  // It may fail in the middle: all results are made first, so that a failure leaves the array as it was.
  if (has_integer_power(stage.program)) return nullptr;
  for (const ProgramInput& input : stage.program.inputs) {
    if (input.from != ProgramInput::From::kOperand) continue;
    const OperandInfo& operand = inputs[input.index];
    if (may_overlap({input.spec, operand.label, operand.memory}, into) && !lie_together(input.spec, into.spec)) return nullptr;
  }
  const auto pieces = std::make_shared<StoredPieces>();
  pieces->target = into.spec;
  auto layout = lay_out_along(stage, pieces->target);
  if (!layout) return nullptr;
  pieces->layout = *std::move(layout);
  return pieces;
}

}  // namespace parcompute
