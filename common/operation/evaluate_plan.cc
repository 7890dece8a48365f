#include "common/operation/evaluate_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/expression/syntax.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

// Results begin on cache lines.
constexpr std::uint64_t kAlignment = 64;
// For a first guess of a block's time: what a core reads, and an instruction on an element.
constexpr double kBytesPerNs = 12;
constexpr double kInstructionNs = 0.4;
constexpr double kMathInstructionNs = 2.5;
constexpr double kLeastBlockNs = 100;

// 2^60: sums of a few of them stay far from 64 bits.
constexpr std::uint64_t kMostScratchBytes = std::uint64_t{1} << 60;

double element_ns(const Stage& stage) {
  double ns = 0;
  for (const ProgramInput& input : stage.program.inputs) ns += static_cast<double>(itemsize(input.spec.dtype)) / kBytesPerNs;
  for (const Instruction& instruction : stage.program.code) {
    const bool math = instruction.kind == Instruction::Kind::kApply && (info(instruction.op).kinds & kIU) == 0 && instruction.op >= Op::kCbrt;
    ns += math ? kMathInstructionNs : kInstructionNs;
  }
  return ns;
}

double block_ns(const EvaluatePlan& plan, const EvaluateStep& step) {
  const StageLayout& layout = plan.layouts[step.stage];
  const double total = step.kind == EvaluateStep::Kind::kCombine ? static_cast<double>(layout.results() * layout.segments) * 2
                                                                 : static_cast<double>(layout.results() * layout.reduced) *
                                                                       element_ns(plan.evaluation.stages[step.stage]);
  return std::max(kLeastBlockNs, total / static_cast<double>(std::max<std::uint64_t>(1, step.blocks)));
}

// What the expression's names stand for: a refusal may hang on the dtype or the shape of any of them.
std::string format_operands(const wire::Evaluate& message, Operands inputs) {
  constexpr std::size_t kMost = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, inputs.size()); ++i)
    text += fmt::format("{}{} is {}", i == 0 ? "; " : ", ", message.names(static_cast<int>(i)), format_operand(inputs[i]));
  return inputs.size() > kMost ? text + ", ..." : text;
}

void add_step(EvaluatePlan& plan, EvaluateStep step) {
  if (step.blocks == 0) return;
  if (step.blocks == 1 && !plan.phases.empty() && plan.phases.back().front().blocks == 1) {
    plan.phases.back().push_back(step);
  } else {
    plan.phases.push_back({step});
  }
}

// What the programs read of their operands: every view of one counts once, however many stages and elements it is stretched
// over, and all of them together no more than the operand has.
std::uint64_t bytes_read(const Evaluation& evaluation, Operands inputs) {
  struct Part {
    std::uint64_t offset;
    std::vector<std::pair<std::int64_t, std::int64_t>> steps;  // how many, and how far, along each dimension that it steps along
    bool operator==(const Part&) const = default;
  };
  std::vector<std::vector<Part>> parts(inputs.size());
  for (const Stage& stage : evaluation.stages) {
    for (const ProgramInput& input : stage.program.inputs) {
      if (input.from != ProgramInput::From::kOperand) continue;
      Part part{input.spec.offset, {}};
      for (std::size_t axis = 0; axis < input.spec.ndim(); ++axis) {
        if (input.spec.shape[axis] != 0 && (input.spec.shape[axis] == 1 || input.spec.strides[axis] == 0)) continue;
        part.steps.emplace_back(input.spec.shape[axis], input.spec.strides[axis]);
      }
      auto& known = parts[input.index];
      if (std::find(known.begin(), known.end(), part) == known.end()) known.push_back(std::move(part));
    }
  }
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::uint64_t whole = byte_count(inputs[i].spec);
    std::uint64_t bytes = 0;
    for (const Part& part : parts[i]) {
      std::uint64_t elements = 1;
      for (const auto& [count, stride] : part.steps) elements *= static_cast<std::uint64_t>(count);
      bytes += std::min(whole - bytes, elements * itemsize(inputs[i].spec.dtype));
    }
    total += bytes;
  }
  return total;
}

}  // namespace

Result<EvaluatePlan> make_evaluate_plan(const wire::Evaluate& message, std::span<const OperandInfo> inputs) {
  if (static_cast<std::size_t>(message.names_size()) != inputs.size())
    return fail(ErrorCode::kInvalidArgument, fmt::format("the expression names {} operands, and {} came", message.names_size(), inputs.size()));
  std::vector<ExpressionOperand> operands;
  for (std::size_t i = 0; i < inputs.size(); ++i) operands.push_back({message.names(static_cast<int>(i)), inputs[i].spec});
  std::optional<DType> dtype;
  if (message.dtype() != 0) {
    dtype = dtype_from_number(message.dtype());
    if (!dtype) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is no dtype number", message.dtype()));
  }
  auto evaluation = compile_expression(message.expression(), operands, dtype);
  if (!evaluation) {
    // A text that cannot be read has nothing to do with its operands.
    const bool is_about_operands = evaluation.error().code == ErrorCode::kInvalidArgument && parse_expression(message.expression());
    return fail(evaluation.error().code, evaluation.error().message + (is_about_operands ? format_operands(message, inputs) : ""));
  }

  EvaluatePlan plan;
  plan.evaluation = *std::move(evaluation);
  const std::size_t stages = plan.evaluation.stages.size();
  for (std::size_t i = 0; i < stages; ++i) {
    const Stage& stage = plan.evaluation.stages[i];
    plan.layouts.push_back(lay_out(stage));
    const StageLayout& layout = plan.layouts.back();
    const auto partials = checked_mul(layout.segments > 1 ? layout.results() : 0, layout.segments * layout.partial_bytes);
    const std::uint64_t result = i + 1 < stages ? byte_count(stage.result) : 0;
    if (!partials || *partials > kMostScratchBytes || result > kMostScratchBytes)
      return fail(ErrorCode::kOverBudget, "the expression's intermediate results are larger than any memory");
    plan.result_offsets.push_back(plan.scratch_bytes);
    plan.scratch_bytes += round_up(result, kAlignment);
    plan.partial_offsets.push_back(plan.scratch_bytes);
    plan.scratch_bytes += round_up(*partials, kAlignment);
    if (plan.scratch_bytes > kMostScratchBytes) return fail(ErrorCode::kOverBudget, "the expression's intermediate results are larger than any memory");
    using K = EvaluateStep::Kind;
    add_step(plan, {layout.reduces ? K::kReduce : K::kMap, i, layout.blocks()});
    add_step(plan, {K::kCombine, i, layout.combine_blocks()});
  }
  return plan;
}

Result<Plan> plan_evaluate(const wire::Operation& operation, Operands inputs) {
  auto made = make_evaluate_plan(operation.evaluate(), inputs);
  if (!made) return fail(made.error());
  const auto stages = std::make_shared<const EvaluatePlan>(*std::move(made));
  Plan plan;
  plan.evaluate = stages;
  plan.output = stages->result();
  if (plan.output->shape.empty()) plan.scalar = plan.output->dtype;
  plan.scratch_bytes = stages->scratch_bytes;
  for (const auto& steps : stages->phases) {
    double ns = 0;
    for (const EvaluateStep& step : steps) ns += block_ns(*stages, step);
    const EvaluateStep& last = steps.back();
    const bool makes_runs = last.kind == EvaluateStep::Kind::kMap && last.stage + 1 == stages->layouts.size();
    plan.phases.push_back({steps.front().blocks, ns, makes_runs ? stages->layouts[last.stage].elements_per_block : 0});
  }
  plan.bytes_read = bytes_read(stages->evaluation, inputs);
  plan.bytes_written = byte_count(*plan.output);
  return plan;
}

}  // namespace parcompute
