#include "server/core/chunk_sizing.h"

#include <algorithm>
#include <cmath>

#include "common/base/checked.h"
#include "proto/descriptor.h"

namespace parcompute::server {
namespace {

// Of an automatic chunk. Where very many workers compute, one of them is done with its first chunk at any moment, and whoever
// comes waits for the second alone: so theirs may be longer, which spares the server half of the messages.
constexpr double kLongestNs = 2e6, kLongestOfManyNs = 4e6;
constexpr unsigned kManyWorkers = 64;
constexpr double kMessageNs = 20e3;    // a message to a worker and back, with all that the server does for it
constexpr double kShortestNs = 100e3;  // of an automatic chunk, while there are enough of them
constexpr double kPacketNs = 200e3;    // packets of short chunks are filled up to this
// A chunk takes at most 1 / (kShares * workers) of what is left. Blocks may differ in cost by a thousand times and the
// estimate knows only those that are done: a larger share could be all of the hard ones.
constexpr std::uint64_t kShares = 6;

std::uint64_t blocks_of(double ns, double block_ns) {
  return static_cast<std::uint64_t>(std::clamp(ns / block_ns, 1.0, 0x1p48));
}

double longest_ns(unsigned workers) {
  return workers < kManyWorkers ? kLongestNs : kLongestOfManyNs;
}

}  // namespace

std::uint64_t chunk_blocks(const ChunkSizing& sizing) {
  if (sizing.fixed_blocks > 0) return std::min(sizing.fixed_blocks, sizing.remaining_blocks);
  const double block_ns = std::max(sizing.block_ns, 1.0);
  const std::uint64_t share = std::max<std::uint64_t>(1, sizing.remaining_blocks / (kShares * sizing.workers));
  // Not worth a message to a second worker.
  if (static_cast<double>(sizing.remaining_blocks) * block_ns <= kMessageNs) return sizing.remaining_blocks;
  // A chunk is longer than its message where that leaves the others something to do.
  const std::uint64_t shortest =
      std::min(blocks_of(kShortestNs, block_ns), ceil_div(sizing.remaining_blocks, 2 * sizing.workers));
  return std::max(std::min(share, blocks_of(longest_ns(sizing.workers), block_ns)), shortest);
}

std::uint64_t chunks_per_packet(const ChunkSizing& sizing, std::uint64_t blocks) {
  const double chunk_ns = std::max(sizing.block_ns, 1.0) * static_cast<double>(blocks);
  const std::uint64_t filling = std::min<std::uint64_t>(blocks_of(kPacketNs, chunk_ns), kMaxChunksPerPacket);
  // Leave something for the others.
  const std::uint64_t share = ceil_div(sizing.remaining_blocks, 2 * sizing.workers * blocks);
  return std::max<std::uint64_t>(1, std::min(filling, share));
}

bool fits_behind(const ChunkSizing& sizing, std::uint64_t blocks, double ns_in_hand) {
  return ns_in_hand + std::max(sizing.block_ns, 1.0) * static_cast<double>(blocks) <= 2 * longest_ns(sizing.workers);
}

bool leaves_enough(const ChunkSizing& sizing, std::uint64_t blocks) {
  return sizing.remaining_blocks > blocks * sizing.workers;
}

}  // namespace parcompute::server
