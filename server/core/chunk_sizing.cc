#include "server/core/chunk_sizing.h"

#include <algorithm>
#include <cmath>

#include "common/base/checked.h"
#include "proto/descriptor.h"

namespace parcompute::server {
namespace {

constexpr double kMessageNs = 20e3;  // a message to a worker and back, with all that the server does for it
// Of a packet: progress, cancelling, recovery and whoever comes next wait for no longer one.
constexpr double kLimitNs = 2e6;
// Chunks are meant to be done before that, most of them: a cut one costs a message more.
constexpr double kPartOfLimit = 0.75;
constexpr double kShortestNs = 100e3;  // of an automatic chunk, while there are enough of them
// What the server itself takes for a chunk, at most. Where very many workers compute (more than 125) theirs are longer, for it shall be idle half
// of the time; and whoever comes next waits no longer for that: with so many, some worker is done at any moment.
constexpr double kServerNs = 8e3;
constexpr double kPacketNs = 200e3;  // packets of short chunks are filled up to this
// A chunk would take at most 1 / (kShares * workers) of what is left, if all blocks took the same.
constexpr double kShares = 12;

double blocks_of(double ns, double block_ns) {
  return std::clamp(std::floor(ns / block_ns), 1.0, 0x1p48);
}

double known_block_ns(const ChunkSizing& sizing) {
  return std::max(sizing.block_ns, 1.0);
}

double limit_ns(unsigned workers) {
  return std::max(kLimitNs, 2 * kServerNs * workers);
}

std::uint64_t automatic_blocks(const ChunkSizing& sizing) {
  const double block_ns = known_block_ns(sizing), remaining = static_cast<double>(sizing.remaining_blocks), workers = sizing.workers;
  // Not worth a message to a second worker.
  if (remaining * block_ns <= kMessageNs) return sizing.remaining_blocks;
  const double share = std::min(remaining / (kShares * workers), blocks_of(kPartOfLimit * limit_ns(sizing.workers), block_ns));
  // A chunk is longer than its message where that leaves the others something to do.
  const double shortest_ns = std::max(kShortestNs, kServerNs / 2 * workers);
  const double least = std::min(blocks_of(shortest_ns, block_ns), remaining / (2 * workers));
  return static_cast<std::uint64_t>(std::ceil(std::max(std::floor(share), least)));
}

}  // namespace

std::uint64_t chunk_blocks(const ChunkSizing& sizing) {
  const std::uint64_t wished = sizing.fixed_blocks > 0 ? sizing.fixed_blocks : kMaxChunkBlocks;
  const std::uint64_t most = std::min({wished, kMaxChunkBlocks, sizing.remaining_blocks});
  if (sizing.fixed_blocks > 0 && !sizing.was_cut) return most;
  return std::clamp<std::uint64_t>(automatic_blocks(sizing), 1, most);
}

std::uint64_t chunks_per_packet(const ChunkSizing& sizing, std::uint64_t blocks) {
  const double chunk_ns = known_block_ns(sizing) * static_cast<double>(blocks);
  const auto filling = std::min(static_cast<std::uint64_t>(blocks_of(kPacketNs, chunk_ns)), std::uint64_t{kMaxChunksPerPacket});
  // Leave something for the others.
  const std::uint64_t share = ceil_div(sizing.remaining_blocks, 2 * sizing.workers * blocks);
  return std::max<std::uint64_t>(1, std::min(filling, share));
}

std::chrono::microseconds packet_limit(unsigned workers) {
  return std::chrono::microseconds(std::llround(limit_ns(workers) / 1e3));
}

double expected_ns(double block_ns, std::uint64_t blocks, unsigned workers) {
  return std::min(block_ns * static_cast<double>(blocks), std::max(block_ns, limit_ns(workers)));
}

bool fits_behind(const ChunkSizing& sizing, std::uint64_t blocks, double ns_in_hand) {
  return ns_in_hand + expected_ns(known_block_ns(sizing), blocks, sizing.workers) <= 2 * limit_ns(sizing.workers);
}

bool leaves_enough(const ChunkSizing& sizing, std::uint64_t blocks) {
  return static_cast<double>(sizing.remaining_blocks) > static_cast<double>(blocks) * sizing.workers;
}

}  // namespace parcompute::server
