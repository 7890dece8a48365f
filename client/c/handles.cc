#include "client/c/handles.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace parcompute::c {
namespace {

std::atomic<unsigned> generation{0};
// Sessions of this process: a child closes their sockets, for the server takes a session for alive while anybody has its socket.
std::mutex sessions_mutex;
std::vector<SharedSession*> sessions;

bool is_packet_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

// In the child, where only what is safe in a signal handler may be called.
void close_sockets_of_parent() {
  generation.fetch_add(1, std::memory_order_relaxed);
  for (const SharedSession* shared : sessions)
    if (const int fd = shared->socket_.load(std::memory_order_relaxed); fd >= 0 && is_packet_socket(fd)) ::close(fd);
  sessions.clear();
  sessions_mutex.unlock();
}

namespace {

void watch_forks() {
  static const int outcome = ::pthread_atfork([] { sessions_mutex.lock(); }, [] { sessions_mutex.unlock(); }, close_sockets_of_parent);
  if (outcome != 0) throw std::bad_alloc();
}

}  // namespace

unsigned fork_generation() {
  return generation.load(std::memory_order_relaxed);
}

SharedSession::SharedSession(Session session, std::string started)
    : generation_(fork_generation()), started_(std::move(started)), session_(std::move(session)) {
  watch_forks();
  socket_ = session_->descriptor();
  const std::lock_guard lock(sessions_mutex);
  sessions.push_back(this);
}

SharedSession::~SharedSession() {
  const std::lock_guard lock(sessions_mutex);
  std::erase(sessions, this);
}

void SharedSession::check_process() const {
  if (!is_of_this_process()) throw Forked();
}

void SharedSession::discard(std::variant<Array, Job> handle) noexcept {
  try {
    const std::lock_guard lock(discarded_mutex_);
    discarded_.push_back(std::move(handle));
    has_discarded_ = true;
  } catch (const std::bad_alloc&) {
    // No room in the list: `handle` goes here, when nobody uses the session.
    const std::lock_guard lock(mutex_);
    const auto gone = std::move(handle);
    return;
  }
  sweep();
}

void SharedSession::close() noexcept {
  is_closed_ = true;
  has_discarded_ = true;
  sweep();
}

// Whoever finds the session in use leaves the sweeping to its user, who sweeps when done.
void SharedSession::sweep() noexcept {
  while (has_discarded_ && mutex_.try_lock()) {
    std::vector<std::variant<Array, Job>> gone;
    {
      const std::lock_guard lock(discarded_mutex_);
      gone.swap(discarded_);
      has_discarded_ = false;
    }
    gone.clear();
    if (is_closed_ && session_) {
      socket_ = -1;
      session_.reset();
    }
    ring();  // telling the server may have brought others' answers
    mutex_.unlock();
  }
}

void SharedSession::add(const Waiter& waiter) {
  const std::lock_guard lock(waiters_mutex_);
  waiters_.push_back(&waiter);
}

void SharedSession::remove(const Waiter& waiter) {
  const std::lock_guard lock(waiters_mutex_);
  std::erase(waiters_, &waiter);
}

void SharedSession::ring() {
  const std::lock_guard lock(waiters_mutex_);
  for (const Waiter* waiter : waiters_)
    if (waiter->job.has_answer()) ::eventfd_write(waiter->bell, 1);
}

LockedSession::LockedSession(SharedSession& shared) : shared_(shared) {
  shared.check_process();
  shared.mutex_.lock();
}

LockedSession::~LockedSession() {
  shared_.ring();
  if (shared_.session_) shared_.socket_.store(shared_.session_->descriptor(), std::memory_order_relaxed);
  shared_.mutex_.unlock();
  shared_.sweep();
}

Session& LockedSession::session() {
  if (!shared_.session_ || shared_.is_closed_) throw Failure(ErrorCode::kInvalidArgument, "the session was freed: connect again");
  return *shared_.session_;
}

parcompute_array* new_handle(const std::shared_ptr<SharedSession>& shared, Array array) {
  return array ? new parcompute_array{shared, std::move(array), {}} : nullptr;
}

char* new_text(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

void give(JobResult result, const std::shared_ptr<SharedSession>& shared, parcompute_array** output, parcompute_scalar* scalar) {
  if (scalar != nullptr && result.scalar) {
    scalar->dtype = static_cast<std::int32_t>(result.scalar->dtype);
    scalar->size = static_cast<std::int32_t>(itemsize(result.scalar->dtype));
    std::memcpy(scalar->bytes, result.scalar->bytes.data(), sizeof scalar->bytes);
  }
  if (output != nullptr) *output = new_handle(shared, std::move(result.output));
  else if (result.output) shared->discard(std::move(result.output));
}

}  // namespace parcompute::c

extern "C" void parcompute_text_free(char* text) {
  std::free(text);
}
