// Closer: a thread that closes what one user's clients sent, for closing it may take as long as its owner likes.
//
// A socket with SO_LINGER waits for its peer, a file on another machine or of a file system in user space for whoever serves it. On the
// event loop that would hold everybody up, and in one thread for all users the others. So every descriptor that came from outside ends
// in its sender's Closer: attached files, descriptors that nobody asked for, and clients' sockets, in which packets with descriptors may
// lie unread.
//
// The thread is there from the first descriptor on, does nothing else, and nobody ever waits for it. While it is stuck, descriptors pile up behind the one that it is closing; from kMostWaiting of them on is_behind() says so, and the
// user who sends more of them is refused. When the process ends, descriptors are left to the kernel: a socket does not linger then.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute::server {

class Closer {
 public:
  static constexpr std::size_t kMostWaiting = 256;

  Closer();
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;
  // Ends the thread as soon as it is done with what it is closing, without waiting for it.
  ~Closer();

  // Takes it over; returns at once. Where the system has no thread to spare, it stays open until there is one at a later call.
  void close(UniqueFd fd);
  bool is_behind() const { return waiting() >= kMostWaiting; }
  // Descriptors that are not closed yet.
  std::size_t waiting() const;

 private:
  struct Queue;
  Result<void> start();
  static void* run(void* queue);

  std::shared_ptr<Queue> queue_;  // the thread's as well: it may outlive this
};

// Each user's, from the first time that it is asked for until the server ends.
class Closers {
 public:
  Closer& of(uid_t uid) { return closers_[uid]; }

 private:
  std::map<uid_t, Closer> closers_;
};

}  // namespace parcompute::server
