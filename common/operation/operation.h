// An operation's plan: what it makes of its operands and into which blocks it falls apart.
//
// plan() is a pure function of the operation and of its operands' dtypes, shapes and strides. It knows nothing of
// workers, time or instruction sets: that is why results are the same bits however a job is split. The coordinator
// plans to admit and dispatch a job; a worker plans the same job again from its description, so that nothing that the
// coordinator sends about sizes has to be believed.
//
// A new operation is a message in proto/parcompute.proto, a row in registry.cc with its plan, and a row with its
// kernel in worker/kernels/registry.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/array/array_spec.h"
#include "common/base/error.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

// An input as its plan sees it. `label` is what a person calls it.
struct OperandInfo {
  ArraySpec spec;
  std::string label;
  std::uint64_t memory = 0;  // operands with the same number lie in the same memory; 0: alone
};

// A result that does not go to its output directly, for the output overlaps an operand or does not lie as a new one would
// (has gaps or an odd address, is of another dtype or a larger shape): it is made in scratch memory, and one more phase
// stores it. That phase reads scratch memory alone, so that a block that is run again, after a worker died in the middle
// of it, stores the same.
struct StoredResult {
  ArraySpec spec;            // dense
  ArraySpec stretched;       // the same, broadcast to the output's shape
  std::uint64_t offset = 0;  // in scratch memory
  bool is_zeros = false;     // and was never made
};

// A phase's blocks may run at once and in any order; the next phase starts when all of them are done.
struct Phase {
  std::uint64_t blocks = 0;
  // A first guess of one block's time, in ns, until real ones are measured. Only speed depends on it.
  double block_ns = 0;
  // Block b makes the output's elements [b, b + 1) * elements, in C order; 0 where blocks are no runs of the output.
  std::uint64_t elements = 0;
  // Or a tile of this many rows and columns of an output of two dimensions; tiles are counted in C order. 0: it does not.
  std::uint64_t tile_rows = 0, tile_columns = 0;
};

struct EvaluatePlan;
struct StoredPieces;

struct Plan {
  std::optional<ArraySpec> output;      // absent where the operation makes none; dense, unless it existed before
  bool output_is_zeroed = false;        // it must begin as zeros, as fresh pages do; else its blocks write all of it
  // The output's first dimension is the most that it can be; the last block of the last phase answers what it is, as a
  // uint64, and has given back the pages behind it.
  bool answers_length = false;
  std::optional<DType> scalar;          // the last block of the last phase answers one element of this dtype
  boost::container::small_vector<Phase, 2> phases;  // may be empty: nothing is left to do once the output is reserved
  std::uint64_t scratch_bytes = 0;      // shared by all blocks of the job, not zeroed, gone with the job
  std::optional<StoredResult> stored;   // the last phase stores it
  std::shared_ptr<const EvaluatePlan> evaluate;  // of an expression: what it was compiled to, for its kernel
  std::shared_ptr<const StoredPieces> pieces;    // of an expression whose last phase stores its results piece by piece
  // The output overlaps an operand: a block of the last phase that is run again may find its operands overwritten in part, and
  // needs the redo log (worker/kernels/redo_log.h) of the place that began it.
  bool overwrites_operands = false;
  std::uint64_t bytes_read = 0;         // of the operands' data, once each
  std::uint64_t bytes_written = 0;
};

struct OperationRow {
  wire::Operation::KindCase kind;
  std::string_view name;
  std::size_t least_inputs;
  std::size_t most_inputs;
  Result<Plan> (*plan)(const wire::Operation& operation, std::span<const OperandInfo> inputs);
};

// Every operation, in the order of wire::Operation's fields.
std::span<const OperationRow> operations();
// Null for a kind that this version does not know.
const OperationRow* find_operation(wire::Operation::KindCase kind);

// What people call it: "cumsum" for a scan that adds, "stack" for a concatenation along a new axis; else the row's name.
std::string_view operation_word(const wire::Operation& operation);

// Checks the number of inputs and the limits on blocks, and calls the row's plan. Where the result goes into an array that
// exists, `into` is its view.
Result<Plan> plan_operation(const wire::Operation& operation, std::span<const OperandInfo> inputs, const OperandInfo* into = nullptr);
// Its two steps: the plan for an output of its own, and the output that was asked for.
Result<Plan> plan_fresh(const wire::Operation& operation, std::span<const OperandInfo> inputs);
Result<Plan> plan_into(Plan fresh, const wire::Operation& operation, std::span<const OperandInfo> inputs, const OperandInfo* into);

// "[64:128]", "[3, 100:200]": the part of the output that a run of blocks makes. `phase` counts from 1, as in chunk descriptors.
// Empty where blocks are neither runs nor tiles of the output.
std::string slice_of_output(const Plan& plan, std::size_t phase, std::uint64_t first_block, std::uint64_t blocks);

// "'a' (float64, 2000x2000)": an operand in an error message.
std::string format_operand(const OperandInfo& operand);

// ArraySpec and its message. from_wire checks dtype, lengths and overflow, not the reach: see check_spec.
void to_wire(const ArraySpec& spec, wire::ArraySpec& message);
Result<ArraySpec> from_wire(const wire::ArraySpec& message);

}  // namespace parcompute
