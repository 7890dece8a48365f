#include "server/io/closer.h"

#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/os/system_error.h"

namespace parcompute::server {
namespace {

// It calls close() and little else; address space may be limited (ulimit -v).
constexpr std::size_t kStackBytes = 256 * 1024;

}  // namespace

struct Closer::Queue {
  std::mutex mutex;  // never held during a close()
  std::condition_variable changed;
  std::vector<int> fds;  // that wait; allocated and freed by the loop's thread alone
  std::size_t in_hand = 0;
  bool has_thread = false;
  bool ended = false;
};

Closer::Closer() : queue_(std::make_shared<Queue>()) {}

Closer::~Closer() {
  const std::lock_guard lock(queue_->mutex);
  queue_->ended = true;
  queue_->changed.notify_one();
}

Result<void> Closer::start() {
  pthread_attr_t attributes;
  PARCOMPUTE_INVARIANT(::pthread_attr_init(&attributes) == 0);
  PARCOMPUTE_INVARIANT(::pthread_attr_setstacksize(&attributes, kStackBytes) == 0);
  PARCOMPUTE_INVARIANT(::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
  // Signals are the loop's: the thread begins with all of them blocked, and keeps them so.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto share = std::make_unique<std::shared_ptr<Queue>>(queue_);
  pthread_t thread;
  const int error_number = ::pthread_create(&thread, &attributes, run, share.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  if (error_number != 0) return fail(system_error("start", "the thread that closes what clients send", error_number));
  share.release();
  return {};
}

void Closer::close(UniqueFd fd) {
  if (!fd) return;
  bool has_thread = false;
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->fds.push_back(fd.get());
    has_thread = std::exchange(queue_->has_thread, true);
  }
  fd.release();
  if (has_thread) return queue_->changed.notify_one();
  if (auto started = start(); !started) {
    log_error("{}; {} descriptors stay open until there is one", started.error().message, waiting());
    const std::lock_guard lock(queue_->mutex);
    queue_->has_thread = false;
  }
}

std::size_t Closer::waiting() const {
  const std::lock_guard lock(queue_->mutex);
  return queue_->fds.size() + queue_->in_hand;
}

void* Closer::run(void* argument) {
  const std::unique_ptr<std::shared_ptr<Queue>> share(static_cast<std::shared_ptr<Queue>*>(argument));
  Queue& queue = **share;
  std::unique_lock lock(queue.mutex);
  while (true) {
    queue.changed.wait(lock, [&] { return queue.ended || !queue.fds.empty(); });
    if (queue.ended) return nullptr;
    UniqueFd fd(queue.fds.front());
    queue.fds.erase(queue.fds.begin());  // frees nothing: the heap is the loop's alone
    queue.in_hand = 1;
    lock.unlock();
    fd.reset();
    lock.lock();
    queue.in_hand = 0;
  }
}

}  // namespace parcompute::server
