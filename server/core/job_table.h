// JobTable: the jobs that live and the last ones that ended.
#pragma once

#include <sys/types.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/operation/operation.h"
#include "common/operation/reserve.h"
#include "proto/descriptor.h"
#include "server/core/effects.h"
#include "server/core/fair_queue.h"
#include "server/core/fresh_blocks.h"
#include "server/core/lifecycle.h"
#include "server/core/owner_counts.h"

namespace parcompute::server {

// A worker that ended with a chunk in hand.
struct Death {
  WorkerIndex worker = 0;
  pid_t pid = 0;
  std::string how;    // "was killed by signal 11 (Segmentation fault)"
  std::string fault;  // "at address 0x10", and a line for each frame of its stack; empty where it could not say
  std::uint64_t peak_bytes = 0;
  bool by_oom_killer = false;
  std::uint16_t phase = 0;
  BlockRange blocks;
};

// Why a job failed of a chunk that nobody could compute.
struct DeathCertificate {
  std::uint16_t phase = 0;
  BlockRange blocks;
  std::string slice;  // of the output, that the blocks make; empty where they make no slice of it
  std::vector<Death> deaths;  // of that chunk, in order
};

// A request that is answered when the job ends.
struct Waiter {
  SessionId session;
  std::uint64_t request = 0;
};

// Most jobs have so few of anything that nothing need come from the heap.
template <class T>
using Few = boost::container::small_vector<T, 4>;

// A job's own memory, which all its workers share.
struct Scratch {
  CreatedSegment segment;
  std::uint64_t data_offset = 0;
  std::uint64_t data_bytes = 0;
  bool has_pages = false;
};

// What stays of a job when it has ended, and what is shown of it before.
struct JobSummary {
  JobId id;
  JobState state = JobState::kQueued;
  std::string operation;
  std::string expression;  // of an evaluation
  uid_t owner_uid = 0;
  bool detached = false;
  int priority = 0;  // as nice's
  bool background = false;
  std::chrono::nanoseconds time_limit{};  // of running; 0: none
  std::uint64_t blocks_done = 0;
  std::uint64_t blocks_total = 0;
  std::uint64_t chunks_done = 0;
  std::uint64_t retries = 0;
  std::uint64_t busy_ns = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  Instant started{};
  Instant ended{};
  std::optional<Error> error;
  std::shared_ptr<const DeathCertificate> certificate;
  std::optional<DType> scalar_dtype;
  ScalarBytes scalar{};
  ArrayId output;
  bool output_existed = false;  // before it
};

// Elements of an array that a job reads.
struct UsedView {
  ArrayId array;
  ArraySpec view;
};

struct Job {
  JobSummary summary;
  Plan plan;
  Few<UsedView> inputs;
  ArraySpec output_view;  // the elements that it writes
  std::optional<Scratch> scratch;
  std::uint64_t promised_bytes = 0;  // of output and scratch, not reserved yet
  std::string description;  // JobDescription, serialized, without new_segments
  Few<SegmentId> segments;  // that a worker needs for it

  SessionId session;
  Few<Waiter> waiters;
  Few<JobId> after;            // jobs that lived when it was submitted, and that it was told to come after
  std::set<JobId> waits_for;   // these, and live jobs that write its operands, or use its output
  std::size_t waits = 0;       // how many these are, as they were counted
  std::set<JobId> makers;      // of these, those that must end well: they make its operands, or it was told to come after them
  bool writes_existing = false;  // its output was there before it
  bool writes_all = false;       // and nothing is left of what it held
  bool waited_for_all = false;   // that used its output before it
  bool has_begun_writing = false;  // and it is marked so
  std::set<JobId> wanted_by;

  // ---- the phase that runs. Phase 0 reserves, the plan's follow.
  Few<std::uint64_t> phase_blocks;
  std::size_t phase = 0;
  std::size_t counts_from = 1;  // the first phase whose blocks are shown as progress
  ReserveBlocks reserve_blocks;         // of phase 0
  FreshBlocks fresh;
  std::uint64_t phase_blocks_done = 0;
  struct Retry {
    BlockRange blocks;
    std::uint16_t attempt = 1;
  };
  std::vector<Retry> retries;           // lost with their worker: one a packet; suspects after all other blocks
  std::vector<Death> deaths;            // of workers with a chunk of it in hand
  std::uint64_t leases = 0;             // out at this moment
  double block_ns = 0;                  // estimate, from the plan and then from what was measured

  std::uint64_t chunk_blocks = 0;  // 0: by chunk_sizing
  unsigned max_workers = 0;        // 0: all
  unsigned workers = 0;            // that hold leases of it
  FairQueue::Entry* entry = nullptr;  // in State::queue_of() it, from its submission to its end
  bool waits_for_memory = false;   // in State::waiting_for_memory

  JobId id() const { return summary.id; }
  JobState state() const { return summary.state; }
  bool has_blocks() const {
    return state() == JobState::kRunning && !waits_for_memory && (!retries.empty() || fresh.left() > 0);
  }
  // Of a job whose plan answers one: its output's first dimension. A worker's word, so held to what there is.
  std::uint64_t answered_length() const;
  bool phase_is_done() const { return phase_blocks_done == phase_blocks[phase]; }
  // The first phase whose blocks change something in the output.
  std::size_t writing_phase() const;
  // Whether a block may have changed something in an output that was there before.
  bool may_have_written() const { return phase > writing_phase() || (phase == writing_phase() && fresh.handed_out() > 0); }
  // Whether the phase's blocks overwrite their operands.
  bool overwrites_operands() const { return plan.overwrites_operands && phase + 1 == phase_blocks.size(); }
};

class JobTable {
 public:
  Job& add(Job job);
  Job* find(JobId id);        // live ones
  const JobSummary* find_summary(JobId id) const;  // live or ended
  // Moves it to the ended ones, of which the oldest may go.
  void end(JobId id);

  const std::map<JobId, std::unique_ptr<Job>>& live() const { return live_; }
  const std::deque<JobSummary>& ended() const { return ended_; }
  std::uint64_t ended_count() const { return ended_count_; }
  std::size_t owned_by(uid_t uid) const { return owned_.of(uid); }  // live ones

 private:
  std::map<JobId, std::unique_ptr<Job>> live_;
  std::deque<JobSummary> ended_;  // oldest first
  OwnerCounts owned_;
  std::uint64_t last_id_ = 0;
  std::uint64_t ended_count_ = 0;
};

}  // namespace parcompute::server
