#include "worker/kernels/redo_log.h"

#include <new>

#include "common/base/invariant.h"

namespace parcompute {

RedoLog::RedoLog(std::span<std::byte> memory) : header_(std::launder(reinterpret_cast<Header*>(memory.data()))), buffer_(memory.subspan(kHeaderBytes)) {
  PARCOMPUTE_INVARIANT(!buffer_.empty() && reinterpret_cast<std::uintptr_t>(memory.data()) % kHeaderBytes == 0);
}

bool RedoLog::begin(std::uint64_t lease, std::uint64_t first_block) {
  first_block_ = first_block;
  const std::uint64_t last = record().lease.load(std::memory_order_relaxed);
  if (lease < last) return false;
  if (lease == last) return true;
  const std::uint64_t next = header_->current.load(std::memory_order_relaxed) + 1;
  Record& fresh = header_->records[next % 2];
  fresh.lease.store(lease, std::memory_order_relaxed);
  fresh.begun.store(0, std::memory_order_relaxed);
  fresh.computed.store(0, std::memory_order_relaxed);
  fresh.published.store(0, std::memory_order_relaxed);
  header_->current.store(next, std::memory_order_release);
  return true;
}

}  // namespace parcompute
