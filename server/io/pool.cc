#include "server/io/pool.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/os/affinity.h"
#include "common/os/child_process.h"
#include "common/os/system_error.h"
#include "common/os/thread_counts.h"
#include "common/os/unix_socket.h"
#include "common/shm/segment.h"
#include "proto/limits.h"
#include "proto/worker_message.h"

namespace parcompute::server {
namespace {

using namespace std::chrono_literals;

// A worker that died before it was ready, or could not be forked, is not replaced at once: its cause is still there.
constexpr auto kForkPause = 200ms;
constexpr std::chrono::minutes kToldAgain{1};
// So many forkservers one after the other without a worker that came up mean that none will.
constexpr std::size_t kMaxBarrenRestarts = 5;
// Of those in so short a time each waits twice as long as the one before, up to a limit.
constexpr auto kRestartWindow = 10s;
constexpr std::size_t kMostDoublings = 4;
// Somebody may stop it for a moment, and go on.
constexpr unsigned kStoppedSeconds = 5;

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) == EX_OSERR) return "lacked memory, or room for open files, to go on";
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

}  // namespace

Pool::Pool(boost::asio::io_context& loop, Closer& closer, std::span<std::byte> buffer, const Placement& placement, unsigned most, PoolEvents& events)
    : loop_(loop),
      closer_(closer),
      buffer_(buffer),
      placement_(placement),
      most_(most),
      events_(events),
      places_(placement.workers) {}

Pool::~Pool() {
  stop();
}

Result<void> Pool::start() {
  const auto program = find_program("parcompute-worker", "PARCOMPUTE_WORKER");
  if (!program) return fail(program.error());
  if (!redo_) {
    auto made = create_nameless("parcompute-redo", most_ * kRedoPlaceBytes);
    if (!made) return fail(made.error());
    redo_ = *std::move(made);
  }
  auto pair = make_socket_pair();
  if (!pair) return fail(pair.error());
  SpawnOptions options;
  options.inherited = {pair->second.get(), redo_.get()};
  options.environment = one_thread_environment();
  const auto pid = spawn(*program, {"--socket-fd", fmt::format("{}", pair->second.get()), "--redo-fd", fmt::format("{}", redo_.get())}, options);
  if (!pid) return fail(pid.error());
  forkserver_pid_ = *pid;
  auto started = PacketSocket::start(loop_, closer_, pair->first, Peer::kOwn, buffer_, kMaxQueuedReplies,
                                     {[this](Packet& packet, bool) { on_forkserver_packet(packet); }, [this] { on_forkserver_ended(); }});
  if (!started) {
    reap_forkserver();
    return fail(started.error());
  }
  forkserver_ = *std::move(started);
  return {};
}

void Pool::stop() {
  if (stopped_) return;
  stopped_ = true;
  for (Place& place : places_)
    if (place.socket) place.socket->close();
  if (forkserver_) forkserver_->close();
  reap_forkserver();
}

std::string Pool::reap_forkserver() {
  if (forkserver_pid_ == 0) return {};
  int status = 0;
  const bool has_ended = ::waitpid(forkserver_pid_, &status, WNOHANG) == forkserver_pid_;
  if (!has_ended) {
    // Its socket is closed: it is about to end. The kill is for one that is stopped or stuck; it is our child, so that the
    // number is still its own.
    ::kill(forkserver_pid_, SIGKILL);
    while (::waitpid(forkserver_pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return fmt::format("(pid {}) {}", std::exchange(forkserver_pid_, 0), has_ended ? describe_exit(status) : "closed its socket");
}

// ---- the forkserver ------------------------------------------------------------------------------------------

void Pool::on_forkserver_packet(Packet& packet) {
  ForkMessage message;
  PARCOMPUTE_INVARIANT(packet.bytes.size() == sizeof message);
  std::memcpy(&message, packet.bytes.data(), sizeof message);
  switch (message.kind) {
    case ForkKind::kReady:
      if (message.protocol != kWorkerProtocol) {
        events_.on_pool_failed(Error{ErrorCode::kProtocolVersion,
                                     fmt::format("parcompute-worker is of another version (its protocol is {}, the server's {}): install both "
                                                 "from one build",
                                                 message.protocol, kWorkerProtocol),
                                     0});
        return;
      }
      return events_.on_forkserver_started(message.pid);
    case ForkKind::kForked: return on_forked(message, packet);
    case ForkKind::kExited: return on_exited(message);
    case ForkKind::kForkFailed:
      if (place_of(message) != nullptr) give_up_fork(message.worker, system_error("fork", fmt::format("worker {}", message.worker), message.status));
      return;
    case ForkKind::kForkWorker:
    case ForkKind::kKillWorker:
    case ForkKind::kPlaceWorker: break;
  }
  PARCOMPUTE_INVARIANT(!"a message of the forkserver's");
}

// Null for a worker whose place was given to another.
Pool::Place* Pool::place_of(const ForkMessage& message) {
  PARCOMPUTE_INVARIANT(message.worker < places_.size());
  Place& place = places_[message.worker];
  return place.serial == message.serial ? &place : nullptr;
}

void Pool::on_forked(const ForkMessage& message, Packet& packet) {
  Place* place = place_of(message);
  if (place == nullptr) return;
  place->pid = message.pid;
  if (!packet.fds.empty()) place->pidfd = std::move(packet.fds.front());
  events_.on_worker_forked(message.worker, message.pid);
  report_if_up(message.worker);
}

void Pool::on_exited(const ForkMessage& message) {
  Place* place = place_of(message);
  if (place == nullptr) return;
  events_.on_worker_leaving(message.worker);
  // Its last answers may still be in its socket.
  if (place->socket) place->socket->drain();
  LostWorker lost{message.worker, describe_exit(message.status), message.peak_bytes, was_killed_for_memory(message.status)};
  log_warning("worker {} (pid {}) {}{}; it is replaced", message.worker, message.pid, lost.how, lost.by_oom_killer ? ", as memory ran out" : "");
  lose(std::move(lost));
  // Others may have ended with it.
  if (lost_.size() == 1) boost::asio::post(loop_, [this] { report_losses(); });
}

bool Pool::was_killed_for_memory(int status) {
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return false;
  return oom_kills_.explain_one(oom_counter_.count());
}

void Pool::begin_watch() {
  oom_kills_.begin(oom_counter_.count());
  forkserver_seconds_stopped_ = 0;
}

void Pool::on_second() {
  oom_kills_.on_second(oom_counter_.count());
  // Nobody would hear of workers that end, or get another.
  forkserver_seconds_stopped_ = is_stopped_process(forkserver_pid_) ? forkserver_seconds_stopped_ + 1 : 0;
  if (forkserver_seconds_stopped_ < kStoppedSeconds) return;
  log_error("the forkserver (pid {}) has been stopped for {} s: it is ended, and started again", forkserver_pid_, forkserver_seconds_stopped_);
  ::kill(forkserver_pid_, SIGKILL);  // our child, and not reaped: the number is its own
}

void Pool::report_losses() {
  if (stopped_ || lost_.empty()) return;
  forkserver_->drain();
  events_.on_workers_lost(std::exchange(lost_, {}));
}

void Pool::on_forkserver_ended() {
  if (stopped_) return;
  log_error("the forkserver {}; it is started again, with all workers", reap_forkserver());
  forkserver_seconds_stopped_ = 0;
  hear_all_out();
  const Instant now = std::chrono::steady_clock::now();
  std::erase_if(restarts_, [&](Instant at) { return now - at > kRestartWindow; });
  // The first time at once. After that its cause may be there still, and pass.
  start_again_after(restarts_.empty() ? 0ms : restart_pause());
}

std::chrono::milliseconds Pool::restart_pause() const {
  return kForkPause * (1 << std::min(restarts_.size(), kMostDoublings)) / 2;
}

// Workers end with their forkserver: they get nothing more, and what they still said counts.
void Pool::hear_all_out() {
  for (WorkerIndex index = 0; index < places_.size(); ++index) {
    if (!places_[index].socket) continue;
    events_.on_worker_leaving(index);
    places_[index].socket->drain();
  }
}

void Pool::start_again_after(std::chrono::milliseconds pause) {
  if (pause == 0ms) return start_again();
  auto timer = std::make_shared<boost::asio::steady_timer>(loop_, pause);
  timer->async_wait([this, timer](const boost::system::error_code& error) {
    if (!error && !stopped_) start_again();
  });
}

void Pool::start_again() {
  restarts_.push_back(std::chrono::steady_clock::now());
  if (++barren_restarts_ > kMaxBarrenRestarts) {
    events_.on_pool_failed(Error{ErrorCode::kSystem,
                                 fmt::format("parcompute-worker ended, or could not be started, {} times, and no worker came up meanwhile; why stands in the server's log "
                                             "(try 'parcompute-worker --version')",
                                             barren_restarts_),
                                 0});
    return;
  }
  if (auto started = start(); !started) {
    // Descriptors may be short for a moment, or processes.
    log_error("{}; the forkserver has to wait", started.error().message);
    return start_again_after(restart_pause());
  }
  hear_all_out();
  lost_.clear();
  for (WorkerIndex index = 0; index < places_.size(); ++index) lose({index, "ended with the forkserver"});
  report_losses();
}

// ---- workers -------------------------------------------------------------------------------------------------

void Pool::fork_worker(WorkerIndex index) {
  const bool died_young = places_[index].serial != 0 && !places_[index].is_up;
  if (died_young) {
    fork_later(index);
  } else {
    fork_now(index);
  }
}

void Pool::fork_later(WorkerIndex index) {
  auto timer = std::make_shared<boost::asio::steady_timer>(loop_, kForkPause);
  // The place may be filled by then: its worker and the forkserver may both have ended, each a reason to fork.
  timer->async_wait([this, index, timer, serial = places_[index].serial](const boost::system::error_code& error) {
    if (!error && !stopped_ && places_[index].serial == serial) fork_now(index);
  });
}

void Pool::fork_now(WorkerIndex index) {
  auto pair = make_socket_pair();
  if (!pair) return give_up_fork(index, pair.error());
  Place& place = places_[index];
  place = Place{};
  place.serial = ++last_serial_;
  auto socket = PacketSocket::start(
      loop_, closer_, pair->first, Peer::kOwn, buffer_, kMaxQueuedReplies,
      {[this, index, serial = place.serial](Packet& packet, bool) { on_worker_packet(index, serial, packet); },
       [this, index] { kill_worker(index); }});
  if (!socket) return give_up_fork(index, socket.error());
  place.socket = *std::move(socket);
  const ForkMessage request = message_to(ForkKind::kForkWorker, index);
  const int fd = pair->second.get();
  const std::span<const std::byte> bytes = bytes_of(request);
  if (forkserver_->send(std::span(&bytes, 1), std::span(&fd, 1))) return;
  give_up_fork(index, Error{ErrorCode::kSystem, "the forkserver could not be asked for a worker (too many descriptors on their way?)", 0});
}

ForkMessage Pool::message_to(ForkKind kind, WorkerIndex index) const {
  ForkMessage message{};
  message.kind = kind;
  message.worker = index;
  message.serial = places_[index].serial;
  message.cpu = placement_.cpu_of(index).value_or(-1);
  return message;
}

void Pool::place(const Placement& placement) {
  const bool moves = placement.allowed != placement_.allowed || placement.pins != placement_.pins;
  placement_ = placement;
  // Those that there are first: a place that is added is asked for later.
  if (moves && forkserver_pid_ != 0) {  // one that is being started has this server's mask
    // Workers that are forked from now on have its mask. Our child, and not reaped: the number is its own.
    if (auto set = set_affinity(forkserver_pid_, placement.allowed); !set) log_warning("{}; workers that are not pinned stay on the CPUs that they had", set.error().message);
    for (WorkerIndex index = 0; index < places_.size(); ++index) {
      const ForkMessage request = message_to(ForkKind::kPlaceWorker, index);
      const std::span<const std::byte> bytes = bytes_of(request);
      forkserver_->send(std::span(&bytes, 1));  // it ends where it does not read
    }
  }
  if (placement.workers > places_.size()) places_.resize(placement.workers);
}

void Pool::give_up_fork(WorkerIndex index, Error why) {
  // Every place is tried again several times a second: the same word once a minute is enough.
  const auto now = std::chrono::steady_clock::now();
  if (why.message != fork_trouble_ || now - fork_trouble_told_ > kToldAgain) {
    log_error("{}; worker {} has to wait, as may others", why.message, index);
    fork_trouble_ = why.message;
    fork_trouble_told_ = now;
  }
  // The core may be what asked for it.
  boost::asio::post(loop_, [this, index, why = std::move(why)] {
    if (!stopped_) events_.on_fork_failed(index, why);
  });
  Place& place = places_[index];
  if (place.socket) place.socket->close();
  place.socket.reset();
  fork_later(index);
}

void Pool::kill_worker(WorkerIndex index) {
  const Place& place = places_[index];
  if (place.pidfd) {
    ::syscall(SYS_pidfd_send_signal, place.pidfd.get(), SIGKILL, nullptr, 0);
    return;
  }
  // It is not forked yet, or there was no room for its pidfd. The forkserver, which reaps it, knows its number to be its own.
  const ForkMessage request = message_to(ForkKind::kKillWorker, index);
  const std::span<const std::byte> bytes = bytes_of(request);
  const bool is_sent = forkserver_ && forkserver_->send(std::span(&bytes, 1));
  // Otherwise it ends by itself, unless somebody stopped it, when it finds its socket closed.
  if ((!is_sent || place.pid == 0) && place.socket) place.socket->close();
}

bool Pool::is_stopped(WorkerIndex index) const {
  return is_stopped_process(places_[index].pid);
}

void Pool::lose(LostWorker lost) {
  Place& place = places_[lost.index];
  if (place.socket) place.socket->close();
  place.socket.reset();
  lost_.push_back(std::move(lost));
}

void Pool::report_if_up(WorkerIndex index) {
  Place& place = places_[index];
  if (place.is_up || !place.says_ready || place.pid == 0) return;
  place.is_up = true;
  barren_restarts_ = 0;
  events_.on_worker_ready(index);
}

void Pool::on_worker_packet(WorkerIndex index, std::uint64_t serial, Packet& packet) {
  if (places_[index].serial != serial) return;
  const auto message = decode_worker_message(packet.bytes, completions_);
  if (!message) {
    log_error("worker {} sent a message against the rules; it is replaced", index);
    return kill_worker(index);
  }
  switch (message->kind) {
    case CompletionKind::kReady: places_[index].says_ready = true; return report_if_up(index);
    case CompletionKind::kForgotten: return events_.on_forgotten(index, message->forgotten);
    case CompletionKind::kCompleted: return events_.on_completions(index, message->completions);
    case CompletionKind::kFailed: return events_.on_chunk_failed(index, message->completions.front(), message->words);
    case CompletionKind::kLastWords: return events_.on_last_words(index, message->completions.front(), message->words);
    case CompletionKind::kFault: return events_.on_fault(index, clip_utf8(readable_backtrace(message->words), kMaxLastWords));
  }
}

void Pool::send(WorkerIndex index, std::span<const std::span<const std::byte>> parts, std::span<const int> fds) {
  Place& place = places_[index];
  if (place.socket && !place.socket->send(parts, fds)) {
    log_error("worker {} does not read its messages; it is replaced", index);
    kill_worker(index);
  }
}

}  // namespace parcompute::server
