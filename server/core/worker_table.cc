#include "server/core/worker_table.h"

#include <algorithm>

namespace parcompute::server {

void SegmentSet::touch(SegmentId id) {
  if (const auto found = places_.find(id); found != places_.end()) {
    order_.splice(order_.end(), order_, found->second);
    return;
  }
  places_[id] = order_.insert(order_.end(), id);
}

void SegmentSet::erase(SegmentId id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  order_.erase(found->second);
  places_.erase(found);
}

void SegmentSet::clear() {
  order_.clear();
  places_.clear();
}

std::optional<std::uint32_t> Worker::slot_of(JobId job) const {
  const auto found = std::find(slots.begin(), slots.end(), job);
  if (found == slots.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - slots.begin());
}

std::uint32_t Worker::free_slot() {
  for (std::size_t tried = 0; tried < slots.size(); ++tried) {
    const std::size_t slot = next_slot;
    next_slot = (next_slot + 1) % slots.size();
    if (slot_leases[slot] == 0) return static_cast<std::uint32_t>(slot);
  }
  PARCOMPUTE_INVARIANT(!"every slot's job has a lease out");
  return 0;
}

void Worker::forget_all() {
  named_its_chunk = false;
  fault.clear();
  ended_for.clear();
  owes = 0;  // a chunk that is redone keeps its number
  seconds_in_hand = 0;
  pid = 0;
  leases.clear();
  packets = 0;
  slots.fill(JobId{});
  slot_leases.fill(0);
  segments.clear();
  forgetting.clear();
}

}  // namespace parcompute::server
