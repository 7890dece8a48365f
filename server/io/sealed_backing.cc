#include "server/io/sealed_backing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/os/system_error.h"
#include "common/shm/sealed_memory.h"
#include "server/io/leftovers.h"

namespace parcompute::server {
namespace {

// The next server gets their names in one variable of its environment, which holds 128 KiB: with more it could not be started.
constexpr std::size_t kMostStored = 8192;
constexpr const char* kMemoryLabel = "parcompute";
constexpr const char* kCatalogLabel = "parcompute-catalog";
constexpr std::string_view kCatalogName = "catalog";
constexpr std::string_view kArrayName = "array-";

std::string stored_name(std::uint32_t slot) {
  return fmt::format("{}{}", kArrayName, slot);
}

std::optional<std::uint32_t> slot_of(std::string_view stored_name) {
  if (!stored_name.starts_with(kArrayName)) return std::nullopt;
  stored_name.remove_prefix(kArrayName.size());
  std::uint32_t slot = 0;
  const auto [end, error] = std::from_chars(stored_name.data(), stored_name.data() + stored_name.size(), slot);
  if (error != std::errc{} || end != stored_name.data() + stored_name.size()) return std::nullopt;
  return slot;
}

off_t page_offset(std::uint32_t slot) {
  return static_cast<off_t>(slot) * static_cast<off_t>(kSegmentHeaderBytes);
}

std::uint64_t inode_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

// As /proc/PID/maps has the number in the line of such a mapping.
std::string segment_name(std::uint64_t inode) {
  return fmt::format("memfd:{}", inode);
}

Result<void> check_catalog(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail(system_error("look at", "the catalog of arrays", errno));
  const bool is_ours = S_ISREG(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 07777) == 0600 && ::fcntl(fd, F_GET_SEALS) >= 0;
  if (is_ours && (::fcntl(fd, F_GETFL) & (O_ACCMODE | O_PATH)) == O_RDWR) return {};
  return fail(ErrorCode::kBadData, "what systemd kept as the catalog of arrays is none of this server's");
}

Result<SegmentHeaderPage> read_page(int catalog, std::uint32_t slot) {
  SegmentHeaderPage page{};
  ssize_t got = 0;
  do {
    got = ::pread(catalog, page.data(), page.size(), page_offset(slot));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(system_error("read the catalog's page of", stored_name(slot), errno));
  return page;
}

}  // namespace

Result<std::unique_ptr<SealedBacking>> SealedBacking::make_with(std::string prefix, std::vector<StoredDescriptor> stored, std::size_t store_room) {
  auto available = AvailableMemory::open();
  if (!available) return fail(available.error());
  std::unique_ptr<SealedBacking> backing(new SealedBacking(std::move(prefix), std::move(*available)));
  backing->stored_ = std::move(stored);
  if (auto opened = backing->open_catalog(store_room); !opened) return fail(opened.error());
  return backing;
}

Result<void> SealedBacking::open_catalog(std::size_t store_room) {
  const std::size_t room = std::min(store_room, kMostStored);
  if (room < 2 && stored_.empty()) {
    log_warning("named arrays end with this server, however it ends: systemd keeps no descriptors for it (FileDescriptorStoreMax= and $FDSTORE)");
    return {};
  }
  for (Slot slot = 0; slot + 1 < room; ++slot) free_slots_.insert(free_slots_.end(), slot);
  for (StoredDescriptor& one : stored_) {
    if (one.name != kCatalogName || catalog_) continue;
    if (auto ok = check_catalog(one.fd.get()); ok) catalog_ = std::move(one.fd);
    else if (ok.error().system_errno != 0) return fail(not_taken_over(ok.error()));
    else log_warning("{}; dropped, and the arrays in it", ok.error().message);
  }
  std::erase_if(stored_, [](const StoredDescriptor& one) { return one.name == kCatalogName; });
  if (catalog_) return {};
  unstore_descriptor(std::string(kCatalogName));
  catalog_ = create_memfd(kCatalogLabel, 0);
  if (!catalog_ || ::fchmod(catalog_.get(), 0600) != 0) return fail(system_error("create", "the catalog of arrays", errno, ErrorCode::kCannotCreate));
  return store_descriptor(std::string(kCatalogName), catalog_.get());
}

Result<NamedSegment> SealedBacking::make(std::uint64_t size) {
  auto made = create_sealed_memory(kMemoryLabel, size);
  if (!made) return fail(made.error());
  std::string name = segment_name(inode_of(made->get()));
  return NamedSegment{std::move(name), std::move(*made)};
}

std::optional<SealedBacking::Slot> SealedBacking::take_slot() {
  if (free_slots_.empty()) return std::nullopt;
  return free_slots_.extract(free_slots_.begin()).value();
}

Result<void> SealedBacking::write_page(Slot slot, const SegmentHeader& header) {
  const SegmentHeaderPage page = encode_segment_header(header);
  ssize_t written = 0;
  do {
    written = ::pwrite(catalog_.get(), page.data(), page.size(), page_offset(slot));
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(page.size())) return {};
  return fail(system_error("write into the catalog array", header.name, written < 0 ? errno : ENOSPC));
}

void SealedBacking::clear_page(Slot slot) {
  const int outcome = ::fallocate(catalog_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page_offset(slot), kSegmentHeaderBytes);
  if (outcome != 0) log_error("{}", system_error("clear the catalog's page of", stored_name(slot), errno).message);
}

Result<void> SealedBacking::describe(const NamedSegment& segment, const SegmentHeader& header) {
  if (header.name.empty()) {
    forget(segment);
    return {};
  }
  if (!catalog_) return {};
  SegmentHeader page = header;
  page.inode = inode_of(segment.fd.get());
  const auto known = slots_.find(page.inode);
  if (known != slots_.end()) return write_page(known->second, page);

  const auto slot = take_slot();
  if (!slot) {
    if (!std::exchange(is_full_, true))
      log_warning("array '{}', and those after it, will not outlive this server: systemd keeps no more descriptors for it than {} (FileDescriptorStoreMax= and $FDSTORE)",
                  header.name, slots_.size() + 1);
    return {};
  }
  is_full_ = false;
  auto outcome = write_page(*slot, page);
  if (outcome) outcome = store_descriptor(stored_name(*slot), segment.fd.get());
  if (!outcome) {
    clear_page(*slot);
    free_slots_.insert(*slot);
    return outcome;
  }
  slots_[page.inode] = *slot;
  return {};
}

void SealedBacking::forget(const NamedSegment& segment) {
  const auto known = slots_.find(inode_of(segment.fd.get()));
  if (known == slots_.end()) return;
  const Slot slot = known->second;
  slots_.erase(known);
  clear_page(slot);
  unstore_descriptor(stored_name(slot));
  free_slots_.insert(slot);
}

Result<Backing::Found> SealedBacking::adopt(StoredDescriptor& stored, Slot& slot) {
  const auto number = slot_of(stored.name);
  if (!number || !catalog_) return fail(ErrorCode::kBadData, fmt::format("systemd kept '{}', which nothing describes", stored.name));
  slot = *number;
  const auto memory = inspect_sealed_memory(stored.fd.get(), stored.name);
  if (!memory) return fail(memory.error());
  const auto page = read_page(catalog_.get(), slot);
  if (!page) return fail(page.error());
  auto header = decode_segment_header(*page, stored.name, memory->bytes);
  if (!header) return fail(header.error());
  if (header->inode != memory->inode) return fail(ErrorCode::kBadData, fmt::format("the catalog's page of '{}' describes other memory", stored.name));
  if (auto ok = check_found(*header, stored.name); !ok) return fail(ok.error());
  return Found{{segment_name(memory->inode), std::move(stored.fd)}, memory->bytes, std::move(*header)};
}

Result<std::vector<Backing::Found>> SealedBacking::take_over() {
  std::vector<Found> found;
  std::vector<StoredDescriptor> left_alone;  // for the next server that can read their pages
  std::set<std::string> strangers;
  for (StoredDescriptor& stored : stored_) {
    // A server that was killed while it looked at the custody of its segment left a lease with the descriptor: whoever opens the
    // segment would wait until the kernel breaks that (/proc/sys/fs/lease-break-time, 45 s).
    ::fcntl(stored.fd.get(), F_SETLEASE, F_UNLCK);
    Slot slot = 0;
    auto adopted = adopt(stored, slot);
    if (adopted) {
      slots_[adopted->header.inode] = slot;
      free_slots_.erase(slot);
      found.push_back(std::move(*adopted));
    } else if (adopted.error().code == ErrorCode::kBadData) {
      log_warning("{}; dropped", adopted.error().message);
      strangers.insert(stored.name);
    } else if (adopted.error().system_errno != 0) {
      return fail(not_taken_over(adopted.error()));
    } else {
      log_warning("{}; left in systemd's descriptor store", adopted.error().message);
      foreign_slots_.insert(slot);
      free_slots_.erase(slot);
      left_alone.push_back(std::move(stored));
    }
  }
  stored_.clear();
  for (const std::string& name : strangers) unstore_descriptor(name);
  // One that stays may have had the name of one that does not.
  const auto store_again = [&](const std::string& name, int fd) {
    if (!strangers.contains(name)) return;
    if (auto stored = store_descriptor(name, fd); !stored) log_error("{}; the array in it will not outlive this server", stored.error().message);
  };
  for (const Found& one : found) store_again(stored_name(slots_.at(one.header.inode)), one.segment.fd.get());
  for (const StoredDescriptor& one : left_alone) store_again(one.name, one.fd.get());
  if (catalog_) forget_widowed_pages();
  take_leftovers_away(prefix_);
  const auto names = list_segments(prefix_);
  if (names && !names->empty())
    log_warning("{} segments of a server with --backing named lie in /dev/shm ({}*): they are left alone, and one with that option takes them over", names->size(), prefix_);
  return found;
}

void SealedBacking::forget_widowed_pages() {
  std::set<Slot> paired = foreign_slots_;
  for (const auto& [inode, slot] : slots_) paired.insert(slot);
  struct stat status {};
  if (::fstat(catalog_.get(), &status) != 0) return log_error("{}", system_error("look at", "the catalog of arrays", errno).message);
  for (Slot slot = 0; page_offset(slot) < status.st_size; ++slot) {
    if (paired.contains(slot)) continue;
    const auto page = read_page(catalog_.get(), slot);
    if (page && *page == SegmentHeaderPage{}) continue;
    const auto header = page ? decode_segment_header(*page, stored_name(slot), ~std::uint64_t{0}) : fail(page.error());
    log_warning("array '{}' did not come back from systemd; it is gone", header ? header->name : stored_name(slot));
    clear_page(slot);
  }
}

}  // namespace parcompute::server
