// Waiting for a job while other threads use its session.
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "client/c/handles.h"
#include "common/os/unique_fd.h"

namespace parcompute::c {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// One for each thread that ever waited; a child of fork() makes its own, or it would hear its parent's.
int bell_of_this_thread() {
  struct Bell {
    UniqueFd fd;
    unsigned generation = 0;
  };
  thread_local Bell bell;
  if (!bell.fd || bell.generation != fork_generation()) {
    bell.fd = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    bell.generation = fork_generation();
    if (!bell.fd) throw Failure(ErrorCode::kOverBudget, "this process has no room for one more descriptor: close files, or raise the limit (ulimit -n)", errno);
  }
  return bell.fd.get();
}

class Waiting {
 public:
  Waiting(SharedSession& shared, const Job& job) : shared_(shared), waiter_{job, bell_of_this_thread()} { shared_.add(waiter_); }
  Waiting(const Waiting&) = delete;
  ~Waiting() { shared_.remove(waiter_); }
  int bell() const { return waiter_.bell; }

 private:
  SharedSession& shared_;
  Waiter waiter_;
};

}  // namespace

JobResult wait_for(parcompute_job& handle, double seconds) {
  if (std::isnan(seconds)) throw Failure(ErrorCode::kInvalidArgument, "the job cannot be waited for NaN seconds");
  SharedSession& shared = *handle.shared;
  shared.check_process();
  const Waiting waiting(shared, handle.job);
  const auto begin = Clock::now();
  auto last_word = begin;
  int socket = -1;
  const auto ended = [&] {
    LockedSession locked(shared);
    socket = handle.job.descriptor();
    return handle.job.ended();
  };
  if (auto result = ended()) return *std::move(result);
  while (true) {
    const Seconds patience(shared.patience.load());
    const auto now = Clock::now();
    Seconds left = patience - (now - last_word);
    if (seconds >= 0) left = std::min(left, Seconds(seconds - Seconds(now - begin).count()));
    if (seconds >= 0 && Seconds(now - begin).count() >= seconds) throw Failure(ErrorCode::kTimeout, fmt::format("the job has not ended within {:.3g} s", seconds));
    std::array<pollfd, 2> places{{{socket, POLLIN, 0}, {waiting.bell(), POLLIN, 0}}};
    const int ready = ::poll(places.data(), places.size(), static_cast<int>(std::clamp(std::ceil(left.count() * 1000), 0.0, 1e9)));
    if (ready < 0 && errno == EINTR) throw Signalled();
    if (places[1].revents != 0) {
      eventfd_t rings = 0;
      ::eventfd_read(waiting.bell(), &rings);
    }
    if (ready > 0) last_word = Clock::now();
    if (auto result = ended()) return *std::move(result);
    if (Clock::now() - last_word >= patience) {
      // A job may take as long as it likes, its server may not: it is asked.
      LockedSession locked(shared);
      handle.job.info();
      last_word = Clock::now();
    }
  }
}

}  // namespace parcompute::c
