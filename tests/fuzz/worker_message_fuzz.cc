// Any bytes as a worker's packet: what is within the rules says no more than came, and the trace of a fault takes little to read.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/invariant.h"
#include "proto/worker_message.h"

namespace parcompute {
namespace {

// A line of some hundred bytes may name something long; not everything there is room for.
constexpr std::size_t kMostReadable = std::size_t{1} << 20;

void check(std::span<const std::byte> packet) {
  std::array<ChunkCompletion, kMaxChunksPerPacket> room;
  const auto message = decode_worker_message(packet, room);
  if (!message) return;
  std::size_t body = message->completions.size_bytes() + message->words.size();
  PARCOMPUTE_INVARIANT(sizeof(CompletionHeader) + body <= packet.size());
  PARCOMPUTE_INVARIANT(message->words.size() <= kMaxLastWords);
  const bool speaks_of_one = message->kind == CompletionKind::kFailed || message->kind == CompletionKind::kLastWords || message->kind == CompletionKind::kFault;
  if (speaks_of_one) PARCOMPUTE_INVARIANT(message->completions.size() == 1);
  else PARCOMPUTE_INVARIANT(message->words.empty());
  if (message->kind == CompletionKind::kReady || message->kind == CompletionKind::kForgotten) PARCOMPUTE_INVARIANT(message->completions.empty());
  PARCOMPUTE_INVARIANT(readable_backtrace(message->words).size() <= kMostReadable);
}

}  // namespace
}  // namespace parcompute

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parcompute::check({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
