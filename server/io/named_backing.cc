#include "server/io/named_backing.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "common/base/log.h"
#include "common/os/memory_budget.h"
#include "common/os/system_error.h"
#include "server/io/leftovers.h"

namespace parcompute::server {
namespace {

void take_away(const std::string& name) {
  if (auto gone = unlink_segment(name); !gone)
    log_error("{}: its memory stays taken; remove /dev/shm/{} when no server runs, or let the next server on this socket try", gone.error().message, name);
}

}  // namespace

void NamedBacking::forget(const NamedSegment& segment) {
  take_away(segment.name);
}

Result<void> NamedBacking::describe(const NamedSegment& segment, const SegmentHeader& header) {
  const SegmentHeaderPage page = encode_segment_header(header);
  ssize_t written = 0;
  do {
    written = ::pwrite(segment.fd.get(), page.data(), page.size(), 0);
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(page.size())) return {};
  const int error_number = written < 0 ? errno : ENOSPC;
  if (error_number == ENOSPC) return fail(no_room_error(segment.fd.get(), page.size(), segment.name, error_number));
  return fail(system_error("write the header of segment", segment.name, error_number));
}

Result<Backing::Found> NamedBacking::adopt(const std::string& name) {
  const auto look = [&](int outcome, const struct stat& status) -> Result<void> {
    if (outcome != 0) return fail(system_error("look at segment", name, errno));
    if (status.st_uid != ::geteuid() || !S_ISREG(status.st_mode))
      return fail(ErrorCode::kNotPermitted, "segment '" + name + "' is another user's");
    return {};
  };
  struct stat status {};
  // Before it is opened: somebody else's file may make that wait.
  if (auto ours = look(::lstat(("/dev/shm/" + name).c_str(), &status), status); !ours) return fail(ours.error());
  auto opened = open_segment(name);
  if (!opened) return fail(opened.error());
  if (auto ours = look(::fstat(opened->get(), &status), status); !ours) return fail(ours.error());
  SegmentHeaderPage page{};
  ssize_t got = 0;
  do {
    got = ::pread(opened->get(), page.data(), page.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(system_error("read the header of segment", name, errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  auto header = decode_segment_header(std::span(page).first(static_cast<std::size_t>(got)), name, size);
  if (!header) return fail(header.error());
  if (auto ok = check_found(*header, name); !ok) return fail(ok.error());
  return Found{{name, std::move(*opened)}, size, std::move(*header)};
}

Result<std::vector<Backing::Found>> NamedBacking::take_over() {
  std::vector<Found> found;
  const auto names = list_segments(prefix_);
  if (!names) return fail(not_taken_over(names.error()));
  for (const std::string& name : *names) {
    auto adopted = adopt(name);
    if (adopted) {
      found.push_back(std::move(*adopted));
    } else if (adopted.error().code == ErrorCode::kBadData) {
      log_info("{}; removed", adopted.error().message);
      take_away(name);
    } else if (adopted.error().system_errno == 0) {
      log_warning("{}; left alone ('/dev/shm/{}': copy what you want of it, then remove the file)", adopted.error().message, name);
    } else if (adopted.error().system_errno != ENOENT) {  // removed since they were listed
      return fail(not_taken_over(adopted.error()));
    }
  }
  take_leftovers_away(prefix_);
  return found;
}

Result<std::uint64_t> NamedBacking::free_bytes() {
  return shm_free_bytes();
}

}  // namespace parcompute::server
