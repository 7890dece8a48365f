// JobSlot: a job as this worker knows it: its description, checked, and its kernel.
//
// Nothing that the description says about sizes is believed: the worker plans the operation again from the operands'
// specs, and every spec must lie inside its segment. A job that cannot be opened keeps its Error, which each of its
// chunks then answers.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/operation/plan_memory.h"
#include "proto/descriptor.h"
#include "proto/parcompute.pb.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/redo_log.h"
#include "worker/pace.h"
#include "worker/segment_cache.h"

namespace parcompute {

// What a chunk fails of where operator new does.
Error no_memory();

class JobSlot {
 public:
  // `description`: a JobDescription's bytes; `fds`: the descriptors of its new segments, in order.
  void open(std::span<const std::byte> description, std::vector<UniqueFd> fds, SegmentCache& segments, PlanMemory& plans,
            RedoLog& redo);

  JobId job() const { return JobId{description_.job()}; }

  using Clock = std::chrono::steady_clock;
  struct Progress {
    std::uint64_t blocks = 0;  // done, of the first ones
    Clock::time_point ended;
  };

  // Runs one chunk of this job, which begins now: to its end, or, where it is not at its end by `limit`, as far as it has come then; a step of
  // it at least. Files are looked at before and after: what lies behind the end of one that was cut short in its last
  // page reads as zeros, silently, and what is written there is lost. (Beyond that page it is SIGBUS, see last_words.h. A segment is
  // not looked at: who can truncate it can write zeros as well.)
  Result<Progress> run(const ChunkDescriptor& chunk, Clock::time_point now, Clock::time_point limit, ScalarBytes& value);
  // Whether a chunk that failed must end this worker: the redo log knows chunks before another as done, so after one that
  // overwrites its operands and was not done, no other may begin in it. And where opening the job was cut short, segments that
  // came with it may be missing, which the coordinator will not send again.
  bool must_end_after_failure() const { return redo_ != nullptr || was_cut_short_ || (refused_ && description_.output_exists()); }

 private:
  struct ReserveRange {
    int fd = -1;
    std::uint64_t offset = 0;  // in the descriptor, bytes
    std::uint64_t bytes = 0;
    std::string label;
  };

  // An operand's bytes in a file that a client attached.
  struct FileOperand {
    int fd = -1;
    std::uint64_t bytes = 0;  // that it had
    std::string label;
  };

  Result<void> prepare(std::vector<UniqueFd> fds, SegmentCache& segments, PlanMemory& plans, RedoLog& redo);
  // Nothing where the chunk fits the job as it is known here.
  Result<void> check(const ChunkDescriptor& chunk) const;
  Result<Progress> run_steps(const ChunkDescriptor& chunk, RedoLog* redo, Clock::time_point now, Clock::time_point limit, ScalarBytes& value);
  void plan_reserve(const KernelJob& job);
  Result<void> reserve(std::uint64_t first, Steps& steps) const;
  Result<void> reserve(BlockRange blocks) const;
  // Whether the files among the operands are as long as they were when they were attached.
  Result<void> check_files() const;

  wire::JobDescription description_;
  std::optional<Error> refused_;
  bool was_cut_short_ = false;
  std::vector<std::uint64_t> phase_blocks_;
  std::vector<ReserveRange> reserve_ranges_;  // the blocks of phase 0, in order
  std::vector<FileOperand> files_;
  int scratch_fd_ = -1;
  RedoLog* redo_ = nullptr;  // where the last phase overwrites operands
  std::unique_ptr<Kernel> kernel_;
  Pace pace_;  // of the phase
  std::uint16_t pace_phase_ = 0;
};

}  // namespace parcompute
