#include "server/core/memory_ledger.h"

namespace parcompute::server {

void MemoryLedger::count(SegmentId segment, const Entry& entry, bool in) {
  const auto adjust = [in](auto& sum, auto amount) { in ? sum += amount : sum -= amount; };
  adjust(bytes_[static_cast<std::size_t>(entry.state)], entry.bytes);
  adjust(segments_[static_cast<std::size_t>(entry.state)], std::size_t{1});
  if (entry.state == MemoryState::kHeld) in ? static_cast<void>(held_.insert(segment)) : static_cast<void>(held_.erase(segment));
  if (entry.state != MemoryState::kUsed && entry.state != MemoryState::kHeld) return;
  Share& share = shares_[entry.owner_uid];
  adjust(share.bytes, entry.bytes);
  adjust(share.segments, std::size_t{1});
  if (entry.state == MemoryState::kHeld) adjust(share.held, std::size_t{1});
  if (share.segments == 0) shares_.erase(entry.owner_uid);
}

void MemoryLedger::add(SegmentId segment, uid_t owner_uid, std::uint64_t bytes) {
  const auto [added, is_new] = entries_.emplace(segment, Entry{owner_uid, bytes, MemoryState::kUsed, 0});
  PARCOMPUTE_INVARIANT(is_new);
  count(segment, added->second, true);
}

void MemoryLedger::shrink(SegmentId segment, std::uint64_t bytes) {
  Entry& entry = entries_.at(segment);
  PARCOMPUTE_INVARIANT(bytes <= entry.bytes);
  count(segment, entry, false);
  entry.bytes = bytes;
  count(segment, entry, true);
}

void MemoryLedger::apply(SegmentId segment, MemoryEvent event) {
  Entry& entry = entries_.at(segment);
  count(segment, entry, false);
  kMemoryLife.apply(entry.state, event);
  count(segment, entry, true);
}

void MemoryLedger::let_go(SegmentId segment, std::size_t answers) {
  apply(segment, MemoryEvent::kLetGo);
  // One more, which comes below: where nobody else has to let go, it is gone by that.
  entries_.at(segment).answers = answers + 1;
  on_answer(segment);
}

bool MemoryLedger::on_answer(SegmentId segment) {
  const auto found = entries_.find(segment);
  if (found == entries_.end() || found->second.state != MemoryState::kFreeing || --found->second.answers > 0) return false;
  count(segment, found->second, false);
  entries_.erase(found);
  ++freed_;
  return true;
}

MemoryLedger::Share MemoryLedger::share_of(uid_t uid) const {
  const auto found = shares_.find(uid);
  return found == shares_.end() ? Share{} : found->second;
}

}  // namespace parcompute::server
