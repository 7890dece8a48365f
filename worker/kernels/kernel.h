// Kernel: one job's operation in one worker's hands.
//
// A kernel is made when the job's description arrives and asked for runs of blocks, phase by phase. It writes to its
// own blocks of the output and of the scratch area and nowhere else; running a block again, after another worker died
// in the middle of it, gives the same bytes. Kernels know no sockets, no clock and no globals; the instruction set is
// chosen once per process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/operation/operation.h"
#include "proto/descriptor.h"

namespace parcompute {

class RedoLog;

// An operand in memory. `data` is the first data byte: element (0, ..., 0) lies at data + spec.offset. Checked: every
// element lies inside. Null where the array has no elements.
struct View {
  ArraySpec spec;
  std::string label;
  std::byte* data = nullptr;
  int fd = -1;                      // of the file or segment behind it, for kernels that read or reserve
  std::uint64_t data_offset = 0;    // of `data` in that descriptor, bytes
};

// Where element (0, ..., 0) lies: of an input, and of an output, which may be a part of an array that exists. Null where
// `data` is.
template <class Byte>
Byte* first_element(const ArraySpec& spec, Byte* data) {
  return data == nullptr ? nullptr : data + spec.offset;
}
inline std::byte* first_element(const View& view) {
  return first_element(view.spec, view.data);
}

struct KernelJob {
  const wire::Operation& operation;  // outlives the kernel
  Plan plan;                         // made by this worker from the views below
  std::vector<View> inputs;
  std::vector<View> outputs;         // none or one
  std::span<std::byte> scratch;      // plan.scratch_bytes long, page aligned
  RedoLog* redo = nullptr;           // of this worker's place; outlives the kernel
};

struct BlockRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

// What a chunk is computed in, so that it can be cut in between.
class Steps {
 public:
  virtual ~Steps() = default;
  // How many blocks come next; 0: the chunk is at its end, or its time is up.
  virtual std::uint64_t next() = 0;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Computes the blocks of phase `phase` (from 0, as in plan.phases). The caller has checked that they exist. The job's
  // last block writes its scalar, where it has one, to `value`. Where the plan overwrites operands, the chunk of the last phase
  // has begun in the redo log.
  virtual Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) = 0;
  // The same of the blocks from `first` on, as many as `steps` says. Where a run's begin or end costs something, a kernel may make one run of them all.
  virtual Result<void> run_steps(std::size_t phase, std::uint64_t first, Steps& steps, ScalarBytes& value) {
    while (const std::uint64_t count = steps.next()) {
      if (auto done = run(phase, {first, count}, value); !done) return done;
      first += count;
    }
    return {};
  }
};

struct KernelRow {
  wire::Operation::KindCase kind;
  std::unique_ptr<Kernel> (*make)(KernelJob job);
};

// The kernel of a job. Where its plan stores the result, that too.
std::unique_ptr<Kernel> make_kernel(KernelJob job);

// A row for every row of operations(), in the same order (a test compares them).
std::span<const KernelRow> kernels();

}  // namespace parcompute
