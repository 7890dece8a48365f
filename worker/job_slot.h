// JobSlot: a job as this worker knows it: its description, checked, and its kernel.
//
// Nothing that the description says about sizes is believed: the worker plans the operation again from the operands'
// specs, and every spec must lie inside its segment. A job that cannot be opened keeps its Error, which each of its
// chunks then answers.
#pragma once

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
#include "worker/segment_cache.h"

namespace parcompute {

class JobSlot {
 public:
  // `description`: a JobDescription's bytes; `fds`: the descriptors of its new segments, in order.
  void open(std::span<const std::byte> description, std::vector<UniqueFd> fds, SegmentCache& segments, PlanMemory& plans);

  JobId job() const { return JobId{description_.job()}; }

  // Runs one chunk of this job.
  Result<void> run(const ChunkDescriptor& chunk, ScalarBytes& value);

 private:
  struct ReserveRange {
    int fd = -1;
    std::uint64_t offset = 0;  // in the descriptor, bytes
    std::uint64_t bytes = 0;
    std::string label;
  };

  Result<void> prepare(std::vector<UniqueFd> fds, SegmentCache& segments, PlanMemory& plans);
  void plan_reserve(const KernelJob& job);
  Result<void> reserve(BlockRange blocks) const;
  static Result<void> reserve_soon(const ReserveRange& range, std::uint64_t from, std::uint64_t bytes);

  wire::JobDescription description_;
  std::optional<Error> refused_;
  std::vector<std::uint64_t> phase_blocks_;
  std::vector<ReserveRange> reserve_ranges_;  // the blocks of phase 0, in order
  int scratch_fd_ = -1;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace parcompute
