// What lies behind the handles. Internal to the library.
//
// Everything that a session's handles share is used under its mutex, but nobody waits for a job while holding it: who waits polls the session's socket, and
// a bell that rings when another thread has taken the word that was meant for it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "client/c/parcompute.h"
#include "client/cpp/parcompute.h"

namespace parcompute::c {

// A signal came; a handle is used that was made before fork().
struct Signalled {};
struct Forked {};

// How often this process is the child of a fork() since the library was loaded.
unsigned fork_generation();

struct Waiter {
  Job job;
  int bell;
};

class SharedSession {
 public:
  SharedSession(Session session, std::string started);
  SharedSession(const SharedSession&) = delete;
  ~SharedSession();

  // Throws Forked.
  void check_process() const;
  bool is_of_this_process() const { return generation_ == fork_generation(); }
  const std::string& started() const { return started_; }

  // Destroys it now, or when whoever uses the session is done: the caller waits for nobody.
  void discard(std::variant<Array, Job> handle) noexcept;
  void close() noexcept;

  void add(const Waiter& waiter);
  void remove(const Waiter& waiter);

  std::atomic<double> patience{30};

 private:
  friend class LockedSession;
  friend void close_sockets_of_parent();
  void sweep() noexcept;
  void ring();

  const unsigned generation_;
  const std::string started_;
  std::mutex mutex_;
  std::optional<Session> session_;
  std::atomic<int> socket_{-1};

  std::mutex waiters_mutex_;
  std::vector<const Waiter*> waiters_;

  std::mutex discarded_mutex_;
  std::vector<std::variant<Array, Job>> discarded_;
  std::atomic<bool> has_discarded_ = false;
  std::atomic<bool> is_closed_ = false;
};

// A session in one thread's hands.
class LockedSession {
 public:
  explicit LockedSession(SharedSession& shared);
  LockedSession(const LockedSession&) = delete;
  ~LockedSession();
  // Throws where it was freed.
  Session& session();

 private:
  SharedSession& shared_;
};

}  // namespace parcompute::c

struct parcompute_session {
  std::shared_ptr<parcompute::c::SharedSession> shared;
};

struct parcompute_array {
  std::shared_ptr<parcompute::c::SharedSession> shared;
  parcompute::Array array;
  std::atomic<void*> data{nullptr};  // once it is mapped
};

struct parcompute_job {
  std::shared_ptr<parcompute::c::SharedSession> shared;
  parcompute::Job job;
};

namespace parcompute::c {

// Whose handle it is. Throws for NULL: the call that was to make it has failed.
template <class Handle>
SharedSession& owner_of(const Handle* handle) {
  if (handle == nullptr) throw Failure(ErrorCode::kInvalidArgument, "a handle is NULL: the call that was to make it has failed, or it was never made");
  return *handle->shared;
}
// A text that must be there.
inline const char* given(const char* text, std::string_view what) {
  if (text == nullptr) throw Failure(ErrorCode::kInvalidArgument, std::string(what) + " is NULL");
  return text;
}

// For the caller: null where there is no array.
parcompute_array* new_handle(const std::shared_ptr<SharedSession>& shared, Array array);
// malloc()ed, for parcompute_text_free().
char* new_text(const std::string& text);
void give(JobResult result, const std::shared_ptr<SharedSession>& shared, parcompute_array** output, parcompute_scalar* scalar);
// The job's end. Throws Signalled; kTimeout after `seconds`, where they are not below 0.
JobResult wait_for(parcompute_job& handle, double seconds);

}  // namespace parcompute::c
