#include "common/os/socket_path.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "common/os/system_error.h"
#include "common/os/unix_socket.h"

namespace parcompute {
namespace {

constexpr const char* kSocketFile = "control.sock";

std::filesystem::path variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path temporary_directory() {
  return fmt::format("/tmp/parcompute-{}", ::geteuid());
}

// Only root can have put it there: what root's closed directories hold, a service's /run/parcompute for instance, the
// administrator made or had made.
bool is_administrators(const std::filesystem::path& directory) {
  struct stat parent {};
  return ::stat(directory.parent_path().c_str(), &parent) == 0 && parent.st_uid == 0 && (parent.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// `roots_will_do`: the administrator's directories are as good as one's own.
Result<void> check_directory(const std::filesystem::path& directory, bool roots_will_do) {
  const UniqueFd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    if (errno == ENOTDIR || errno == ELOOP)
      return fail(ErrorCode::kNotPermitted,
                  fmt::format("socket directory '{}' is not a directory of its own (a file or a symbolic link): remove it, or "
                              "choose another socket with --socket",
                              directory.native()));
    return fail(system_error("open socket directory", directory.native(), errno));
  }
  if (status.st_uid != ::geteuid() && !(roots_will_do && (status.st_uid == 0 || is_administrators(directory))))
    return fail(ErrorCode::kNotPermitted,
                fmt::format("socket directory '{}' belongs to uid {}, not to you (uid {}): choose another socket with --socket",
                            directory.native(), status.st_uid, ::geteuid()));
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0)
    return fail(ErrorCode::kNotPermitted,
                fmt::format("socket directory '{}' can be written by others (mode {:04o}): 'chmod 700' it, or choose another "
                            "socket with --socket",
                            directory.native(), status.st_mode & 07777));
  return {};
}

constexpr std::chrono::milliseconds kProbePatience{100};
constexpr int kLockPauseMs = 5;

// Whether the process that listens at the socket lives. What is left of a dead one may listen still.
bool is_served(const std::filesystem::path& socket) {
  const auto connected = connect_to(socket, kProbePatience);
  // Full, or not to be asked: somebody is there.
  if (!connected) return connected.error().system_errno != ENOENT && connected.error().system_errno != ECONNREFUSED;
  const auto listener = peer_credentials(connected->get());
  if (!listener || listener->pid == 0) return true;  // of another pid namespace
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, listener->pid, 0)));
  if (!pidfd) return errno != ESRCH;
  pollfd end{pidfd.get(), POLLIN, 0};
  return ::poll(&end, 1, 0) == 0;
}

std::string lock_path(const std::filesystem::path& socket) {
  return socket.native() + ".lock";
}

}  // namespace

std::vector<std::filesystem::path> socket_candidates() {
  if (const auto path = variable(kSocketVariable); !path.empty()) return {path};
  std::vector<std::filesystem::path> paths;
  if (const auto runtime = variable("XDG_RUNTIME_DIR"); !runtime.empty())
    paths.push_back(runtime / "parcompute" / kSocketFile);
  paths.push_back(std::filesystem::path("/run/parcompute") / kSocketFile);
  paths.push_back(temporary_directory() / kSocketFile);
  return paths;
}

std::filesystem::path own_socket_path() {
  if (const auto path = variable(kSocketVariable); !path.empty()) return path;
  if (const auto runtime = variable("XDG_RUNTIME_DIR"); !runtime.empty() && std::filesystem::is_directory(runtime))
    return runtime / "parcompute" / kSocketFile;
  return temporary_directory() / kSocketFile;
}

Result<void> make_socket_directory(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(system_error("make socket directory", directory.native(), errno, ErrorCode::kCannotCreate));
  return check_directory(directory, false);
}

Result<void> check_socket_directory(const std::filesystem::path& directory) {
  return check_directory(directory, true);
}

Result<std::optional<UniqueFd>> lock_socket(const std::filesystem::path& socket, std::chrono::milliseconds patience, bool asks) {
  const std::string path = lock_path(socket);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!fd) return fail(system_error("open lock", path, errno, ErrorCode::kCannotCreate));
    if (struct stat status {}; ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != ::geteuid())
      return fail(ErrorCode::kNotPermitted, fmt::format("'{}' is no lock file of uid {}, and somebody else could hold it: remove it, or choose another socket", path, ::geteuid()));
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_OFD_SETLK, &whole) != 0) {
      if (errno != EAGAIN && errno != EACCES) return fail(system_error("lock", path, errno));
      if (std::chrono::steady_clock::now() >= end || (asks && is_served(socket))) return std::optional<UniqueFd>();
      ::poll(nullptr, 0, kLockPauseMs);
      continue;
    }
    // A server that leaves takes the file away: the lock counts only on the one that lies there now.
    if (holds_lock(socket, fd.get())) {
      // For people alone: whether it lives, the lock says.
      const std::string pid = fmt::format("{}\n", ::getpid());
      if (::ftruncate(fd.get(), 0) == 0) [[maybe_unused]] const auto written = ::write(fd.get(), pid.data(), pid.size());
      return std::optional<UniqueFd>(std::move(fd));
    }
  }
}

std::optional<pid_t> lock_holder(const std::filesystem::path& socket) {
  const UniqueFd fd(::open(lock_path(socket).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (!fd || ::fcntl(fd.get(), F_OFD_GETLK, &whole) != 0 || whole.l_type == F_UNLCK) return std::nullopt;
  std::array<char, 16> digits{};
  const ssize_t got = ::read(fd.get(), digits.data(), digits.size());
  pid_t pid = 0;
  if (got > 0) std::from_chars(digits.data(), digits.data() + got, pid);
  return pid;
}

bool holds_lock(const std::filesystem::path& socket, int lock) {
  struct stat held {};
  struct stat there {};
  return ::fstat(lock, &held) == 0 && ::lstat(lock_path(socket).c_str(), &there) == 0 && held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

void unlock_socket(const std::filesystem::path& socket, UniqueFd lock) {
  if (holds_lock(socket, lock.get())) ::unlink(lock_path(socket).c_str());
  lock.reset();
}

}  // namespace parcompute
