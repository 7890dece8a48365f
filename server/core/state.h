// State: everything that the core knows.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/core/alarm.h"
#include "server/core/array_table.h"
#include "server/core/births.h"
#include "server/core/effects.h"
#include "server/core/fair_queue.h"
#include "server/core/job_table.h"
#include "server/core/memory_ledger.h"
#include "server/core/placement.h"
#include "server/core/session.h"
#include "server/core/share_limits.h"
#include "server/core/spare_segments.h"
#include "server/core/worker_table.h"

namespace parcompute::server {

// What the server is called and where it is: for replies.
struct Identity {
  pid_t pid = 0;
  uid_t uid = 0;
  std::uint64_t id = 0;  // nobody else's, and no server's before or after it
  pid_t forkserver_pid = 0;  // 0: being started
  std::string socket;
  std::string instance;
  Instant started{};
};

struct State {
  Identity identity;
  ArrayTable arrays;
  JobTable jobs;
  std::vector<Worker> workers;  // as many as there ever were; those beyond the placement's are parked
  Placement placement;
  Births births;
  std::unordered_map<SessionId, Session> sessions;
  MemoryLedger memory;
  SpareSegments spares;
  ShareLimits share_limits;
  std::size_t max_arrays = 0;  // each costs a descriptor
  OwnerCounts sessions_of;
  OwnerCounts waits_of;   // of the user's jobs for others
  std::size_t waits = 0;  // of all users
  FairQueue foreground, background;  // jobs that may have blocks to hand out; those in the background, when no other has
  std::set<std::pair<Instant, JobId>> deadlines;  // of running jobs that have a time limit
  Alarm alarm;
  std::vector<JobId> waiting_for_memory;  // that is still being given back
  std::uint64_t last_lease = 0;
  std::uint64_t chunks_done = 0;
  bool is_watched = false;  // Effects::watch was asked for
  bool stopping = false;
  bool drop_arrays = false;  // when the server leaves

  std::uint64_t next_lease() { return ++last_lease; }
  std::size_t jobs_in_queue() const { return foreground.size() + background.size(); }
  // How many may take part in it.
  unsigned workers_for(const Job& job) const {
    const unsigned all = placement.workers;
    return job.max_workers == 0 ? all : std::min(all, job.max_workers);
  }
  const FairQueue& queue_of(const Job& job) const { return job.summary.background ? background : foreground; }
  FairQueue& queue_of(const Job& job) { return job.summary.background ? background : foreground; }
};

// Something is to be looked at once a second from now on.
inline void begin_watch(State& state, Effects& effects) {
  if (!std::exchange(state.is_watched, true)) effects.watch(true);
}

}  // namespace parcompute::server
