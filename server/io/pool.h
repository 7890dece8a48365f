// Pool: the forkserver and the workers' sockets. It performs what the core asks of workers and reports what becomes of
// them.
//
// A worker's death has one witness: the forkserver, its parent, says so and how. Its socket's end alone only makes sure
// that it dies. When the forkserver itself is lost, all workers are (they end with it), and a new one is started.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/base/ids.h"
#include "common/os/oom_kills.h"
#include "common/os/unique_fd.h"
#include "proto/descriptor.h"
#include "server/core/effects.h"
#include "server/core/placement.h"
#include "server/core/worker_table.h"
#include "server/io/packet_socket.h"

namespace parcompute::server {

// What the pool reports. Never called from within a call of the pool.
class PoolEvents {
 public:
  virtual ~PoolEvents() = default;
  virtual void on_forkserver_started(pid_t pid) = 0;
  virtual void on_worker_forked(WorkerIndex index, pid_t pid) = 0;
  // It is tried again, and again.
  virtual void on_fork_failed(WorkerIndex index, const Error& error) = 0;
  virtual void on_worker_ready(WorkerIndex index) = 0;
  virtual void on_completions(WorkerIndex index, std::span<const ChunkCompletion> completions) = 0;
  virtual void on_chunk_failed(WorkerIndex index, const ChunkCompletion& completion, std::string_view text) = 0;
  virtual void on_worker_leaving(WorkerIndex index) = 0;
  virtual void on_forgotten(WorkerIndex index, std::size_t count) = 0;
  virtual void on_last_words(WorkerIndex index, const ChunkCompletion& completion, std::string_view text) = 0;
  // What it said of the fault that is ending it, with the names in its backtrace readable.
  virtual void on_fault(WorkerIndex index, std::string_view text) = 0;
  // All that are known to have ended by now, at once: none of them may be given what another one held.
  virtual void on_workers_lost(std::span<const LostWorker> lost) = 0;
  // No forkserver can be had: the server cannot go on.
  virtual void on_pool_failed(const Error& error) = 0;
};

class Pool {
 public:
  // Never more than `most` workers.
  Pool(boost::asio::io_context& loop, Closer& closer, std::span<std::byte> buffer, const Placement& placement, unsigned most, PoolEvents& events);
  ~Pool();

  // Starts the forkserver; the workers follow as they are asked for.
  Result<void> start();
  void fork_worker(WorkerIndex index);
  // From now on workers sit there, also those that there are.
  void place(const Placement& placement);
  void kill_worker(WorkerIndex index);
  // From now on on_second() is called.
  void begin_watch();
  // While workers compute: looks after what no event tells.
  void on_second();
  // By a signal; false also where that cannot be told.
  bool is_stopped(WorkerIndex index) const;
  void send(WorkerIndex index, std::span<const std::span<const std::byte>> parts, std::span<const int> fds);
  // Ends everything and waits for the forkserver's end. No event follows.
  void stop();

 private:
  struct Place {
    std::shared_ptr<PacketSocket> socket;
    std::uint64_t serial = 0;  // of the fork that filled it
    pid_t pid = 0;             // 0: not forked yet
    UniqueFd pidfd;
    bool says_ready = false;
    bool is_up = false;  // its readiness was reported
  };

  void on_forkserver_packet(Packet& packet);
  void on_forkserver_ended();
  void start_again_after(std::chrono::milliseconds pause);
  void start_again();
  void on_forked(const ForkMessage& message, Packet& packet);
  void give_up_fork(WorkerIndex index, Error why);
  void on_exited(const ForkMessage& message);
  void on_worker_packet(WorkerIndex index, std::uint64_t serial, Packet& packet);
  void report_if_up(WorkerIndex index);
  void lose(LostWorker lost);
  bool was_killed_for_memory(int status);
  void report_losses();
  void fork_later(WorkerIndex index);
  void fork_now(WorkerIndex index);
  ForkMessage message_to(ForkKind kind, WorkerIndex index) const;
  Place* place_of(const ForkMessage& message);
  // How it ended: "(pid 7) was killed by signal 9 (Killed)".
  std::string reap_forkserver();
  std::chrono::milliseconds restart_pause() const;
  void hear_all_out();

  boost::asio::io_context& loop_;
  Closer& closer_;
  std::span<std::byte> buffer_;
  Placement placement_;
  unsigned most_;
  UniqueFd redo_;  // the memory of all places' redo logs, for each forkserver in turn
  PoolEvents& events_;
  std::vector<Place> places_;
  std::array<ChunkCompletion, kMaxChunksPerPacket> completions_{};  // room for one packet's
  OomCounter oom_counter_{read_small_file};
  OomKills oom_kills_;
  unsigned forkserver_seconds_stopped_ = 0;
  std::shared_ptr<PacketSocket> forkserver_;
  pid_t forkserver_pid_ = 0;
  std::uint64_t last_serial_ = 0;
  std::vector<LostWorker> lost_;   // not reported yet
  std::vector<Instant> restarts_;  // of the forkserver, recent ones
  std::size_t barren_restarts_ = 0;  // since a worker came up
  std::string fork_trouble_;       // why a worker could not be had, as the log was told last
  Instant fork_trouble_told_{};
  bool stopped_ = false;
};

}  // namespace parcompute::server
