// SealedBacking: sealed memory, and a catalog of what is in it; see backing.h.
//
// Each named array has a slot: its memory lies in systemd's descriptor store as "array-<slot>", its description in page <slot> of
// the catalog, which lies there as "catalog". The page names the memory by its inode, so that the two are taken for a pair only
// where they are one. Pages are written before descriptors are handed in and cleared before they are taken back: whenever the
// server dies, one without the other is an array that was just being made or removed.
//
// Where systemd keeps no descriptors for this server there is no catalog, and its arrays end with it.
#pragma once

#include <set>
#include <unordered_map>

#include "common/os/memory_budget.h"
#include "server/io/backing.h"

namespace parcompute::server {

class SealedBacking : public Backing {
 public:
  static Result<std::unique_ptr<SealedBacking>> make_with(std::string prefix, std::vector<StoredDescriptor> stored, std::size_t store_room);

  Result<NamedSegment> make(std::uint64_t size) override;
  Result<void> describe(const NamedSegment& segment, const SegmentHeader& header) override;
  void forget(const NamedSegment& segment) override;
  Result<std::vector<Found>> take_over() override;
  std::uint64_t own_pages() const override { return 0; }
  Result<std::uint64_t> free_bytes() override { return available_.bytes(); }

 private:
  using Slot = std::uint32_t;
  using Inode = std::uint64_t;

  SealedBacking(std::string prefix, AvailableMemory available) : prefix_(std::move(prefix)), available_(std::move(available)) {}

  Result<void> open_catalog(std::size_t store_room);
  std::optional<Slot> take_slot();
  Result<void> write_page(Slot slot, const SegmentHeader& header);
  void clear_page(Slot slot);
  Result<Found> adopt(StoredDescriptor& stored, Slot& slot);
  // Pages whose memory did not come.
  void forget_widowed_pages();

  std::string prefix_;
  AvailableMemory available_;
  UniqueFd catalog_;  // none: nothing outlives this server
  std::vector<StoredDescriptor> stored_;  // until take_over()
  std::unordered_map<Inode, Slot> slots_;
  std::set<Slot> free_slots_;
  std::set<Slot> foreign_slots_;  // of arrays that this server cannot read: theirs until one comes that can
  bool is_full_ = false;  // and it was said
};

}  // namespace parcompute::server
