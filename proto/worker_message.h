// What a worker says to the server, taken apart. Its bytes are foreign: a kernel that went astray may have written over whatever
// they were made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proto/descriptor.h"

namespace parcompute {

struct WorkerMessage {
  CompletionKind kind = CompletionKind::kReady;
  std::span<const ChunkCompletion> completions;  // kCompleted: some; kFailed, kLastWords, kFault: one; else none
  std::uint32_t forgotten = 0;                   // kForgotten: how many segments
  std::string_view words;                        // any bytes, at most kMaxLastWords
};

// Nothing for a packet against the rules. The completions lie in `room`, the words in the packet.
std::optional<WorkerMessage> decode_worker_message(std::span<const std::byte> packet, std::span<ChunkCompletion, kMaxChunksPerPacket> room);

// A kFault's words with the symbols as C++ writes them: "parcompute-worker+0x1a2b3 _ZN3foo3barEv+0x4f" names foo::bar().
std::string readable_backtrace(std::string_view words);

}  // namespace parcompute
