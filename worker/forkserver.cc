#include "worker/forkserver.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "proto/descriptor.h"
#include "proto/limits.h"
#include "worker/child_start.h"

namespace parcompute {
namespace {

std::size_t thread_count() {
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir("/proc/self/task"), ::closedir);
  PARCOMPUTE_INVARIANT(tasks != nullptr);
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(tasks.get())) count += entry->d_name[0] != '.';
  return count;
}

// A fork copies the calling thread alone: locks that others hold would be held for ever in the child.
void check_single_threaded() {
#ifndef __SANITIZE_THREAD__  // which has a thread of its own
  PARCOMPUTE_INVARIANT(thread_count() == 1);
#endif
}

class Forkserver {
 public:
  explicit Forkserver(Channel channel) : channel_(std::move(channel)) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    PARCOMPUTE_INVARIANT(::sigprocmask(SIG_BLOCK, &child, &outer_mask_) == 0);
    children_.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    PARCOMPUTE_INVARIANT(children_);
  }

  void run() {
    ForkMessage ready{};
    ready.kind = ForkKind::kReady;
    ready.pid = ::getpid();
    ready.protocol = kWorkerProtocol;
    if (channel_.send(bytes_of(ready)) != Transfer::kDone) return;

    std::array<std::byte, sizeof(ForkMessage)> buffer;
    Packet packet;
    while (true) {
      std::array<pollfd, 2> waits{{{channel_.fd(), POLLIN, 0}, {children_.get(), POLLIN, 0}}};
      if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
      // Deaths first: a request to fork follows from a death that was reported.
      if (waits[1].revents != 0) reap();
      if (waits[0].revents == 0) continue;
      if (channel_.receive(buffer, packet) != Transfer::kDone) return;
      ForkMessage request;
      PARCOMPUTE_INVARIANT(packet.bytes.size() == sizeof request && packet.fds.size() == 1);
      std::memcpy(&request, packet.bytes.data(), sizeof request);
      PARCOMPUTE_INVARIANT(request.kind == ForkKind::kForkWorker);
      fork_worker(request, std::move(packet.fds.front()));
    }
  }

 private:
  void fork_worker(const ForkMessage& request, UniqueFd socket) {
    check_single_threaded();
    ChildStart start{request.worker, request.cpu, std::move(socket)};
    const pid_t pid = ::fork();
    if (pid == 0) {
      channel_.close();
      children_.reset();
      ::sigprocmask(SIG_SETMASK, &outer_mask_, nullptr);
      start_child(std::move(start));
    }
    ForkMessage answer = request;
    if (pid < 0) {
      answer.kind = ForkKind::kForkFailed;
      answer.status = errno;
      channel_.send(bytes_of(answer));
      return;
    }
    workers_[pid] = request;
    answer.kind = ForkKind::kForked;
    answer.pid = pid;
    // Nobody but this process reaps the worker: its number cannot have been given to another yet.
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const int fd = pidfd.get();
    channel_.send(bytes_of(answer), pidfd ? std::span(&fd, 1) : std::span<const int>());
  }

  void reap() {
    signalfd_siginfo information;
    while (::read(children_.get(), &information, sizeof information) > 0) {
    }
    // Signals coalesce: one may stand for many deaths.
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = workers_.find(pid);
      if (found == workers_.end()) continue;
      ForkMessage message = found->second;
      message.kind = ForkKind::kExited;
      message.pid = pid;
      message.status = status;
      workers_.erase(found);
      channel_.send(bytes_of(message));
    }
  }

  Channel channel_;
  UniqueFd children_;
  sigset_t outer_mask_{};
  std::unordered_map<pid_t, ForkMessage> workers_;  // by pid: what they were forked for
};

}  // namespace

void run_forkserver(Channel channel) {
  Forkserver(std::move(channel)).run();
}

}  // namespace parcompute
