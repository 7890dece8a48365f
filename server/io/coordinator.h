// Coordinator: the server around the core. One thread, one event loop (and Closers, which do nothing but close).
//
// It turns what sockets, signals and timers say into the core's events and performs the core's effects. Nothing here
// decides about arrays or jobs, and nothing here waits for a client or a worker.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/os/cpu_watch.h"
#include "common/os/memory_reserve.h"
#include "common/os/unique_fd.h"
#include "common/os/unix_socket.h"
#include "server/core/effects.h"
#include "server/core/placement.h"
#include "server/core/reactor.h"
#include "server/io/closer.h"
#include "server/io/packet_socket.h"
#include "server/io/look_out.h"
#include "server/io/pool.h"
#include "server/io/segment_store.h"
#include "server/io/unread_descriptors.h"

namespace parcompute::server {

struct CoordinatorOptions {
  explicit CoordinatorOptions(CpuWatch watch) : cpus(std::move(watch)) {}

  std::filesystem::path socket;
  UniqueFd listener;  // listening at it
  ReactorOptions core;
  CpuWatch cpus;
  PlacementOptions placing;
  std::unique_ptr<Backing> backing;
  std::optional<gid_t> admit_group;                // whose members may connect, besides the server's user and root
  std::optional<std::chrono::milliseconds> idle;   // leave after so long with nothing to lose
  UniqueFd lifeline;                               // leave, with all arrays, when its other end closes
  bool drop_arrays_at_exit = false;
};

class Coordinator : private Effects, private PoolEvents {
 public:
  explicit Coordinator(CoordinatorOptions options);
  ~Coordinator() override;

  // Takes over what an earlier server left behind, and starts the pool.
  Result<void> start();
  // Until somebody stops it. An error where the pool failed.
  Result<void> run();

 private:

  // ---- events in
  void accept_clients();
  void admit(UniqueFd socket);
  void on_client_packet(SessionId id, Packet& packet, bool whole);
  void end_session(SessionId id);
  void refuse(SessionId id, std::uint64_t request, ErrorCode code, std::string message);
  bool is_short_of_memory();
  void wait_a_second();
  void look_at_cpus();
  void watch_signals();
  void watch_lifeline();
  void watch_idleness();
  void feed_watchdog(std::chrono::microseconds interval);
  void leave();

  void on_forkserver_started(pid_t pid) override { core_.on_forkserver_started(pid); }
  void on_worker_forked(WorkerIndex index, pid_t pid) override { core_.on_worker_forked(index, pid); }
  void on_fork_failed(WorkerIndex index, const Error& error) override { core_.on_fork_failed(index, error); }
  void on_worker_ready(WorkerIndex index) override { core_.on_worker_ready(index); }
  void on_completions(WorkerIndex index, std::span<const ChunkCompletion> completions) override {
    look_out_.end_well();
    core_.on_completions(index, completions);
  }
  void on_chunk_failed(WorkerIndex index, const ChunkCompletion& completion, std::string_view text) override {
    core_.on_chunk_failed(index, completion, text);
  }
  void on_worker_leaving(WorkerIndex index) override { core_.on_worker_leaving(index); }
  void on_forgotten(WorkerIndex index, std::size_t count) override { core_.on_forgotten(index, count); }
  void on_fault(WorkerIndex index, std::string_view text) override { core_.on_fault(index, text); }
  void on_last_words(WorkerIndex index, const ChunkCompletion& completion, std::string_view text) override {
    core_.on_last_words(index, completion, text);
  }
  void on_workers_lost(std::span<const LostWorker> lost) override { core_.on_workers_lost(lost); }
  void on_pool_failed(const Error& error) override;

  // ---- effects out
  Instant now() override { return std::chrono::steady_clock::now(); }
  void wake_at(Instant when) override;
  void watch(bool on) override;
  bool is_stopped(WorkerIndex worker) override { return pool_.is_stopped(worker); }
  void warn(std::string_view line) override;
  Result<CreatedSegment> create_segment(const SegmentHeader& header, bool reserve) override;
  void rewrite_header(SegmentId segment, const SegmentHeader& header) override;
  void unlink_segment(SegmentId segment) override { segments_.unlink(segment); }
  void drop_segment(SegmentId segment, SegmentName name, std::optional<WorkerIndex> closer) override;
  Custody custody(SegmentId segment) override { return segments_.custody(segment); }
  Result<std::uint64_t> free_bytes() override { return segments_.free_bytes(); }
  Result<std::uint64_t> file_size(SegmentId file) override { return segments_.file_size(file); }
  void reply(SessionId session, const wire::Reply& reply, HandedSegment handed) override;
  void drop_session(SessionId session) override;
  void send_work(WorkerIndex worker, const WorkPacket& packet) override;
  void send_forget(WorkerIndex worker, std::span<const SegmentId> segments) override;
  void fork_worker(WorkerIndex worker) override { pool_.fork_worker(worker); }
  void kill_worker(WorkerIndex worker) override { pool_.kill_worker(worker); }
  void stop() override;

  void send_forget(WorkerIndex worker, std::span<const SegmentId> segments, std::span<const int> fds);
  void look_out_until(std::chrono::steady_clock::time_point end);

  MemoryReserve reserve_;
  bool was_short_ = false;
  CoordinatorOptions options_;
  std::vector<std::byte> buffer_;  // what is received, one packet at a time
  std::vector<char> arena_block_;  // where requests are parsed to, one at a time
  Closers closers_;  // before the loop, which has sockets to give up when it ends
  boost::asio::io_context loop_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};  // one thread: no locks
  LookOut look_out_;
  SegmentStore segments_;
  Pool pool_;
  Reactor core_;
  struct Client {
    uid_t uid = 0;
    std::shared_ptr<PacketSocket> socket;
  };
  std::unordered_map<SessionId, Client> clients_;
  UnreadDescriptors unread_;
  std::uint64_t last_session_ = 0;
  std::string reply_bytes_;

  boost::asio::posix::stream_descriptor listener_;
  boost::asio::posix::stream_descriptor lifeline_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer accept_timer_;
  boost::asio::steady_timer wake_timer_;
  boost::asio::steady_timer second_timer_;
  boost::asio::steady_timer idle_timer_;
  boost::asio::steady_timer watchdog_timer_;
  Instant idle_since_{};
  bool leaving_ = false;
  std::optional<Error> failure_;
};

}  // namespace parcompute::server
