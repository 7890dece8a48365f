#include "common/os/memory_reserve.h"

#include <array>
#include <cstdlib>
#include <new>

#include "common/base/invariant.h"

namespace parcompute {
namespace {

std::array<void*, MemoryReserve::kMaxBytes / MemoryReserve::kPieceBytes> set_aside{};
std::size_t count = 0;

void free_all() {
  while (count > 0) std::free(set_aside[--count]);
}

// operator new calls it where malloc found nothing, and tries again when it returns.
void give_back() {
  if (count == 0) throw std::bad_alloc();
  free_all();
}

}  // namespace

MemoryReserve::MemoryReserve(std::size_t bytes) : pieces_(bytes / kPieceBytes) {
  PARCOMPUTE_INVARIANT(std::get_new_handler() == nullptr && pieces_ <= set_aside.size());
  refill();
  std::set_new_handler(give_back);
}

MemoryReserve::~MemoryReserve() {
  std::set_new_handler(nullptr);
  free_all();
}

bool MemoryReserve::is_spent() const {
  return count < pieces_;
}

bool MemoryReserve::refill() {
  while (count < pieces_) {
    void* piece = std::malloc(kPieceBytes);
    if (piece == nullptr) return false;
    set_aside[count++] = piece;
  }
  return true;
}

}  // namespace parcompute
