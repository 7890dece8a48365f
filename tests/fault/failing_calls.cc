// Stands between a program and libc: see failing_calls.h.
//
// A call that is to fail is not made: errno is set and -1 returned, as the kernel would. Nothing here allocates, and
// nothing logs.
#include "tests/fault/failing_calls.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

// A sanitizer stands there itself, and finds fault with another: the tests are skipped.
extern "C" void parcompute::testing::parcompute_failing_calls_attach(FailingCallsPage*) {}

#else

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(size_t bytes);
void __libc_free(void* memory);
}

namespace parcompute::testing {
namespace {

FailingCallsPage* page = nullptr;
Role role = Role::kClient;
// While allocations fail for good: what was freed since, and can be had again. So it is where a limit is reached.
std::atomic<std::size_t> freed_bytes{0};

// In the preloaded copy; the one that a test links has no page until the test gives it one.
__attribute__((constructor)) void find_page() {
  const char* path = std::getenv(kFailingCallsVariable);
  if (path == nullptr) return;
  if (std::strcmp(program_invocation_short_name, "parcompute-server") == 0) role = Role::kCoordinator;
  else if (std::strcmp(program_invocation_short_name, "parcompute-worker") == 0) role = Role::kForkserver;
  else return;
  const long fd = ::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  const long mapped = ::syscall(SYS_mmap, nullptr, sizeof(FailingCallsPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::syscall(SYS_close, fd);
  if (mapped > 0) page = reinterpret_cast<FailingCallsPage*>(mapped);
}

bool is_armed() {
  return page != nullptr && page->armed.load(std::memory_order_acquire);
}

// Counts the call. True where it is to fail; errno says how.
bool fails(Call call) {
  if (!is_armed()) return false;
  page->seen[static_cast<std::size_t>(role)][static_cast<std::size_t>(call)].fetch_add(1, std::memory_order_relaxed);
  if (page->call.load(std::memory_order_relaxed) != call || page->role.load(std::memory_order_relaxed) != role) return false;
  const std::uint64_t number = page->met.fetch_add(1) + 1;
  const std::uint64_t nth = page->nth.load(std::memory_order_relaxed);
  if (nth == 0 || number < nth || (number > nth && !page->sticky.load(std::memory_order_relaxed))) return false;
  page->failed.fetch_add(1);
  errno = page->error.load(std::memory_order_relaxed);
  return true;
}

template <class Function>
Function* real(const char* name, Function*) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool carries_descriptors(const msghdr* message) {
  return message->msg_controllen > 0;
}

// A receive that would find nothing is not counted: how often a worker looks before it sleeps is chance.
bool has_something(int socket, int flags) {
  pollfd wait{socket, POLLIN, 0};
  long ready = 0;
  do {
    ready = ::syscall(SYS_poll, &wait, 1, (flags & MSG_DONTWAIT) != 0 ? 0 : -1);
  } while (ready < 0 && errno == EINTR && (flags & MSG_DONTWAIT) == 0);
  return ready > 0;
}

bool drop_descriptors(msghdr* message) {
  bool had_any = false;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) had_any |= header->cmsg_type == SCM_RIGHTS;
  if (!had_any || !fails(Call::kReceiveFds)) return false;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header))
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(header) + at, sizeof fd);
      ::syscall(SYS_close, fd);
    }
  message->msg_controllen = 0;
  message->msg_flags |= MSG_CTRUNC;
  return true;
}

}  // namespace

extern "C" void parcompute_failing_calls_attach(FailingCallsPage* shared) {
  page = shared;
}

}  // namespace parcompute::testing

// ---- libc's names --------------------------------------------------------------------------------------------
//
// Each with the 64-bit-offset name that other libraries may have been compiled to.

using parcompute::testing::Call;
using parcompute::testing::fails;

#define FAIL_WITH(result, call) \
  if (fails(call)) return result
#define REAL(name) static auto* const next = parcompute::testing::real(#name, &::name)

extern "C" {

void* malloc(size_t bytes) {
  using namespace parcompute::testing;
  if (is_armed() && fails(Call::kAllocate)) {
    std::size_t room = freed_bytes.load();
    // What is kept for the next allocation is the heap's own; the first failure finds nothing.
    while (page->sticky.load() && room >= bytes && page->failed.load() > 1)
      if (freed_bytes.compare_exchange_weak(room, room - bytes)) return __libc_malloc(bytes);
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_malloc(bytes);
}

void free(void* memory) {
  using namespace parcompute::testing;
  if (memory != nullptr && is_armed() && page->call.load(std::memory_order_relaxed) == Call::kAllocate && page->failed.load() > 0)
    freed_bytes += ::malloc_usable_size(memory);
  __libc_free(memory);
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  if (fd >= 0) FAIL_WITH(MAP_FAILED, Call::kMap);
  REAL(mmap);
  return next(address, length, protection, flags, fd, offset);
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t offset) noexcept {
  return mmap(address, length, protection, flags, fd, offset);
}

int ftruncate(int fd, off_t length) noexcept {
  FAIL_WITH(-1, Call::kTruncate);
  return static_cast<int>(::syscall(SYS_ftruncate, fd, length));
}
int ftruncate64(int fd, off64_t length) noexcept {
  return ftruncate(fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  FAIL_WITH(-1, Call::kAllocateFile);
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  return fallocate(fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
  if (fails(Call::kAllocateFile)) return errno;
  REAL(posix_fallocate);
  return next(fd, offset, length);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = __OPEN_NEEDS_MODE(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  FAIL_WITH(-1, Call::kOpen);
  return static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode));
}
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = __OPEN_NEEDS_MODE(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return openat(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = __OPEN_NEEDS_MODE(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return openat(AT_FDCWD, path, flags, mode);
}

int shm_open(const char* name, int flags, mode_t mode) {
  FAIL_WITH(-1, Call::kOpenSegment);
  REAL(shm_open);
  return next(name, flags, mode);
}

int memfd_create(const char* name, unsigned flags) noexcept {
  FAIL_WITH(-1, Call::kMemory);
  return static_cast<int>(::syscall(SYS_memfd_create, name, flags));
}

DIR* opendir(const char* path) {
  FAIL_WITH(nullptr, Call::kOpenDirectory);
  REAL(opendir);
  return next(path);
}

pid_t fork() noexcept {
  FAIL_WITH(-1, Call::kFork);
  REAL(fork);
  const pid_t child = next();
  if (child == 0 && parcompute::testing::role == parcompute::testing::Role::kForkserver)
    parcompute::testing::role = parcompute::testing::Role::kWorker;
  return child;
}

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes, char* const arguments[],
                char* const environment[]) {
  if (fails(Call::kSpawn)) return errno;
  REAL(posix_spawn);
  return next(pid, path, actions, attributes, arguments, environment);
}

int socket(int domain, int type, int protocol) noexcept {
  FAIL_WITH(-1, Call::kSocket);
  return static_cast<int>(::syscall(SYS_socket, domain, type, protocol));
}
int socketpair(int domain, int type, int protocol, int pair[2]) noexcept {
  FAIL_WITH(-1, Call::kSocketPair);
  return static_cast<int>(::syscall(SYS_socketpair, domain, type, protocol, pair));
}
int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  FAIL_WITH(-1, Call::kBind);
  return static_cast<int>(::syscall(SYS_bind, fd, address, length));
}
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  FAIL_WITH(-1, Call::kAccept);
  return static_cast<int>(::syscall(SYS_accept4, fd, address, length, flags));
}
int connect(int fd, const sockaddr* address, socklen_t length) {
  FAIL_WITH(-1, Call::kConnect);
  return static_cast<int>(::syscall(SYS_connect, fd, address, length));
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  FAIL_WITH(-1, Call::kSend);
  if (parcompute::testing::carries_descriptors(message)) FAIL_WITH(-1, Call::kSendFds);
  return ::syscall(SYS_sendmsg, fd, message, flags);
}
ssize_t send(int fd, const void* bytes, size_t length, int flags) {
  FAIL_WITH(-1, Call::kSend);
  return ::syscall(SYS_sendto, fd, bytes, length, flags, nullptr, 0);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (parcompute::testing::is_armed() && parcompute::testing::has_something(fd, flags)) FAIL_WITH(-1, Call::kReceive);
  const ssize_t received = ::syscall(SYS_recvmsg, fd, message, flags);
  if (received >= 0 && parcompute::testing::is_armed()) parcompute::testing::drop_descriptors(message);
  return received;
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  if (operation == EPOLL_CTL_ADD) FAIL_WITH(-1, Call::kWatch);
  return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}
int epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
  FAIL_WITH(-1, Call::kEpollWait);
  return static_cast<int>(::syscall(SYS_epoll_wait, epoll, events, most, timeout));
}
int poll(pollfd* waits, nfds_t count, int timeout) {
  FAIL_WITH(-1, Call::kPoll);
  return static_cast<int>(::syscall(SYS_poll, waits, count, timeout));
}

int epoll_create1(int flags) noexcept {
  FAIL_WITH(-1, Call::kEventDescriptor);
  return static_cast<int>(::syscall(SYS_epoll_create1, flags));
}
int eventfd(unsigned value, int flags) noexcept {
  FAIL_WITH(-1, Call::kEventDescriptor);
  return static_cast<int>(::syscall(SYS_eventfd2, value, flags));
}
int timerfd_create(clockid_t clock, int flags) noexcept {
  FAIL_WITH(-1, Call::kEventDescriptor);
  return static_cast<int>(::syscall(SYS_timerfd_create, clock, flags));
}
int signalfd(int fd, const sigset_t* mask, int flags) noexcept {
  FAIL_WITH(-1, Call::kEventDescriptor);
  REAL(signalfd);
  return next(fd, mask, flags);
}
int inotify_init1(int flags) noexcept {
  FAIL_WITH(-1, Call::kEventDescriptor);
  return static_cast<int>(::syscall(SYS_inotify_init1, flags));
}

int pipe2(int pair[2], int flags) noexcept {
  FAIL_WITH(-1, Call::kPipe);
  return static_cast<int>(::syscall(SYS_pipe2, pair, flags));
}
int pipe(int pair[2]) noexcept {
  return pipe2(pair, 0);
}

int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) FAIL_WITH(-1, Call::kDuplicate);
  // To give a lease back takes nothing that could be short.
  if (command == F_SETLEASE && argument != F_UNLCK) FAIL_WITH(-1, Call::kLease);
  if (command == F_OFD_SETLK) FAIL_WITH(-1, Call::kLock);
  return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
}
int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  return fcntl(fd, command, argument);
}
int dup(int fd) noexcept {
  FAIL_WITH(-1, Call::kDuplicate);
  return static_cast<int>(::syscall(SYS_dup, fd));
}

ssize_t pread(int fd, void* bytes, size_t length, off_t offset) {
  FAIL_WITH(-1, Call::kPread);
  return ::syscall(SYS_pread64, fd, bytes, length, offset);
}
ssize_t pread64(int fd, void* bytes, size_t length, off64_t offset) {
  return pread(fd, bytes, length, offset);
}
ssize_t pwrite(int fd, const void* bytes, size_t length, off_t offset) {
  FAIL_WITH(-1, Call::kPwrite);
  return ::syscall(SYS_pwrite64, fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t length, off64_t offset) {
  return pwrite(fd, bytes, length, offset);
}
ssize_t read(int fd, void* bytes, size_t length) {
  FAIL_WITH(-1, Call::kRead);
  return ::syscall(SYS_read, fd, bytes, length);
}
ssize_t write(int fd, const void* bytes, size_t length) {
  FAIL_WITH(-1, Call::kWrite);
  return ::syscall(SYS_write, fd, bytes, length);
}

int unlink(const char* path) noexcept {
  FAIL_WITH(-1, Call::kUnlink);
  return static_cast<int>(::syscall(SYS_unlink, path));
}
int rename(const char* from, const char* to) noexcept {
  FAIL_WITH(-1, Call::kRename);
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) noexcept {
  FAIL_WITH(-1, Call::kRename);
  return static_cast<int>(::syscall(SYS_linkat, from_directory, from, to_directory, to, flags));
}
int mkdir(const char* path, mode_t mode) noexcept {
  FAIL_WITH(-1, Call::kMakeDirectory);
  return static_cast<int>(::syscall(SYS_mkdir, path, mode));
}

int statvfs(const char* path, struct statvfs* status) noexcept {
  FAIL_WITH(-1, Call::kStatvfs);
  static auto* const next = parcompute::testing::real("statvfs", static_cast<int (*)(const char*, struct statvfs*)>(nullptr));
  return next(path, status);
}

long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long words[6];
  for (long& word : words) word = va_arg(arguments, long);
  va_end(arguments);
#ifdef SYS_pidfd_open
  if (number == SYS_pidfd_open) FAIL_WITH(-1, Call::kPidfd);
#endif
  static auto* const next = parcompute::testing::real("syscall", static_cast<long (*)(long, ...)>(nullptr));
  return next(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

}  // extern "C"

#endif
