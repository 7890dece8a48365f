#include "worker/worker_loop.h"

#include <sched.h>
#include <sys/socket.h>
#include <sysexits.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "proto/descriptor.h"
#include "proto/limits.h"
#include "worker/job_slot.h"
#include "worker/kernels/redo_log.h"
#include "worker/last_words.h"

namespace parcompute {
namespace {

using Clock = std::chrono::steady_clock;

// Answers of finished chunks wait at most so long, so that a long packet of chunks shows progress.
constexpr std::chrono::milliseconds kFlushAfter{1};

// A worker looks for more work so long before it sleeps. To wake it costs the server and itself several microseconds, which
// would be a third of a tiny job; and a job's next phase, or a client's next job, is often that near.
constexpr std::chrono::microseconds kLookOut{50};

class Worker {
 public:
  Worker(WorkerIndex index, Channel channel, std::span<std::byte> redo) : index_(index), channel_(std::move(channel)), redo_(redo) {
    outbox.socket = channel_.fd();
    outbox.segments = &segments_;
    speak_last_words();
  }

  int run() {
    const CompletionHeader ready{CompletionKind::kReady, 0};
    tell(bytes_of(ready));
    const auto buffer = std::make_unique<std::array<std::byte, kMaxPacketBytes>>();
    Packet packet;
    while (!exit_status_) {
      const Transfer outcome = receive(*buffer, packet);
      if (outcome == Transfer::kClosed) return EXIT_SUCCESS;
      if (outcome != Transfer::kDone) {
        // Its chunks are lost with this worker and computed by another.
        log_error("worker {}: a packet from the server could not be received (descriptor table full?); this worker ends", index_);
        return EX_OSERR;
      }
      handle(packet);
    }
    return *exit_status_;
  }

 private:
  // False, for ever, where the server cannot be told: it would wait for this worker's answers until the worker ends. What was
  // not answered is then computed by another.
  bool tell(std::span<const std::span<const std::byte>> parts) {
    if (exit_status_) return false;
    const Transfer outcome = channel_.insist(parts);
    if (outcome == Transfer::kDone) return true;
    exit_status_ = outcome == Transfer::kClosed ? EXIT_SUCCESS : EX_OSERR;
    if (outcome != Transfer::kClosed) log_error("worker {}: an answer to the server could not be sent (no memory for it?); this worker ends", index_);
    return false;
  }
  bool tell(std::span<const std::byte> bytes) { return tell(std::span<const std::span<const std::byte>>(&bytes, 1)); }

  Transfer receive(std::span<std::byte> buffer, Packet& packet) {
    const Clock::time_point until = Clock::now() + kLookOut;
    do {
      const Transfer outcome = channel_.receive(buffer, packet, MSG_DONTWAIT);
      if (outcome == Transfer::kNoRoom) break;
      if (outcome != Transfer::kWouldBlock) return outcome;
      ::sched_yield();  // whoever else wants this CPU goes first
    } while (Clock::now() < until);
    return channel_.receive_insisting(buffer, packet);
  }

  void handle(Packet& packet) {
    WorkHeader header;
    PARCOMPUTE_INVARIANT(packet.bytes.size() >= sizeof header);
    std::memcpy(&header, packet.bytes.data(), sizeof header);
    const auto body = packet.bytes.subspan(sizeof header);
    if (header.kind == WorkKind::kForget) {
      forget(body, header.chunk_count);
      // A descriptor that comes along is the last of its segment: closing it here frees the memory, which takes its time.
      packet.fds.clear();
      tell(bytes_of(CompletionHeader{CompletionKind::kForgotten, header.chunk_count}));
      return;
    }

    PARCOMPUTE_INVARIANT(header.kind == WorkKind::kWork && header.slot < kJobSlots);
    const std::size_t chunk_bytes = header.chunk_count * sizeof(ChunkDescriptor);
    PARCOMPUTE_INVARIANT(header.chunk_count <= kMaxChunksPerPacket && body.size() == chunk_bytes + header.description_bytes);
    if (header.description_bytes > 0) slots_[header.slot].open(body.subspan(chunk_bytes), std::move(packet.fds), segments_, plans_, redo_);

    Clock::time_point now = last_flush_ = Clock::now();
    limit_ = now + std::chrono::microseconds(header.limit_us);
    for (std::uint32_t i = 0; i < header.chunk_count && !exit_status_; ++i) {
      ChunkDescriptor chunk;
      std::memcpy(&chunk, body.data() + i * sizeof chunk, sizeof chunk);
      PARCOMPUTE_INVARIANT(chunk.slot < kJobSlots && chunk.block_count <= kMaxChunkBlocks);
      // The first one is begun in any case, or a packet that came late would never get anywhere.
      if (i == 0 || now < limit_) now = compute(chunk, now);
      else give_back(chunk);
    }
    flush();
  }

  // Returns when the chunk ended: the next one's start.
  Clock::time_point compute(const ChunkDescriptor& chunk, Clock::time_point started) {
    ChunkCompletion completion{};
    completion.lease = outbox.lease_in_hand = chunk.lease;
    const Result<JobSlot::Progress> outcome = run(chunk, started, completion.value);
    outbox.lease_in_hand = 0;
    const Clock::time_point ended = outcome ? outcome->ended : Clock::now();
    completion.elapsed_ns =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(ended - started).count());
    if (outcome) {
      completion.blocks_left = static_cast<std::uint32_t>(chunk.block_count - outcome->blocks);
      outbox.add(completion);
      // (A chunk that is cut is the last of its packet to begin. So the server is told of it before another one begins, which the redo log
      // would take for a sign that it was done.)
      if (completion.blocks_left == 0 && ended - last_flush_ >= kFlushAfter) flush();
    } else {
      flush();
      const bool must_end = slots_[chunk.slot].must_end_after_failure();
      report_failure(must_end ? CompletionKind::kLastWords : CompletionKind::kFailed, completion, outcome.error());
      if (must_end && !exit_status_) exit_status_ = EX_TEMPFAIL;
    }
    return ended;
  }

  void give_back(const ChunkDescriptor& chunk) {
    ChunkCompletion completion{};
    completion.lease = chunk.lease;
    completion.blocks_left = static_cast<std::uint32_t>(chunk.block_count);
    outbox.add(completion);
  }

  // What a block leaves half done when memory ends is nobody's state: it can be computed again, or its job fails.
  Result<JobSlot::Progress> run(const ChunkDescriptor& chunk, Clock::time_point now, ScalarBytes& value) {
    try {
      return slots_[chunk.slot].run(chunk, now, limit_, value);
    } catch (const std::bad_alloc&) {
      return fail(no_memory());
    }
  }

  void flush() {
    if (const auto answers = outbox.take(); !answers.empty()) tell(answers);
    last_flush_ = Clock::now();
  }

  void report_failure(CompletionKind kind, ChunkCompletion completion, const Error& error) {
    const CompletionHeader header{kind, 1};
    completion.error_code = static_cast<std::uint32_t>(error.code);
    const std::string_view text = clip_utf8(error.message, kMaxFailureText);
    const std::array<std::span<const std::byte>, 3> parts{bytes_of(header), bytes_of(completion),
                                                          std::as_bytes(std::span(text))};
    tell(parts);
  }

  void forget(std::span<const std::byte> body, std::uint32_t count) {
    PARCOMPUTE_INVARIANT(body.size() == count * sizeof(std::uint64_t));
    for (std::uint32_t i = 0; i < count; ++i) {
      SegmentId id;
      std::memcpy(&id.value, body.data() + i * sizeof id.value, sizeof id.value);
      segments_.forget(id);
    }
  }

  WorkerIndex index_;
  Channel channel_;
  SegmentCache segments_;
  PlanMemory plans_;  // of all slots
  RedoLog redo_;
  std::array<JobSlot, kJobSlots> slots_;
  Clock::time_point last_flush_;
  Clock::time_point limit_;  // of the packet in hand
  std::optional<int> exit_status_;  // this worker ends with it
};

}  // namespace

int run_worker(WorkerIndex index, Channel channel, std::span<std::byte> redo) {
  return Worker(index, std::move(channel), redo).run();
}

}  // namespace parcompute
