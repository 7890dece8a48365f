#include "worker/forkserver.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/os/affinity.h"
#include "proto/descriptor.h"
#include "proto/limits.h"
#include "worker/child_start.h"

namespace parcompute {
namespace {

// poll() itself found no memory: what would wait for the event is what failed.
constexpr std::chrono::milliseconds kShortOfMemoryPause{10};

// errno where the system does not tell.
tl::expected<std::size_t, int> thread_count() {
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir("/proc/self/task"), ::closedir);
  if (tasks == nullptr) return tl::unexpected(errno);
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(tasks.get())) count += entry->d_name[0] != '.';
  return count;
}

// A fork copies the calling thread alone: locks that others hold would be held for ever in the child. Answers errno, or 0.
int check_single_threaded() {
  const auto threads = thread_count();
  if (!threads) return threads.error();
#ifndef __SANITIZE_THREAD__  // which has a thread of its own
  PARCOMPUTE_INVARIANT(*threads == 1);
#endif
  return 0;
}

class Forkserver {
 public:
  Forkserver(Channel channel, std::span<std::byte> redo) : channel_(std::move(channel)), redo_(redo) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    PARCOMPUTE_INVARIANT(::sigprocmask(SIG_BLOCK, &child, &outer_mask_) == 0);
    children_.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    PARCOMPUTE_INVARIANT(children_);
  }

  // Ends all workers that there still are. They would end by themselves, but for one that was stopped before it could ask to die
  // with its parent.
  void end_workers() {
    for (const auto& [pid, message] : workers_) ::kill(pid, SIGKILL);  // not reaped: the number is its own
  }

  void run() {
    ForkMessage ready{};
    ready.kind = ForkKind::kReady;
    ready.pid = ::getpid();
    ready.protocol = kWorkerProtocol;
    tell(ready);

    std::array<std::byte, sizeof(ForkMessage)> buffer;
    Packet packet;
    while (!is_cut_off_) {
      std::array<pollfd, 2> waits{{{channel_.fd(), POLLIN, 0}, {children_.get(), POLLIN, 0}}};
      if (::poll(waits.data(), waits.size(), -1) < 0) {
        if (errno == ENOMEM) std::this_thread::sleep_for(kShortOfMemoryPause);
        else if (errno != EINTR) return;
        continue;
      }
      // Deaths first: a request to fork follows from a death that was reported.
      if (waits[1].revents != 0) reap();
      if (waits[0].revents == 0) continue;
      const Transfer outcome = channel_.receive_insisting(buffer, packet);
      if (outcome != Transfer::kDone && outcome != Transfer::kNoFds) return;
      ForkMessage request;
      PARCOMPUTE_INVARIANT(packet.bytes.size() == sizeof request);
      std::memcpy(&request, packet.bytes.data(), sizeof request);
      if (request.kind == ForkKind::kKillWorker) {
        kill_worker(request);
        continue;
      }
      if (request.kind == ForkKind::kPlaceWorker) {
        place_worker(request);
        continue;
      }
      PARCOMPUTE_INVARIANT(request.kind == ForkKind::kForkWorker);
      if (outcome == Transfer::kNoFds) {
        tell_failed(request, EMFILE);
        continue;
      }
      PARCOMPUTE_INVARIANT(packet.fds.size() == 1);
      fork_worker(request, std::move(packet.fds.front()));
    }
  }

 private:
  // Where the server cannot be told, it would wait for ever for a worker, or for the end of one. So this process ends, which shows
  // without a word, and its workers with it; the server starts all anew.
  void tell(const ForkMessage& message, std::span<const int> fds = {}) {
    const Transfer outcome = channel_.insist(bytes_of(message), fds);
    if (outcome == Transfer::kDone) return;
    is_cut_off_ = true;
    if (outcome != Transfer::kClosed) log_error("the forkserver cannot tell the server what becomes of its workers (no memory for it?): it ends");
  }

  void tell_failed(const ForkMessage& request, int error_number) {
    ForkMessage answer = request;
    answer.kind = ForkKind::kForkFailed;
    answer.status = error_number;
    tell(answer);
  }

  void fork_worker(const ForkMessage& request, UniqueFd socket) {
    if (const int error_number = check_single_threaded(); error_number != 0) return tell_failed(request, error_number);
    PARCOMPUTE_INVARIANT(request.worker < redo_.size() / kRedoPlaceBytes);
    ChildStart start{request.worker, std::move(socket), redo_.subspan(request.worker * kRedoPlaceBytes, kRedoPlaceBytes)};
    const pid_t pid = ::fork();
    if (pid == 0) {
      channel_.close();
      children_.reset();
      ::sigprocmask(SIG_SETMASK, &outer_mask_, nullptr);
      start_child(std::move(start));
    }
    if (pid < 0) return tell_failed(request, errno);
    ForkMessage answer = request;
    workers_[pid] = request;
    // From here, not in the worker: it might do so when it has been told another place already.
    if (request.cpu >= 0) place_worker(request);
    answer.kind = ForkKind::kForked;
    answer.pid = pid;
    // Nobody but this process reaps the worker: its number cannot have been given to another yet.
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const int fd = pidfd.get();
    tell(answer, pidfd ? std::span(&fd, 1) : std::span<const int>());
  }

  // One whose pidfd did not reach the server. It may have ended by now, and its place be another's.
  void kill_worker(const ForkMessage& request) const {
    for (const auto& [pid, message] : workers_)
      if (message.worker == request.worker && message.serial == request.serial) ::kill(pid, SIGKILL);  // not reaped: the number is its own
  }

  // What the system refuses costs speed, not results: cpusets change at any time.
  void place_worker(const ForkMessage& request) const {
    const std::vector<int> cpus = request.cpu >= 0 ? std::vector{request.cpu} : affinity_cpus();
    for (const auto& [pid, message] : workers_)
      if (message.worker == request.worker && message.serial == request.serial)
        if (auto set = set_affinity(pid, cpus); !set && set.error().system_errno != ESRCH) log_warning("{}: worker {} stays where it is", set.error().message, message.worker);
  }

  void reap() {
    signalfd_siginfo information;
    while (::read(children_.get(), &information, sizeof information) > 0) {
    }
    // Signals coalesce: one may stand for many deaths.
    int status = 0;
    rusage used{};
    for (pid_t pid; (pid = ::wait4(-1, &status, WNOHANG, &used)) > 0;) {
      const auto found = workers_.find(pid);
      if (found == workers_.end()) continue;
      ForkMessage message = found->second;
      message.kind = ForkKind::kExited;
      message.pid = pid;
      message.status = status;
      message.peak_bytes = static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
      workers_.erase(found);
      tell(message);
    }
  }

  Channel channel_;
  std::span<std::byte> redo_;
  UniqueFd children_;
  sigset_t outer_mask_{};
  std::unordered_map<pid_t, ForkMessage> workers_;  // by pid: what they were forked for
  bool is_cut_off_ = false;                         // the server could not be told something
};

}  // namespace

void run_forkserver(Channel channel, std::span<std::byte> redo) {
  Forkserver forkserver(std::move(channel), redo);
  forkserver.run();
  forkserver.end_workers();
}

}  // namespace parcompute
