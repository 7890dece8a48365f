#include "worker/worker_loop.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>

#include "common/base/invariant.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "proto/descriptor.h"
#include "proto/limits.h"
#include "worker/job_slot.h"

namespace parcompute {
namespace {

using Clock = std::chrono::steady_clock;

// Answers of finished chunks wait at most so long, so that a long packet of chunks shows progress.
constexpr std::chrono::milliseconds kFlushAfter{1};

// A worker looks for more work so long before it sleeps. To wake it costs the server and itself several microseconds, which
// would be a third of a tiny job; and a job's next phase, or a client's next job, is often that near.
constexpr std::chrono::microseconds kLookOut{50};

// What a dying worker still has to say, laid out so that a signal handler can send it: the answers of the chunks that
// are done, and one for the chunk in hand.
struct Outbox {
  int socket = -1;
  std::size_t count = 0;
  struct Packet {
    CompletionHeader header;
    std::array<ChunkCompletion, kMaxChunksPerPacket> completions;
  } packet{};
  std::uint64_t lease_in_hand = 0;
};
Outbox outbox;

std::span<const std::byte> outbox_bytes() {
  return std::as_bytes(std::span(&outbox.packet, 1))
      .first(sizeof(CompletionHeader) + outbox.count * sizeof(ChunkCompletion));
}

constexpr std::string_view kVanished =
    "memory of an operand vanished while the job ran: somebody truncated its file or segment";

// Only async-signal-safe calls. The worker ends: its mappings are not what it believed them to be.
void on_bus_error(int) {
  outbox.packet.header = {CompletionKind::kCompleted, static_cast<std::uint32_t>(outbox.count)};
  if (outbox.count > 0) ::send(outbox.socket, outbox_bytes().data(), outbox_bytes().size(), MSG_NOSIGNAL);
  if (outbox.lease_in_hand != 0) {
    struct {
      CompletionHeader header{CompletionKind::kLastWords, 1};
      ChunkCompletion completion{};
      std::array<char, kVanished.size()> text{};
    } failure;
    failure.completion.lease = outbox.lease_in_hand;
    failure.completion.error_code = static_cast<std::uint32_t>(ErrorCode::kComputationFailed);
    std::memcpy(failure.text.data(), kVanished.data(), kVanished.size());
    constexpr std::size_t kBytes = sizeof(CompletionHeader) + sizeof(ChunkCompletion) + kVanished.size();
    static_assert(sizeof(CompletionHeader) + sizeof(ChunkCompletion) == offsetof(decltype(failure), text));
    ::send(outbox.socket, &failure, kBytes, MSG_NOSIGNAL);
  }
  ::_exit(128 + SIGBUS);
}

class Worker {
 public:
  Worker(WorkerIndex index, Channel channel) : index_(index), channel_(std::move(channel)) {
    outbox.socket = channel_.fd();
    struct sigaction action {};
    action.sa_handler = on_bus_error;
    ::sigaction(SIGBUS, &action, nullptr);
  }

  void run() {
    const CompletionHeader ready{CompletionKind::kReady, 0};
    if (channel_.send(bytes_of(ready)) != Transfer::kDone) return;
    const auto buffer = std::make_unique<std::array<std::byte, kMaxPacketBytes>>();
    Packet packet;
    while (true) {
      const Transfer outcome = receive(*buffer, packet);
      if (outcome == Transfer::kClosed) return;
      if (outcome != Transfer::kDone) {
        // Its chunks are lost with this worker and computed by another.
        log_error("worker {}: a packet from the server could not be received (descriptor table full?); this worker ends", index_);
        return;
      }
      handle(packet);
    }
  }

 private:
  Transfer receive(std::span<std::byte> buffer, Packet& packet) {
    const Clock::time_point until = Clock::now() + kLookOut;
    do {
      const Transfer outcome = channel_.receive(buffer, packet, MSG_DONTWAIT);
      if (outcome != Transfer::kWouldBlock) return outcome;
      ::sched_yield();  // whoever else wants this CPU goes first
    } while (Clock::now() < until);
    return channel_.receive(buffer, packet);
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
      return;
    }

    PARCOMPUTE_INVARIANT(header.kind == WorkKind::kWork && header.slot < kJobSlots);
    const std::size_t chunk_bytes = header.chunk_count * sizeof(ChunkDescriptor);
    PARCOMPUTE_INVARIANT(header.chunk_count <= kMaxChunksPerPacket && body.size() == chunk_bytes + header.description_bytes);
    if (header.description_bytes > 0) slots_[header.slot].open(body.subspan(chunk_bytes), std::move(packet.fds), segments_, plans_);

    Clock::time_point started = Clock::now();
    last_flush_ = started;
    for (std::uint32_t i = 0; i < header.chunk_count; ++i) {
      ChunkDescriptor chunk;
      std::memcpy(&chunk, body.data() + i * sizeof chunk, sizeof chunk);
      started = compute(chunk, started);
    }
    flush();
  }

  // Returns when the chunk ended: the next one's start.
  Clock::time_point compute(const ChunkDescriptor& chunk, Clock::time_point started) {
    PARCOMPUTE_INVARIANT(chunk.slot < kJobSlots);
    ChunkCompletion completion{};
    completion.lease = outbox.lease_in_hand = chunk.lease;
    const Result<void> outcome = slots_[chunk.slot].run(chunk, completion.value);
    outbox.lease_in_hand = 0;
    const Clock::time_point ended = Clock::now();
    completion.elapsed_ns =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(ended - started).count());
    if (outcome) {
      outbox.packet.completions[outbox.count++] = completion;
      if (ended - last_flush_ >= kFlushAfter) flush();
    } else {
      flush();
      report_failure(completion, outcome.error());
    }
    return ended;
  }

  void flush() {
    if (outbox.count > 0) {
      outbox.packet.header = {CompletionKind::kCompleted, static_cast<std::uint32_t>(outbox.count)};
      channel_.send(outbox_bytes());  // a server that is gone shows at the next receive
      outbox.count = 0;
    }
    last_flush_ = Clock::now();
  }

  void report_failure(ChunkCompletion completion, const Error& error) {
    const CompletionHeader header{CompletionKind::kFailed, 1};
    completion.error_code = static_cast<std::uint32_t>(error.code);
    const std::string_view text = clip_utf8(error.message, kMaxFailureText);
    const std::array<std::span<const std::byte>, 3> parts{bytes_of(header), bytes_of(completion),
                                                          std::as_bytes(std::span(text))};
    channel_.send(parts);
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
  std::array<JobSlot, kJobSlots> slots_;
  Clock::time_point last_flush_;
};

}  // namespace

void run_worker(WorkerIndex index, Channel channel) {
  Worker(index, std::move(channel)).run();
}

}  // namespace parcompute
