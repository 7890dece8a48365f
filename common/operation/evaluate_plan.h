// evaluate: an expression's stages as the phases of a job. Server and worker both make this plan from the expression's text.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "common/operation/evaluate_layout.h"
#include "common/operation/plans.h"

namespace parcompute {

// What one stage does in one phase.
struct EvaluateStep {
  enum class Kind : std::uint8_t {
    kMap,      // elements, where nothing is reduced
    kReduce,   // whole results, or partial ones where there are several segments
    kCombine,  // results of partial ones
  };
  Kind kind = Kind::kMap;
  std::size_t stage = 0;
  std::uint64_t blocks = 0;
};

struct EvaluatePlan {
  Evaluation evaluation;
  std::vector<StageLayout> layouts;  // of each stage
  // Steps of one block each that follow one another are one phase: its only block takes them in turn.
  std::vector<std::vector<EvaluateStep>> phases;
  // Where in scratch memory each stage's result (but the last one's) and its partial results lie.
  std::vector<std::uint64_t> result_offsets, partial_offsets;
  std::uint64_t scratch_bytes = 0;

  const ArraySpec& result() const { return evaluation.stages.back().result; }
};

// How an expression's results go into a view that exists, piece by piece: the worker computes some tens of KiB in its cache, then
// stores them, and makes no other copy. That is so where an element of the view is an operand of no result but its own: where
// the view is an operand of the last stage or overlaps none. What earlier stages read of it is read before.
struct StoredPieces {
  StageLayout layout;  // of the last stage, along `target`
  ArraySpec target;    // the view
};

// Integers to powers, which fail where one is negative.
bool has_integer_power(const Program& program);

// Nothing where the results must all be there before the first one is stored.
std::shared_ptr<const StoredPieces> store_in_pieces(const Plan& plan, const OperandInfo& into, Operands inputs);

Result<EvaluatePlan> make_evaluate_plan(const wire::Evaluate& message, std::span<const OperandInfo> inputs);

}  // namespace parcompute
