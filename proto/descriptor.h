// What the server and a worker say to each other: fixed-layout structs, host byte order (both ends are one program on
// one machine, and the worker refuses a forkserver of another build).
//
//   server -> worker   kWork      WorkHeader, ChunkDescriptor[chunk_count], JobDescription (protobuf) or nothing;
//                                 with the descriptors of the description's new segments
//                      kForget    WorkHeader, uint64 segment[chunk_count]; perhaps with the server's own descriptor of the one
//                                 segment, which frees its memory when it is closed
//   worker -> server   kReady     CompletionHeader
//                      kCompleted CompletionHeader, ChunkCompletion[count]
//                      kFailed    CompletionHeader, ChunkCompletion[1], text
//                      kLastWords the same, of the chunk that is ending the worker and would end the next
//                      kFault     the same, of one that may have; the text: "at address 0x10", and a line for each frame
//                      kForgotten CompletionHeader: so many segments of kForget messages, in their order, are let go of
//
//   server -> forkserver   ForkWorker, with the worker's end of its socket; KillWorker, of one without a pidfd
//   forkserver -> server   ForkserverReady, WorkerForked (with the worker's pidfd), WorkerExited
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "proto/limits.h"

namespace parcompute {

// ---- server and worker ---------------------------------------------------------------------------------------

enum class WorkKind : std::uint32_t { kWork = 1, kForget = 2 };

struct WorkHeader {
  WorkKind kind;
  std::uint32_t chunk_count;
  std::uint32_t description_bytes;
  std::uint32_t slot;  // of the description
  // Of the packet, from its beginning: the chunk that is in hand then is cut behind its next blocks, and those after it are not begun. What is
  // left of them goes back with their answers.
  std::uint32_t limit_us;
};
static_assert(sizeof(WorkHeader) == 20);

// Blocks of one chunk: what is left of it finds room in its answer.
inline constexpr std::uint64_t kMaxChunkBlocks = 0xffffffff;

// A run of consecutive blocks of one phase, handed out together. Phase 0 reserves the output's pages; phases 1, 2, ...
// are the plan's.
struct ChunkDescriptor {
  // Names the answer. Unique in the server's life and growing, but that a chunk which overwrites its operands keeps its lease's
  // number when it is handed out again, to the same worker's place.
  std::uint64_t lease;
  std::uint64_t job;
  std::uint64_t first_block;
  std::uint64_t block_count;
  std::uint32_t slot;  // where the worker keeps the job's description
  std::uint16_t phase;
  std::uint16_t attempt;  // 1 for the first worker that tries
};
static_assert(sizeof(ChunkDescriptor) == 40);

enum class CompletionKind : std::uint32_t { kReady = 1, kCompleted = 2, kFailed = 3, kLastWords = 4, kFault = 5, kForgotten = 6 };

struct CompletionHeader {
  CompletionKind kind;
  std::uint32_t count;
};
static_assert(sizeof(CompletionHeader) == 8);

// One element: the scalar result of a job whose last block this chunk held.
using ScalarBytes = std::array<std::byte, 16>;

struct ChunkCompletion {
  std::uint64_t lease;
  std::uint64_t elapsed_ns;  // in the kernel
  std::uint32_t error_code;  // ErrorCode; 0: done
  std::uint32_t blocks_left;  // the last ones, that were not begun when the packet's time was up; a packet's first chunk has fewer than all
  ScalarBytes value;
};
static_assert(sizeof(ChunkCompletion) == 40);

// Chunks in one packet.
inline constexpr std::size_t kMaxChunksPerPacket = 128;

// A packet of chunks with the largest description there can be fits: inputs, output and scratch area with their labels,
// each dimension and stride in at most 11 bytes.
inline constexpr std::size_t kMaxOperandBytes = kMaxLabelBytes + 2 * 32 * 11 + 128;
static_assert(sizeof(WorkHeader) + kMaxChunksPerPacket * sizeof(ChunkDescriptor) + kMaxOperationBytes + (kMaxInputs + 2) * kMaxOperandBytes + 1024 <=
              kMaxPacketBytes);

// ---- server and forkserver -----------------------------------------------------------------------------------

// Both sides compare it at the start: a worker binary of another build is refused.
inline constexpr std::uint32_t kWorkerProtocol = 6;

// The forkserver is given memory, zeroed in the beginning, with room of this size for the redo log of each worker's place
// (worker/kernels/redo_log.h). It outlives forkserver and workers: the server gives the same to the next.
inline constexpr std::size_t kRedoPlaceBytes = 68 * 1024;

enum class ForkKind : std::uint32_t { kForkWorker = 1, kReady = 2, kForked = 3, kExited = 4, kForkFailed = 5, kKillWorker = 6, kPlaceWorker = 7 };

struct ForkMessage {
  ForkKind kind;
  std::uint32_t worker;    // index
  std::uint64_t serial;    // of this fork: tells a worker from the one that had its place before; kKillWorker and kPlaceWorker name both
  std::int32_t pid;        // kReady: the forkserver's; kForked, kExited: the worker's
  std::int32_t status;     // kExited: as waitpid's; kForkFailed: errno
  std::int32_t cpu;        // kForkWorker, kPlaceWorker: pin to it, -1: it has the forkserver's CPUs
  std::uint32_t protocol;  // kReady
  std::uint64_t peak_bytes;  // kExited: of its resident memory
};
static_assert(sizeof(ForkMessage) == 40);

static_assert(std::is_trivially_copyable_v<ChunkDescriptor> && std::is_trivially_copyable_v<ChunkCompletion> &&
              std::is_trivially_copyable_v<ForkMessage>);

}  // namespace parcompute
