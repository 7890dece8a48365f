#include "server/core/chunk_sizing.h"

#include <algorithm>
#include <cmath>

#include "common/base/checked.h"
#include "proto/descriptor.h"

namespace parcompute::server {
namespace {

constexpr double kMessageNs = 20e3;  // a message to a worker and back, with all that the server does for it
// Of an automatic chunk: progress, cancelling, recovery and whoever comes next wait for no longer one; none is shorter while there are enough of
// them.
constexpr double kLongestNs = 2e6, kShortestNs = 100e3;
// What the server itself takes for a chunk, at most. Where very many workers compute theirs are longer, for it shall be idle half of the time; and
// whoever comes next waits no longer for that: with so many, some worker is done at any moment.
constexpr double kServerNs = 8e3;
constexpr double kPacketNs = 200e3;  // packets of short chunks are filled up to this
// If the blocks were even, a chunk would take at most 1 / (kShares * workers) of what is left. What is left may be dearer than what is done: a chunk
// that holds the dearest alone shall end before the others have done the rest, so where they are uneven shares are smaller by as much.
constexpr double kShares = 12;
constexpr double kUneven = 1.5, kMostUnevenness = 5;

double blocks_of(double ns, double block_ns) {
  return std::clamp(std::floor(ns / block_ns), 1.0, 0x1p48);
}

double known_unevenness(const ChunkSizing& sizing) {
  return std::clamp(sizing.unevenness.value_or(1), 1.0, kMostUnevenness);
}

double shortest_ns(const ChunkSizing& sizing) {
  return std::max(kShortestNs, kServerNs / 2 * sizing.workers);
}

double longest_ns(const ChunkSizing& sizing) {
  return sizing.unevenness ? std::max(kLongestNs, 2 * kServerNs * sizing.workers) : shortest_ns(sizing);
}

}  // namespace

std::uint64_t chunk_blocks(const ChunkSizing& sizing) {
  if (sizing.fixed_blocks > 0) return std::min(sizing.fixed_blocks, sizing.remaining_blocks);
  const double block_ns = std::max(sizing.block_ns, 1.0), remaining = static_cast<double>(sizing.remaining_blocks), workers = sizing.workers;
  const double known = known_unevenness(sizing);
  // Not worth a message to a second worker.
  if (remaining * block_ns * known <= kMessageNs) return sizing.remaining_blocks;
  const auto share = [&](double unevenness) { return remaining / (kShares * workers * unevenness); };
  const double wanted = std::min(share(known), blocks_of(longest_ns(sizing), block_ns));
  // A chunk is longer than its message where that leaves the others something to do: of even blocks half of what is left is enough.
  const double least = std::min(blocks_of(shortest_ns(sizing), block_ns), known > kUneven ? share(known) : remaining / (2 * workers));
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(std::max(std::floor(wanted), least))), 1, sizing.remaining_blocks);
}

std::uint64_t chunks_per_packet(const ChunkSizing& sizing, std::uint64_t blocks) {
  if (!sizing.unevenness) return 1;
  const double chunk_ns = std::max(sizing.block_ns, 1.0) * static_cast<double>(blocks);
  const auto filling = std::min(static_cast<std::uint64_t>(blocks_of(kPacketNs, chunk_ns)), std::uint64_t{kMaxChunksPerPacket});
  // Leave something for the others.
  const std::uint64_t share = ceil_div(sizing.remaining_blocks, 2 * sizing.workers * blocks);
  return std::max<std::uint64_t>(1, std::min(filling, share));
}

bool fits_behind(const ChunkSizing& sizing, std::uint64_t blocks, double ns_in_hand) {
  return ns_in_hand + std::max(sizing.block_ns, 1.0) * static_cast<double>(blocks) <= 2 * longest_ns(sizing);
}

bool leaves_enough(const ChunkSizing& sizing, std::uint64_t blocks) {
  return static_cast<double>(sizing.remaining_blocks) > static_cast<double>(blocks) * sizing.workers * known_unevenness(sizing);
}

}  // namespace parcompute::server
