// What a worker still says when a signal ends it: the answers of the chunks that are done, which chunk it has in hand, and what
// happened to it.
//
// Everything here is laid out so that a signal handler can send it: no allocation, no locks, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "proto/descriptor.h"
#include "worker/segment_cache.h"

namespace parcompute {

// Answers that wait to be sent, and the chunk that is being computed. There is one, for there is one worker in a process.
//
// A signal may come between any two instructions of the worker, and its handler sends what it finds here: an answer is counted
// once it is whole, and no longer once somebody is about to send it. One that is lost in between belongs to a chunk that is
// computed again, as after SIGKILL; one that is sent twice would break the server's rules.
class Outbox {
 public:
  void add(const ChunkCompletion& completion);
  // The packet of the waiting answers, which wait no longer; empty where there were none. Valid until the next add.
  std::span<const std::byte> take();

  int socket = -1;
  std::uint64_t lease_in_hand = 0;  // 0: none
  const SegmentCache* segments = nullptr;

 private:
  struct Packet {
    CompletionHeader header;
    std::array<ChunkCompletion, kMaxChunksPerPacket> completions;
  } packet_{};
  volatile std::size_t count_ = 0;
};
extern Outbox outbox;

// From now on: SIGBUS in an operand's memory (somebody truncated its file or segment) is the chunk's failure, in words; other
// signals of a fault are told with their address and a backtrace, and end the worker as they would have.
void speak_last_words();

}  // namespace parcompute
