// MemoryReserve: memory set aside for the moment when there is no more.
//
// A failed allocation in the middle of a decision would leave it half made, and no catch can tell which half. So `operator new`,
// where it finds nothing, first gives this reserve back to the heap and goes on: what was begun is finished. Who sees is_spent()
// begins nothing new until refill() succeeds. Where the reserve is used up, too, operator new throws as always.
//
// It lies in pieces, which a heap full of holes has room for sooner than for one of its size. Their pages are not touched: they cost
// address space and commit charge alone.
#pragma once

#include <cstddef>

namespace parcompute {

class MemoryReserve {
 public:
  // One at a time in a process: it is what operator new knows of. At most kMaxBytes.
  explicit MemoryReserve(std::size_t bytes);
  MemoryReserve(const MemoryReserve&) = delete;
  MemoryReserve& operator=(const MemoryReserve&) = delete;
  ~MemoryReserve();

  bool is_spent() const;
  // Sets it aside again. False where there is still no memory for it.
  bool refill();

  static constexpr std::size_t kPieceBytes = 64 * 1024;
  static constexpr std::size_t kMaxBytes = 128 * kPieceBytes;

 private:
  std::size_t pieces_;
};

}  // namespace parcompute
