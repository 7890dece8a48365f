#include <algorithm>

#include <fmt/format.h>

#include "common/array/view.h"
#include "common/expression/program.h"

namespace parcompute {
namespace {

constexpr const char* kRefused = "the expression's program is refused: ";

auto refuse(std::string_view why) {
  return fail(ErrorCode::kComputationFailed, fmt::format("{}{}", kRefused, why));
}

bool is_dtype(DType dtype) {
  return dtype_from_number(static_cast<std::uint32_t>(dtype)).has_value();
}

// A shape whose elements can be counted.
bool is_shape(const Dims& shape) {
  return make_spec(DType::kBool, shape).has_value();
}

// The first byte that the elements touch, and the one behind the last. Wide enough for any strides.
__extension__ using Wide = __int128;
std::pair<Wide, Wide> reach(const ArraySpec& spec) {
  Wide low = spec.offset, high = low + static_cast<Wide>(itemsize(spec.dtype));
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis) {
    const Wide span = static_cast<Wide>(spec.shape[axis] - 1) * spec.strides[axis];
    (span < 0 ? low : high) += span;
  }
  return {low, high};
}

bool reaches_inside(const ArraySpec& view, const ArraySpec& whole) {
  // Both lie in the same memory: the view may touch nothing before or behind what the whole touches.
  if (element_count(view) == 0) return true;
  if (element_count(whole) == 0) return false;
  const auto [low, high] = reach(view);
  const auto [whole_low, whole_high] = reach(whole);
  return low >= whole_low && high <= whole_high;
}

Result<void> verify_input(const ProgramInput& input, const Stage& stage, std::size_t stage_index, const Evaluation& evaluation,
                          std::span<const ArraySpec> operands) {
  const bool from_stage = input.from == ProgramInput::From::kStage;
  if (input.index >= (from_stage ? stage_index : operands.size())) return refuse("an input is not there");
  if (input.from > ProgramInput::From::kStage) return refuse("an input comes from nowhere");
  const ArraySpec& whole = from_stage ? evaluation.stages[input.index].result : operands[input.index];
  if (input.spec.dtype != whole.dtype) return refuse("an input has another dtype than what it reads");
  if (input.spec.shape != stage.shape || input.spec.strides.size() != stage.shape.size()) return refuse("an input has another shape than its stage");
  if (!reaches_inside(input.spec, whole)) return refuse("an input reaches outside its operand");
  return {};
}

Result<void> verify_code(const Program& program) {
  constexpr auto kNothing = DType{};
  std::vector<DType> holds(program.registers(), kNothing);  // what each register holds by now
  std::size_t at = 0;
  for (const ProgramInput& input : program.inputs) holds[at++] = input.spec.dtype;
  for (const Constant& constant : program.constants) {
    if (!is_dtype(constant.dtype)) return refuse("a constant has no dtype");
    holds[at++] = constant.dtype;
  }
  const std::size_t first_temporary = at;
  for (const Instruction& instruction : program.code) {
    const bool is_cast = instruction.kind == Instruction::Kind::kCast;
    if (instruction.kind > Instruction::Kind::kCast || instruction.op > Op::kWhere) return refuse("an op is unknown");
    if (!is_dtype(instruction.dtype) || !is_dtype(instruction.to)) return refuse("an instruction has no dtype");
    const OpInfo& row = info(instruction.op);
    if (instruction.operands != (is_cast ? 1 : row.operands)) return refuse("an instruction has a wrong number of operands");
    if (!is_cast && (row.kinds & kind_set(instruction.dtype)) == 0) return refuse("an op does not take its operands' dtype");
    if (!is_cast && instruction.to != result_dtype(instruction.op, instruction.dtype)) return refuse("an op gives another dtype");
    for (std::size_t i = 0; i < instruction.operands; ++i) {
      const DType wanted = !is_cast && instruction.op == Op::kWhere && i == 0 ? DType::kBool : instruction.dtype;
      if (instruction.in[i] >= holds.size() || holds[instruction.in[i]] != wanted) return refuse("an instruction reads a register that does not hold its operand");
      if (instruction.in[i] == instruction.out && itemsize(wanted) != itemsize(instruction.to)) return refuse("an instruction overwrites an operand of another size");
    }
    if (instruction.out < first_temporary || instruction.out >= holds.size()) return refuse("an instruction writes to no temporary");
    holds[instruction.out] = instruction.to;
  }
  if (program.result >= holds.size() || !is_dtype(program.dtype) || holds[program.result] != program.dtype) return refuse("the result's register does not hold it");
  return {};
}

// What reducers take, and what they write.
bool gives(Reducer reducer, DType from, DType to) {
  const Kind kind = info(from).kind;
  const bool whole = kind != Kind::kFloat && kind != Kind::kComplex;
  switch (reducer) {
    case Reducer::kSum:
    case Reducer::kProd:
      if (whole) return to == DType::kInt64 || to == DType::kUint64;
      return kind == Kind::kFloat ? to == DType::kFloat32 || to == DType::kFloat64 : to == DType::kComplex64 || to == DType::kComplex128;
    case Reducer::kMin:
    case Reducer::kMax:
    case Reducer::kFmin:
    case Reducer::kFmax: return from == to;
    case Reducer::kAny:
    case Reducer::kAll: return from == DType::kBool && to == DType::kBool;
    case Reducer::kArgmin:
    case Reducer::kArgmax:
    case Reducer::kNanargmin:
    case Reducer::kNanargmax: return to == DType::kInt64;
    case Reducer::kVar: return !whole && (to == DType::kFloat32 || to == DType::kFloat64);
  }
  return false;
}

// Positions are told along one axis, or of all elements.
bool tells_position(Reducer reducer) {
  return reducer >= Reducer::kArgmin && reducer <= Reducer::kNanargmax;
}

Result<void> verify_result(const Stage& stage) {
  if (!is_dtype(stage.result.dtype)) return refuse("a stage's result has no dtype");
  Dims shape;
  if (const auto& reduction = stage.reduction) {
    if (reduction->axes.size() != stage.shape.size()) return refuse("a reduction has a wrong number of axes");
    if (!gives(reduction->reducer, stage.program.dtype, reduction->dtype)) return refuse("a reduction gives another dtype");
    const auto axes = static_cast<std::size_t>(std::count(reduction->axes.begin(), reduction->axes.end(), true));
    if (tells_position(reduction->reducer) && axes != 1 && axes != stage.shape.size()) return refuse("a reduction tells positions along several axes");
    for (std::size_t axis = 0; axis < stage.shape.size(); ++axis) {
      if (!reduction->axes[axis]) shape.push_back(stage.shape[axis]);
      else if (reduction->keepdims) shape.push_back(1);
      if (reduction->axes[axis] && stage.shape[axis] == 0 && !has_identity(reduction->reducer) && element_count(stage.result) != 0)
        return refuse("a reduction of nothing has no answer");
    }
    if (reduction->dtype != stage.result.dtype) return refuse("a reduction has another dtype than its result");
  } else {
    shape = stage.shape;
    if (stage.program.dtype != stage.result.dtype) return refuse("a stage's result has another dtype than its program's");
  }
  const auto result = make_spec(stage.result.dtype, shape);
  if (!result || stage.result != *result) return refuse("a stage's result has a wrong shape");
  return {};
}

}  // namespace

std::string_view name(Reducer reducer) {
  switch (reducer) {
    case Reducer::kSum: return "sum";
    case Reducer::kProd: return "prod";
    case Reducer::kMin: return "min";
    case Reducer::kMax: return "max";
    case Reducer::kFmin: return "nanmin";
    case Reducer::kFmax: return "nanmax";
    case Reducer::kAny: return "any";
    case Reducer::kAll: return "all";
    case Reducer::kArgmin: return "argmin";
    case Reducer::kArgmax: return "argmax";
    case Reducer::kNanargmin: return "nanargmin";
    case Reducer::kNanargmax: return "nanargmax";
    case Reducer::kVar: return "var";
  }
  __builtin_unreachable();
}

bool has_identity(Reducer reducer) {
  return reducer == Reducer::kSum || reducer == Reducer::kProd || reducer == Reducer::kAny || reducer == Reducer::kAll || reducer == Reducer::kVar;
}

Result<void> verify(const Evaluation& evaluation, std::span<const ArraySpec> operands) {
  if (evaluation.stages.empty() || evaluation.stages.size() > kMaxStages) return refuse("it has no stages, or too many");
  for (std::size_t i = 0; i < evaluation.stages.size(); ++i) {
    const Stage& stage = evaluation.stages[i];
    if (stage.program.registers() > kMaxRegisters || stage.program.temporaries > kMaxRegisters) return refuse("it has too many registers");
    if (!is_shape(stage.shape)) return refuse("a stage has no shape");
    for (const ProgramInput& input : stage.program.inputs)
      if (auto ok = verify_input(input, stage, i, evaluation, operands); !ok) return ok;
    if (auto ok = verify_code(stage.program); !ok) return ok;
    if (auto ok = verify_result(stage); !ok) return ok;
  }
  return {};
}

}  // namespace parcompute
