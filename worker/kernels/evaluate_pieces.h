// PieceStore: the last stage of an expression, stored in a view that exists piece by piece (StoredPieces).
#pragma once

#include <vector>

#include "common/operation/evaluate_plan.h"
#include "worker/kernels/evaluator.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/redo_log.h"

namespace parcompute {

class PieceStore {
 public:
  // `sources`: the stage's inputs, by the pieces' layout. `data`: the view's first data byte. `log`: of this worker's place; where
  // the view overlaps no operand its buffer alone is used.
  PieceStore(const Stage& stage, const StoredPieces& pieces, std::vector<Evaluator::Source> sources, std::byte* data, RedoLog& log, bool overwrites_operands);

  Result<void> run(BlockRange blocks);

 private:
  Result<void> run_block(std::uint64_t block, std::uint64_t piece);
  Result<void> compute(std::uint64_t first, std::size_t count);
  void publish(std::uint64_t first, std::size_t count) const;

  const StageLayout& layout_;
  ArraySpec target_;  // with fewer axes
  std::byte* data_;
  RedoLog& log_;
  bool logs_;
  std::size_t piece_;  // elements
  std::size_t result_bytes_, target_bytes_;  // of an element
  bool is_dense_;
  Loop cast_;  // null where the results are of the view's dtype
  Evaluator evaluator_;
};

}  // namespace parcompute
