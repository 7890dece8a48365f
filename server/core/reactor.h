// Reactor: the core's face. One call per event; each changes the state and acts through Effects.
//
// Pure: no sockets, no clock, no globals. tests/core drives it with scripted events and compares the recorded effects.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/shm/segment_header.h"
#include "server/core/array_keeper.h"
#include "server/core/dispatcher.h"
#include "server/core/job_control.h"
#include "server/core/requests.h"
#include "server/core/state.h"

namespace parcompute::server {

struct ReactorOptions {
  Identity identity;
  Placement placement;
  std::uint64_t memory_limit_bytes = 0;
  std::string memory_limit_source;
  std::string_view memory_place = MemoryLimits{}.place;
  std::string_view memory_remedy = MemoryLimits{}.remedy;
  std::optional<std::uint64_t> spare_limit_bytes;  // default: a quarter of the memory limit
  bool segments_shrink = true;
  std::size_t max_arrays = std::numeric_limits<std::size_t>::max();
  ShareLimits share_limits;
};

class Reactor {
 public:
  Reactor(ReactorOptions options, Effects& effects);

  // ---- before the first client: an array that an earlier server on this socket left behind
  // The name that it has now: where its own is taken, it gets a free one like it. (Whoever may write a segment may write any name
  // into its header; and a newer server that comes back finds its own arrays beside those of the one between.)
  std::string adopt_array(SegmentHeader header, const CreatedSegment& segment);
  // Asks for the whole pool.
  void start_workers();

  // ---- sessions
  // Whether a user may have one session more.
  Result<void> check_session(uid_t uid) const;
  void on_session_opened(SessionId id, pid_t pid, uid_t uid);
  void on_request(SessionId id, const wire::Request& request, std::span<const ReceivedFile> files);
  void on_session_closed(SessionId id);

  // ---- workers
  // Other CPUs are allowed than before. Workers that there are too many of finish what they have in hand.
  void on_placement(Placement placement);
  void on_forkserver_started(pid_t pid) { state_.identity.forkserver_pid = pid; }
  void on_worker_forked(WorkerIndex index, pid_t pid);
  void on_worker_ready(WorkerIndex index);
  // It could not be forked; it will be tried again.
  void on_fork_failed(WorkerIndex index, const Error& error);
  // A completion that breaks the rules ends its worker.
  void on_completions(WorkerIndex index, std::span<const ChunkCompletion> completions);
  void on_chunk_failed(WorkerIndex index, const ChunkCompletion& completion, std::string_view text);
  // It has ended, or is about to: it is given nothing more, and its loss follows.
  void on_worker_leaving(WorkerIndex index);
  // The chunk that is ending it, said by itself: no other chunk of it is suspected.
  void on_last_words(WorkerIndex index, const ChunkCompletion& completion, std::string_view text);
  // What it says of the fault that is ending it: an address, a line for each frame of its stack.
  void on_fault(WorkerIndex index, std::string_view text);
  // It has let go of so many of the segments that it was told to. One that was told of fewer is ended.
  void on_forgotten(WorkerIndex index, std::size_t count);
  // `how` it ended: "was killed by signal 9 (Killed)". A new one is asked for.
  void on_worker_lost(WorkerIndex index, std::string_view how);
  // Several at once: what one held goes to none of the others.
  void on_workers_lost(std::span<const LostWorker> lost);

  // ---- time: what Effects::wake_at asked for
  void on_wake();
  // What Effects::watch asked for.
  void on_second();

  // ---- the end: answers everybody who waits (with the failure, where one ends the server), drops what nobody could find again, and
  // all arrays if told so.
  void shut_down(const Error* failure = nullptr);
  // Memory or descriptors are short.
  void drop_spares() { arrays_.drop_all_spares(); }
  void drop_arrays_at_exit() { state_.drop_arrays = true; }

  // Nothing would be lost if the server left now.
  bool is_idle() const;
  const State& state() const { return state_; }

 private:
  void add_workers();
  bool has_worker() const;
  void begin_births();
  bool watch_births();
  bool watch_greetings();
  void settle(const Dispatcher::Settled& settled);

  State state_;
  Effects& effects_;
  ArrayKeeper arrays_;
  Dispatcher dispatcher_;
  JobControl jobs_;
  Requests requests_;
};

}  // namespace parcompute::server
