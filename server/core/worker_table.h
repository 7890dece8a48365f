// WorkerTable: the pool, and what each worker holds: leases, job descriptions, segments.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/ids.h"
#include "proto/limits.h"
#include "server/core/job_table.h"
#include "server/core/lifecycle.h"

namespace parcompute::server {

// A chunk in a worker's hands.
struct Lease {
  std::uint64_t id = 0;
  JobId job;
  BlockRange blocks;
  std::uint16_t phase = 0;
  std::uint16_t attempt = 1;
  std::uint32_t slot = 0;
  bool first_in_packet = false, last_in_packet = false;
  double expected_ns = 0;  // when it was handed out; no more than what the worker takes before it gives back the rest
  std::uint64_t freed = 0;  // MemoryLedger::freed() then
};

// The segments that a worker keeps mapped, longest unused first.
class SegmentSet {
 public:
  bool contains(SegmentId id) const { return places_.contains(id); }
  // Marks it used just now; adds it where it is missing.
  void touch(SegmentId id);
  void erase(SegmentId id);
  void clear();
  std::size_t size() const { return order_.size(); }
  SegmentId oldest() const { return order_.front(); }

 private:
  std::list<SegmentId> order_;
  std::unordered_map<SegmentId, std::list<SegmentId>::iterator> places_;
};

struct Worker {
  WorkerIndex index = 0;
  pid_t pid = 0;
  bool is_parked = false;  // fewer CPUs are allowed than there are workers: it is given no work but its place's redo
  WorkerState state = WorkerState::kStarting;
  std::deque<Lease> leases;  // in the order they were sent, which is the order of the answers
  // Lost with the place's last worker, of chunks that overwrite their operands: how far they came stands in the place's redo log,
  // so its next worker gets them, in the same order and before all others. Those of jobs that end meanwhile mean nothing.
  std::deque<Lease> redo;
  std::size_t packets = 0;   // of chunks, not answered in full
  std::array<JobId, kJobSlots> slots{};             // whose descriptions it has
  std::array<std::uint32_t, kJobSlots> slot_leases{};  // leases out, by slot
  std::size_t next_slot = 0;
  SegmentSet segments;
  std::deque<SegmentId> forgetting;  // that it was told to let go of, and has not said it did; in the order of its answers
  std::uint64_t chunks_done = 0;
  std::uint64_t replaced = 0;
  std::uint64_t owes = 0;  // the chunk, or the segment, that it had in hand when the seconds were last counted
  unsigned seconds_in_hand = 0;     // full ones
  std::string ended_for;            // why the server ended it; empty: it did not

  std::string fault;  // what it said of the fault that is ending it
  bool named_its_chunk = false;  // that is ending it: none of its leases is suspected

  bool is_up() const { return state == WorkerState::kIdle || state == WorkerState::kBusy; }
  bool takes_work() const { return is_up() && !is_parked; }
  // Where the worker has the job's description.
  std::optional<std::uint32_t> slot_of(JobId job) const;
  // A slot for a new description: one whose job has no lease out here. There is one: packets are fewer than slots.
  std::uint32_t free_slot();
  // Everything that it held is gone with it.
  void forget_all();
};

struct LostWorker {
  WorkerIndex index = 0;
  std::string how;  // it ended: "was killed by signal 9 (Killed)"
  std::uint64_t peak_bytes = 0;  // of its resident memory; 0: unknown
  bool by_oom_killer = false;
};

}  // namespace parcompute::server
