#include "common/os/file_facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include <fmt/format.h>

#include "common/os/system_error.h"

namespace parcompute {
namespace {

Result<FileFacts> ask(int fd, int flags, std::string_view subject) {
  // No more than is needed: to tell a file's times, some file systems write its pages back first.
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH | flags, STATX_TYPE | STATX_SIZE | STATX_INO, &status) != 0)
    return fail(system_error("look at", subject, errno));
  return FileFacts{S_ISREG(status.stx_mode), status.stx_size, ::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

}  // namespace

Result<FileFacts> file_facts(int fd, std::string_view subject) {
  return ask(fd, AT_STATX_SYNC_AS_STAT, subject);
}

Result<FileFacts> remembered_file_facts(int fd, std::string_view subject) {
  return ask(fd, AT_STATX_DONT_SYNC, subject);
}

Error shortened_file(std::string_view subject, std::uint64_t had, std::uint64_t has) {
  return {ErrorCode::kBadData,
          fmt::format("{} was cut short: it had {} bytes when it was attached and has {} now: restore the file, or remove the array and attach the file again", subject,
                      had, has),
          0};
}

}  // namespace parcompute
