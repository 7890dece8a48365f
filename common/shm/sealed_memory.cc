#include "common/shm/sealed_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "common/os/system_error.h"
#include "common/shm/segment.h"

namespace parcompute {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr mode_t kMode = S_IRUSR | S_IWUSR;

}  // namespace

Result<UniqueFd> create_sealed_memory(const char* label, std::uint64_t bytes) {
  const auto refused = [&](const char* operation) {
    const int error_number = errno;
    const bool full = error_number == ENOSPC || error_number == ENOMEM || error_number == EMFILE || error_number == ENFILE || error_number == EFBIG;
    return fail(system_error(operation, label, error_number, full ? ErrorCode::kOverBudget : ErrorCode::kCannotCreate));
  };
  const auto made = create_memfd(label, MFD_ALLOW_SEALING);
  if (!made) return refused("create sealed memory for");
  int outcome = 0;
  do {
    outcome = ::ftruncate(made.get(), static_cast<off_t>(bytes));
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0) return refused("size sealed memory for");
  if (::fchmod(made.get(), kMode) != 0) return refused("close to others the sealed memory for");
  // Opened once more: the kernel does not count the first open file description among an inode's writers, and grants leases by
  // that count.
  UniqueFd counted(::open(fmt::format("/proc/self/fd/{}", made.get()).c_str(), O_RDWR | O_CLOEXEC));
  if (!counted) return refused("open sealed memory for");
  if (::fcntl(counted.get(), F_ADD_SEALS, kSeals) != 0) return refused("seal memory for");
  return counted;
}

Result<SealedMemory> inspect_sealed_memory(int fd, std::string_view subject) {
  const auto refuse = [&](std::string_view why) { return fail(ErrorCode::kBadData, fmt::format("'{}' is no sealed memory of this server: {}", subject, why)); };
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail(system_error("look at", subject, errno));
  if (!S_ISREG(status.st_mode)) return refuse("it is no memory at all");
  if (status.st_uid != ::geteuid()) return refuse(fmt::format("it belongs to uid {}", status.st_uid));
  if ((status.st_mode & 07777) != kMode) return refuse("others may open it");
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return refuse("its seals are missing");
  if ((::fcntl(fd, F_GETFL) & (O_ACCMODE | O_PATH)) != O_RDWR) return refuse("its descriptor is not for reading and writing");
  return SealedMemory{status.st_ino, static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace parcompute
