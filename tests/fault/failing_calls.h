// The page by which a test tells processes which of their calls are to fail.
//
// failing_calls.cc is preloaded into the server's processes and linked to the test; it stands between the program and libc.
// All of them map this page, from the file named in $PARCOMPUTE_FAILING_CALLS. While it is not armed they make their calls
// as always, for the price of reading one word.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace parcompute::testing {

inline constexpr const char* kFailingCallsVariable = "PARCOMPUTE_FAILING_CALLS";

enum class Role : std::uint32_t { kCoordinator, kForkserver, kWorker, kClient };
inline constexpr std::array<std::string_view, 4> kRoleNames{"coordinator", "forkserver", "worker", "client"};

// What is failed. Calls of one purpose count together (open and openat, send and sendmsg).
enum class Call : std::uint32_t {
  kNone,
  kMap,           // mmap of a file or segment
  kTruncate,      // ftruncate
  kAllocateFile,  // fallocate, posix_fallocate
  kOpen,          // open, openat
  kOpenSegment,   // shm_open
  kOpenDirectory, // opendir
  kFork,
  kSpawn,         // posix_spawn
  kSocket,
  kSocketPair,
  kBind,
  kAccept,        // accept4
  kConnect,
  kSend,          // sendmsg, send
  kSendFds,       // those that carry descriptors
  kReceive,       // recvmsg that would have got something
  kReceiveFds,    // recvmsg of descriptors: they are lost and MSG_CTRUNC is set, as where the table is full
  kWatch,         // epoll_ctl(ADD)
  kEpollWait,
  kPoll,
  kEventDescriptor,  // epoll_create, eventfd, timerfd_create, signalfd, inotify_init
  kPipe,
  kDuplicate,     // fcntl(F_DUPFD...), dup
  kLease,         // fcntl(F_SETLEASE)
  kLock,          // fcntl(F_OFD_SETLK)
  kPread,
  kPwrite,
  kRead,
  kWrite,
  kUnlink,
  kRename,        // rename, linkat
  kMakeDirectory,
  kStatvfs,
  kPidfd,         // pidfd_open
  kMemory,        // memfd_create
  kAllocate,      // malloc, and so operator new
  kCount,
};
inline constexpr std::size_t kCalls = static_cast<std::size_t>(Call::kCount);
inline constexpr std::array<std::string_view, kCalls> kCallNames{
    "none",  "mmap",  "ftruncate", "fallocate", "open",   "shm_open", "opendir", "fork",   "posix_spawn", "socket",    "socketpair", "bind",
    "accept4", "connect", "sendmsg", "sendmsg with descriptors", "recvmsg", "recvmsg of descriptors", "epoll_ctl", "epoll_wait", "poll",
    "eventfd", "pipe2", "dup",   "lease",     "lock",      "pread",  "pwrite",   "read",    "write",  "unlink",      "rename", "mkdir", "statvfs",
    "pidfd_open", "memfd_create", "malloc"};
static_assert(!kCallNames.back().empty());

constexpr std::string_view name_of(Role role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}
constexpr std::string_view name_of(Call call) {
  return kCallNames[static_cast<std::size_t>(call)];
}

struct FailingCallsPage {
  std::atomic<bool> armed;
  std::atomic<Call> call;
  std::atomic<Role> role;
  std::atomic<std::int32_t> error;
  std::atomic<std::uint64_t> nth;  // the first one that fails, from 1; 0: none does, they are only counted
  std::atomic<bool> sticky;        // and all after it
  std::atomic<std::uint64_t> met;    // calls of this kind, by this role, since it was armed
  std::atomic<std::uint64_t> failed; // how many of them were failed
  // While armed: all calls of all kinds, by role.
  std::array<std::array<std::atomic<std::uint64_t>, kCalls>, kRoleNames.size()> seen;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the page is shared between processes");

// Of the copy that is linked to this process: watch `page`, which outlives it, from now on; as a client.
extern "C" void parcompute_failing_calls_attach(FailingCallsPage* page);

}  // namespace parcompute::testing
