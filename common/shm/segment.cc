#include "common/shm/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include <boost/interprocess/shared_memory_object.hpp>
#include <fmt/format.h>

#include "common/base/units.h"
#include "common/os/random_word.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

namespace bip = boost::interprocess;

// Boost's object closes its descriptor; the caller keeps one of its own.
Result<UniqueFd> own_descriptor(const bip::shared_memory_object& object, const std::string& name) {
  UniqueFd fd(::fcntl(object.get_mapping_handle().handle, F_DUPFD_CLOEXEC, 3));
  if (!fd) return fail(system_error("duplicate the descriptor of segment", name, errno));
  return fd;
}

}  // namespace

std::string instance_of(std::string_view socket_path) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char c : socket_path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

std::string segment_prefix(uid_t uid, std::string_view instance) {
  return fmt::format("parcompute-{}-{}-", uid, instance);
}

Result<NamedSegment> create_segment(std::string_view prefix, std::uint64_t bytes) {
  const auto word = random_word();
  if (!word) return fail(word.error());
  NamedSegment segment{fmt::format("{}{:016x}", prefix, *word), {}};
  try {
    bip::shared_memory_object object(bip::create_only, segment.name.c_str(), bip::read_write, bip::permissions(0600));
    auto fd = own_descriptor(object, segment.name);
    if (fd) {
      int error_number = 0;
      do {
        error_number = ::ftruncate(fd->get(), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
      } while (error_number == EINTR);
      if (error_number != 0) throw bip::interprocess_exception(bip::error_info(error_number));
      segment.fd = std::move(*fd);
      return segment;
    }
    unlink_segment(segment.name);
    return fail(fd.error());
  } catch (const bip::interprocess_exception& refused) {
    const int error_number = refused.get_native_error();
    unlink_segment(segment.name);
    const bool full = error_number == ENOSPC || error_number == ENOMEM || error_number == EMFILE || error_number == ENFILE ||
                      error_number == EFBIG;
    return fail(system_error("create shared memory segment", segment.name, error_number,
                             full ? ErrorCode::kOverBudget : ErrorCode::kCannotCreate));
  }
}

Result<UniqueFd> open_segment(const std::string& name) {
  try {
    return own_descriptor(bip::shared_memory_object(bip::open_only, name.c_str(), bip::read_write), name);
  } catch (const bip::interprocess_exception& refused) {
    return fail(system_error("open shared memory segment", name, refused.get_native_error()));
  }
}

Result<void> unlink_segment(const std::string& name) {
  if (::shm_unlink(name.c_str()) == 0 || errno == ENOENT) return {};
  return fail(system_error("remove shared memory segment", name, errno));
}

Result<std::vector<std::string>> list_segments(std::string_view prefix) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/dev/shm"), ::closedir);
  if (!directory) return fail(system_error("list", "/dev/shm", errno));
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (std::string_view(entry->d_name).starts_with(prefix)) names.emplace_back(entry->d_name);
    errno = 0;
  }
  // Half a list is none.
  if (errno != 0) return fail(system_error("list", "/dev/shm", errno));
  return names;
}

UniqueFd create_memfd(const char* label, unsigned flags) {
  // Since Linux 6.3 an administrator may insist on this flag; before, it is unknown.
  constexpr unsigned kNoExecution = 0x0008;
  UniqueFd fd(::memfd_create(label, flags | MFD_CLOEXEC | kNoExecution));
  if (!fd && errno == EINVAL) fd = UniqueFd(::memfd_create(label, flags | MFD_CLOEXEC));
  return fd;
}

Result<UniqueFd> create_nameless(const char* label, std::uint64_t bytes) {
  UniqueFd fd = create_memfd(label, 0);
  if (!fd) return fail(system_error("create memory for", label, errno, ErrorCode::kCannotCreate));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return fail(system_error("size memory for", label, errno, ErrorCode::kCannotCreate));
  if (auto reserved = reserve_pages(fd.get(), 0, bytes, label); !reserved) return fail(reserved.error());
  return fd;
}

Result<void> reserve_pages(int fd, std::uint64_t offset, std::uint64_t bytes, std::string_view subject) {
  if (bytes == 0) return {};
  int error_number = 0;
  do {
    error_number = ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (error_number == EINTR);
  if (error_number == 0) return {};
  return fail(no_room_error(fd, bytes, subject, error_number));
}

Error no_room_error(int fd, std::uint64_t bytes, std::string_view subject, int error_number) {
  struct statfs shm {};
  // Nameless memory belongs to no file system that a person could look at.
  if (error_number != ENOSPC || ::fstatfs(fd, &shm) != 0 || shm.f_blocks == 0)
    return system_error("reserve shared memory for", subject, error_number);
  return {ErrorCode::kOverBudget,
          fmt::format("cannot reserve {} of shared memory for '{}': /dev/shm is full, {} are free now; other programs use it too: remove arrays with "
                      "'parcompute-client array rm', or files in /dev/shm",
                      format_bytes(bytes), subject, format_bytes(static_cast<std::uint64_t>(shm.f_bavail) * static_cast<std::uint64_t>(shm.f_bsize))),
          error_number};
}

}  // namespace parcompute
