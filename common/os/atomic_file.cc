#include "common/os/atomic_file.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "common/base/invariant.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

constexpr mode_t kMode = 0666;  // less the umask
constexpr int kNameAttempts = 100;

tl::unexpected<Error> cannot(std::string_view operation, const std::string& path, int error_number) {
  return fail(system_error(operation, path, error_number, ErrorCode::kCannotCreate));
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A hidden name beside the target, short whatever the target's length.
std::string random_sibling(const std::string& target) {
  std::uint64_t random = 0;
  // Never interrupted, and never short, for so few bytes.
  PARCOMPUTE_INVARIANT(::getrandom(&random, sizeof random, 0) == sizeof random);
  return fmt::format("{}/.parcompute-{:016x}.tmp", directory_of(target), random);
}

std::string link_to_descriptor(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

// While it lives, a write past RLIMIT_FSIZE fails with EFBIG and raises nothing.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
    ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;
  ~FileSizeSignalBlocked() {
    const int error_number = errno;
    const timespec at_once{};
    if (!was_pending_)
      while (::sigtimedwait(&signal_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error_number;
  }

 private:
  sigset_t signal_;
  sigset_t before_;
  bool was_pending_ = false;
};

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  AtomicFile file;
  file.path_ = path;
  file.target_ = path;
  if (path.empty() || path.back() == '/')
    return fail(ErrorCode::kCannotCreate, fmt::format("cannot create '{}': it does not name a file", path));

  struct stat existing;
  const bool exists = ::stat(path.c_str(), &existing) == 0;
  if (exists) {
    if (!S_ISREG(existing.st_mode))
      return fail(
          ErrorCode::kCannotCreate,
          fmt::format("cannot create '{}': it is there already and is no regular file; choose another name",
                      path));
    // Moving over it would succeed where writing to it is forbidden.
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) return cannot("replace", path, errno);
    const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), ::free);
    if (!resolved) return cannot("replace", path, errno);
    file.target_ = resolved.get();
  }

  const std::string directory = directory_of(file.target_);
  file.fd_.reset(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode));
  // It gets its name through /proc, so that must be there.
  if (file.fd_ && ::access(link_to_descriptor(file.fd_.get()).c_str(), F_OK) != 0) file.fd_.reset();
  for (int attempt = 0; !file.fd_; ++attempt) {
    file.temporary_ = random_sibling(file.target_);
    file.fd_.reset(
        ::open(file.temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (file.fd_) break;
    const int error_number = errno;
    file.temporary_.clear();
    if (error_number == EEXIST && attempt < kNameAttempts) continue;
    auto refused = cannot("create", path, error_number);
    if (error_number == ENOENT) refused.value().message += fmt::format(": make the directory '{}' first", directory);
    return refused;
  }
  if (exists && ::fchmod(file.fd_.get(), existing.st_mode & 0777) != 0) return cannot("create", path, errno);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this == &other) return *this;
  remove_temporary();
  path_ = std::move(other.path_);
  target_ = std::move(other.target_);
  temporary_ = std::exchange(other.temporary_, {});
  fd_ = std::move(other.fd_);
  return *this;
}

AtomicFile::~AtomicFile() {
  remove_temporary();
}

void AtomicFile::remove_temporary() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  const FileSizeSignalBlocked blocked;
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EFAULT)
        return fail(ErrorCode::kBadData, fmt::format("nothing was written to '{}': the data to write are gone, since somebody truncated the file or "
                                                     "segment that held them", path_));
      return cannot("write", path_, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> AtomicFile::commit() {
  // linkat never replaces a name, rename does: so a nameless file is named in passing.
  for (int attempt = 0; temporary_.empty(); ++attempt) {
    std::string name = random_sibling(target_);
    if (::linkat(AT_FDCWD, link_to_descriptor(fd_.get()).c_str(), AT_FDCWD, name.c_str(),
                 AT_SYMLINK_FOLLOW) == 0)
      temporary_ = std::move(name);  // not copied: that might fail, and the name would stay
    else if (errno != EEXIST || attempt == kNameAttempts)
      return cannot("create", path_, errno);
  }
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return cannot("create", path_, errno);
  temporary_.clear();
  // Some file systems report a lost write only here.
  if (::close(fd_.release()) != 0 && errno != EINTR) return cannot("write", path_, errno);
  return {};
}

}  // namespace parcompute
