#include "server/io/segment_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/os/system_error.h"
#include "common/shm/segment.h"

namespace parcompute::server {

Result<CreatedSegment> SegmentStore::create(const SegmentHeader& header, bool reserve) {
  const std::uint64_t size = header.data_offset + header.data_bytes;
  auto made = create_segment(prefix_, size);
  if (!made) return fail(made.error());
  const SegmentId id{++last_id_};
  segments_[id] = {std::move(made->fd), made->name, size, header.data_bytes, false};
  auto ready = write_header(id, header);
  if (ready && reserve) ready = reserve_pages(fd(id), header.data_offset, header.data_bytes, made->name);
  if (!ready) {
    drop(id, SegmentName::kUnlink);
    return fail(ready.error());
  }
  return CreatedSegment{id, std::move(made->name)};
}

Result<void> SegmentStore::write_header(SegmentId id, const SegmentHeader& header) const {
  const Segment& segment = segments_.at(id);
  const SegmentHeaderPage page = encode_segment_header(header);
  ssize_t written = 0;
  do {
    written = ::pwrite(segment.fd.get(), page.data(), page.size(), 0);
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(page.size())) return {};
  return fail(system_error("write the header of segment", segment.name, written < 0 ? errno : ENOSPC));
}

ReceivedFile SegmentStore::add_file(UniqueFd fd) {
  ReceivedFile file;
  file.segment = SegmentId{++last_id_};
  struct stat status {};
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0 && ::fstat(fd.get(), &status) == 0) {
    file.is_regular = S_ISREG(status.st_mode);
    // O_PATH descriptors pass for O_RDONLY and cannot be mapped.
    file.is_readable = (flags & O_ACCMODE) != O_WRONLY && (flags & O_PATH) == 0;
    file.is_writable = (flags & O_ACCMODE) == O_RDWR;
    file.size = static_cast<std::uint64_t>(status.st_size);
    file.identity = {status.st_dev, status.st_ino};
  }
  segments_[file.segment] = {std::move(fd), "", file.size, 0, true};
  return file;
}

UniqueFd SegmentStore::drop(SegmentId id, SegmentName name) {
  auto node = segments_.extract(id);
  PARCOMPUTE_INVARIANT(!node.empty());
  Segment& segment = node.mapped();
  if (name == SegmentName::kUnlink && !segment.name.empty()) unlink_segment(segment.name);
  return std::move(segment.fd);
}

int SegmentStore::fd(SegmentId id) const {
  const auto found = segments_.find(id);
  PARCOMPUTE_INVARIANT(found != segments_.end());
  return found->second.fd.get();
}

UniqueFd SegmentStore::open_for_client(SegmentId id) {
  Segment& segment = segments_.at(id);
  if (segment.name.empty()) return {};
  UniqueFd own(::open(fmt::format("/proc/self/fd/{}", segment.fd.get()).c_str(), O_RDWR | O_CLOEXEC));
  if (!own) segment.shared = true;
  return own;
}

bool SegmentStore::is_reusable(SegmentId id) const {
  const Segment& segment = segments_.at(id);
  // One that was shortened is larger than its array.
  if (segment.shared || segment.size != segment_bytes(segment.data_bytes)) return false;
  // The kernel grants a write lease while there is no other open file description; a mapping holds on to the one that it
  // was made by, also in the children of a process that forked.
  if (::fcntl(segment.fd.get(), F_SETLEASE, F_WRLCK) != 0) return false;
  ::fcntl(segment.fd.get(), F_SETLEASE, F_UNLCK);
  // Whoever had it may have truncated it, or taken pages away.
  struct stat status {};
  return ::fstat(segment.fd.get(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) == segment.size &&
         static_cast<std::uint64_t>(status.st_blocks) * 512 >= segment_memory(segment.data_bytes);
}

Result<SegmentStore::Found> SegmentStore::adopt(const std::string& name) {
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
  const ssize_t got = ::pread(opened->get(), page.data(), page.size(), 0);
  if (got < 0) return fail(system_error("read the header of segment", name, errno));
  auto header = decode_segment_header(std::span(page).first(static_cast<std::size_t>(got)), name,
                                      static_cast<std::uint64_t>(status.st_size));
  if (!header) return fail(header.error());
  if (auto ok = check_array_name(header->name); !ok) return fail(ErrorCode::kBadData, "segment '" + name + "' held no named array");
  // A shortened array's data lie where the longer one's did.
  if (header->data_offset != segment_data_offset(header->data_bytes) && header->data_offset != kHugePageBytes)
    return fail(ErrorCode::kBadData, "the data of segment '" + name + "' lie where no server puts them");
  const SegmentId id{++last_id_};
  segments_[id] = {std::move(*opened), name, static_cast<std::uint64_t>(status.st_size), header->data_bytes, false};
  return Found{std::move(*header), CreatedSegment{id, name}};
}

std::vector<SegmentStore::Found> SegmentStore::take_over() {
  std::vector<Found> found;
  const auto names = list_segments(prefix_);
  if (!names) {
    log_error("{}; arrays of an earlier server cannot be found", names.error().message);
    return found;
  }
  for (const std::string& name : *names) {
    auto adopted = adopt(name);
    if (adopted) {
      found.push_back(std::move(*adopted));
    } else if (adopted.error().code == ErrorCode::kBadData) {
      log_info("{}; removed", adopted.error().message);
      unlink_segment(name);
    } else {
      log_warning("{}; left alone", adopted.error().message);
    }
  }
  return found;
}

}  // namespace parcompute::server
