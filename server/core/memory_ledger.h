// MemoryLedger: what becomes of each segment's memory, from its making until the last who had it has let go, and how much
// there is of each kind. Everything is counted before it is made.
//
// Memory is not free when an array is removed: a client may have it mapped for as long as it likes, and workers let go of it
// when they come to it. Who counted it as free would promise it twice.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/ids.h"
#include "common/base/invariant.h"
#include "server/core/lifecycle.h"

namespace parcompute::server {

struct MemoryLimits {
  std::uint64_t bytes = 0;
  std::string source;             // "the size of /dev/shm", ...
  std::string_view place = "in /dev/shm, which other programs use too";  // where memory is free, or not
  std::string_view remedy = "files in /dev/shm";  // what else may be taken away to have more
  std::uint64_t spare_bytes = 0;  // most that spare segments may take besides
  bool segments_shrink = true;    // what was given back of one that was shortened is gone for good
};

class MemoryLedger {
 public:
  void set_limits(MemoryLimits limits) { limits_ = std::move(limits); }
  const MemoryLimits& limits() const { return limits_; }

  // A segment was made (or found), to be used.
  void add(SegmentId segment, uid_t owner_uid, std::uint64_t bytes);
  // So many bytes of it are left: the others were given back.
  void shrink(SegmentId segment, std::uint64_t bytes);
  // It is put away, taken again, or left to clients that still have it.
  void apply(SegmentId segment, MemoryEvent event);
  // It is given up. It is gone when so many answers have come; at once where none is awaited.
  void let_go(SegmentId segment, std::size_t answers);
  // One of those who had to let go of it has. True: it is gone. Of a segment that is no memory of the server's (a file), or that
  // stays, nothing is noted.
  bool on_answer(SegmentId segment);

  std::uint64_t bytes(MemoryState state) const { return bytes_[static_cast<std::size_t>(state)]; }
  std::size_t segments(MemoryState state) const { return segments_[static_cast<std::size_t>(state)]; }
  std::uint64_t bytes(SegmentId segment) const { return entries_.at(segment).bytes; }
  const std::set<SegmentId>& held() const { return held_; }
  // What is not there for others: of arrays, scratch areas, and removed arrays that clients still have.
  std::uint64_t taken_bytes() const { return bytes(MemoryState::kUsed) + bytes(MemoryState::kHeld); }
  // Whether all that was admitted fits besides what is still being given back.
  bool fits() const { return taken_bytes() + bytes(MemoryState::kFreeing) <= limits_.bytes; }
  // Segments that were given up and are gone, ever.
  std::uint64_t freed() const { return freed_; }

  // What a user has, in use and held.
  struct Share {
    std::uint64_t bytes = 0;
    std::size_t segments = 0;
    std::size_t held = 0;  // of these segments
  };
  Share share_of(uid_t uid) const;
  const std::unordered_map<uid_t, Share>& shares() const { return shares_; }

  // ---- of the bytes in use those that have no pages yet
  std::uint64_t promised_bytes() const { return promised_bytes_; }
  void promise(std::uint64_t bytes) { promised_bytes_ += bytes; }
  // So much of what was promised to somebody has pages now, or will never need them.
  void settle(std::uint64_t& promised, std::uint64_t bytes) {
    const std::uint64_t settled = std::min(promised, bytes);
    PARCOMPUTE_INVARIANT(settled <= promised_bytes_);
    promised -= settled;
    promised_bytes_ -= settled;
  }

 private:
  struct Entry {
    uid_t owner_uid = 0;
    std::uint64_t bytes = 0;
    MemoryState state = MemoryState::kUsed;
    std::size_t answers = 0;  // awaited, of workers that have to let go of it
  };
  // Takes it out of, or puts it into, the sums.
  void count(SegmentId segment, const Entry& entry, bool in);

  MemoryLimits limits_;
  std::unordered_map<SegmentId, Entry> entries_;
  std::array<std::uint64_t, kMemoryStates> bytes_{};
  std::array<std::size_t, kMemoryStates> segments_{};
  std::set<SegmentId> held_;
  std::unordered_map<uid_t, Share> shares_;
  std::uint64_t promised_bytes_ = 0;
  std::uint64_t freed_ = 0;
};

}  // namespace parcompute::server
