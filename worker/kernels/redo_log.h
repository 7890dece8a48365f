// RedoLog: what a worker's place in the pool remembers, outside of the worker, of the piece that it is writing over.
//
// A chunk that overwrites its own operands (a + 1 into a) cannot simply be computed again when its worker dies in the middle of
// it. So a piece's results go to the log first, and from there to the array:
//
//     compute into buffer()  ->  set_computed()  ->  copy buffer() to the array  ->  set_published()
//
// Whoever takes the place of a dead worker gets its chunks again, in their order and with their leases' numbers, and finds here
// how far they came: a piece that was computed is copied once more, which changes nothing where that was done; one that was not
// is computed from operands that nobody has touched.
//
// The memory is shared with the next worker of the place, and with nobody else at a time; the coordinator keeps it while it lives
// and never looks inside. The marks are written after what they tell of.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace parcompute {

class RedoLog {
 public:
  // What it keeps beside the buffer.
  static constexpr std::size_t kHeaderBytes = 4096;

  // `memory`: zeroed in the beginning, page aligned, longer than kHeaderBytes, the same for each worker of the place.
  explicit RedoLog(std::span<std::byte> memory);

  // The chunk of this lease begins, or goes on where the worker before stopped. Chunks come with growing numbers; one with a
  // smaller number than the log has seen was done, and is not to be touched again: false.
  bool begin(std::uint64_t lease, std::uint64_t first_block);
  // Of the chunk, whose pieces are counted from there.
  std::uint64_t first_block() const { return first_block_; }

  // Blocks of the chunk, the first ones, of which something may be done: told before it is. A successor does them to their end, and may give back
  // the others.
  std::uint64_t begun() const { return record().begun.load(std::memory_order_relaxed); }
  void set_begun(std::uint64_t blocks) { mark(record().begun, std::max(blocks, begun())); }

  std::span<std::byte> buffer() const { return buffer_; }
  // Pieces of the chunk whose results are in the array, and in the buffer or the array.
  std::uint64_t published() const { return record().published.load(std::memory_order_relaxed); }
  std::uint64_t computed() const { return record().computed.load(std::memory_order_relaxed); }

  // The next piece is in the buffer; is in the array.
  void set_computed() { mark(record().computed, computed() + 1); }
  void set_published() { mark(record().published, computed()); }

 private:
  using Word = std::atomic<std::uint64_t>;
  static_assert(Word::is_always_lock_free);
  struct Record {
    Word lease, begun, computed, published;
  };
  // A chunk's record is filled beside the last one's, and becomes the one that counts by one write.
  struct Header {
    Word current;
    Record records[2];
  };
  static_assert(sizeof(Header) <= kHeaderBytes);

  // After what is written before it and before what is written after it, for whoever looks at the memory when this process is
  // dead: the processor's order is the program's then, the compiler's is held by the fence.
  static void mark(Word& word, std::uint64_t value) {
    word.store(value, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  Record& record() const { return header_->records[header_->current.load(std::memory_order_relaxed) % 2]; }

  Header* header_;
  std::span<std::byte> buffer_;
  std::uint64_t first_block_ = 0;
};

}  // namespace parcompute
