#include "server/io/segment_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/os/file_facts.h"
#include "common/os/system_error.h"
#include "common/shm/segment.h"

namespace parcompute::server {

namespace {

UniqueFd make_headroom() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

SegmentStore::SegmentStore(std::unique_ptr<Backing> backing, bool leaves_arrays)
    : backing_(std::move(backing)), leaves_arrays_(leaves_arrays), headroom_(make_headroom()) {}

Result<NamedSegment> SegmentStore::make_memory(std::uint64_t size) {
  auto made = backing_->make(size);
  if (!made && headroom_ && (made.error().system_errno == EMFILE || made.error().system_errno == ENFILE)) {
    headroom_.reset();
    made = backing_->make(size);
  }
  keep_headroom();
  return made;
}

void SegmentStore::keep_headroom() {
  if (!headroom_) headroom_ = make_headroom();
}

Result<CreatedSegment> SegmentStore::create(const SegmentHeader& header, bool reserve) {
  const std::uint64_t size = header.data_offset + header.data_bytes;
  auto made = make_memory(size);
  if (!made) return fail(made.error());
  const SegmentId id{++last_id_};
  std::string name = made->name;
  segments_[id] = {std::move(*made), size, header.data_bytes, std::nullopt, false};
  auto ready = write_header(id, header);
  if (ready && reserve) ready = reserve_pages(fd(id), header.data_offset, header.data_bytes, name);
  if (!ready) {
    drop(id, SegmentName::kUnlink);
    return fail(ready.error());
  }
  return CreatedSegment{id, std::move(name)};
}

Result<void> SegmentStore::write_header(SegmentId id, const SegmentHeader& header) const {
  const NamedSegment& memory = segments_.at(id).memory;
  if (leaves_arrays_) return backing_->describe(memory, header);
  // Whatever ends this server, nobody shall take what it leaves for an array.
  SegmentHeader nameless = header;
  nameless.name.clear();
  return backing_->describe(memory, nameless);
}

// Somebody else's descriptor: it may be of a file system whose owner answers when he likes. So all that is ever asked of it here is
// what the kernel knows by itself, its flags and what it remembers of the file; nobody reads, maps or closes it on the loop (Closer).
ReceivedFile SegmentStore::add_file(UniqueFd fd, uid_t sender) {
  ReceivedFile file;
  file.segment = SegmentId{++last_id_};
  const int flags = ::fcntl(fd.get(), F_GETFL);
  const auto facts = remembered_file_facts(fd.get(), "a descriptor");
  if (flags >= 0 && facts) {
    file.is_regular = facts->is_regular;
    // O_PATH descriptors pass for O_RDONLY and cannot be mapped.
    file.is_readable = (flags & O_ACCMODE) != O_WRONLY && (flags & O_PATH) == 0;
    file.is_writable = (flags & O_ACCMODE) == O_RDWR;
    file.size = facts->size;
    file.identity = {facts->device, facts->inode};
  }
  segments_[file.segment] = {{"", std::move(fd)}, file.size, 0, sender, true};
  return file;
}

SegmentStore::Dropped SegmentStore::drop(SegmentId id, SegmentName name) {
  auto node = segments_.extract(id);
  PARCOMPUTE_INVARIANT(!node.empty());
  Segment& segment = node.mapped();
  if (name == SegmentName::kUnlink && !segment.is_forgotten) backing_->forget(segment.memory);
  return {std::move(segment.memory.fd), segment.sender};
}

int SegmentStore::fd(SegmentId id) const {
  const auto found = segments_.find(id);
  PARCOMPUTE_INVARIANT(found != segments_.end());
  return found->second.memory.fd.get();
}

Result<std::uint64_t> SegmentStore::file_size(SegmentId id) const {
  const auto facts = remembered_file_facts(fd(id), "an attached file");
  if (!facts) return fail(facts.error());
  return facts->size;
}

Result<UniqueFd> SegmentStore::open_for_client(SegmentId id, bool writable) {
  const Segment& segment = segments_.at(id);
  if (segment.sender) return UniqueFd();
  const std::string path = fmt::format("/proc/self/fd/{}", segment.memory.fd.get());
  const auto open = [&] { return UniqueFd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)); };
  UniqueFd own = open();
  if (!own && (errno == EMFILE || errno == ENFILE) && headroom_) {
    headroom_.reset();
    own = open();
  }
  if (!own) return fail(system_error("open for the client segment", segment.memory.name, errno, ErrorCode::kOverBudget));
  return own;
}

Custody SegmentStore::custody(SegmentId id) const {
  const Segment& segment = segments_.at(id);
  // The kernel grants a write lease while there is no other open file description; a mapping holds on to the one that it
  // was made by, also in the children of a process that forked.
  const int number = segment.memory.fd.get();
  if (::fcntl(number, F_SETLEASE, F_WRLCK) != 0) return errno == EAGAIN ? Custody::kHeld : Custody::kSpoiled;
  ::fcntl(number, F_SETLEASE, F_UNLCK);
  // Whoever had it may have truncated it, or taken pages away. And one that was shortened is larger than its array.
  const std::uint64_t pages = segment_memory(segment.data_bytes) - kSegmentHeaderBytes + backing_->own_pages();
  struct stat status {};
  const bool is_whole = segment.size == segment_bytes(segment.data_bytes) && ::fstat(number, &status) == 0 &&
                        static_cast<std::uint64_t>(status.st_size) == segment.size && static_cast<std::uint64_t>(status.st_blocks) * 512 >= pages;
  return is_whole ? Custody::kOurs : Custody::kSpoiled;
}

void SegmentStore::unlink(SegmentId id) {
  Segment& segment = segments_.at(id);
  if (!std::exchange(segment.is_forgotten, true)) backing_->forget(segment.memory);
}

Result<std::vector<SegmentStore::Found>> SegmentStore::take_over() {
  auto taken = backing_->take_over();
  if (!taken) return fail(taken.error());
  std::vector<Found> found;
  for (Backing::Found& one : *taken) {
    const SegmentId id{++last_id_};
    found.push_back({one.header, CreatedSegment{id, one.segment.name}});
    segments_[id] = {std::move(one.segment), one.size, one.header.data_bytes, std::nullopt, false};
    if (leaves_arrays_) continue;
    if (auto ok = write_header(id, one.header); !ok) log_warning("{}; where this server is killed, the next one finds array '{}' again", ok.error().message, one.header.name);
  }
  return found;
}

}  // namespace parcompute::server
