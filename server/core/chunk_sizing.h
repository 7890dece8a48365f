// How many blocks go out together: guided self-scheduling with a time target.
//
// Guided self-scheduling (Polychronopoulos and Kuck, 1987) hands out a share of what is left, a smaller one where blocks are
// uneven (after Lucco's tapering, 1992; here by the dearest blocks that were met, instead of their variance), so that chunks shrink
// towards the end and all workers finish together. The time target bounds a chunk from above (a tiny job that comes waits
// for the two chunks that a worker holds at most; progress, cancelling and recovery stay fine) and from below (a message costs about
// 20 us: chunks are made no shorter than five times that while there is enough for everybody). While a block's time is a guess, chunks are short: it may be wrong a hundred times over, and
// nobody gets a chunk back from a worker, be its job cancelled or somebody's else more urgent.
#pragma once

#include <cstdint>
#include <optional>

namespace parcompute::server {

struct ChunkSizing {
  std::uint64_t remaining_blocks = 0;  // that nobody has
  double block_ns = 0;                 // estimate of one block's time; 0: unknown
  unsigned workers = 1;                // that may take part
  std::uint64_t fixed_blocks = 0;      // the user's choice; 0: automatic
  std::optional<double> unevenness = 1;  // how many times as long as the mean the dearest blocks take; none: nothing was measured, block_ns is a guess
};

// At least 1, at most remaining_blocks (which is above 0).
std::uint64_t chunk_blocks(const ChunkSizing& sizing);

// How many chunks of `blocks` go into one packet: more than one only where a chunk is shorter than the message that
// carries it, so that short ones share a message.
std::uint64_t chunks_per_packet(const ChunkSizing& sizing, std::uint64_t blocks);

// Whether a worker that computes for so long already shall hold a chunk behind that: not where whoever comes next
// would have to wait for both.
bool fits_behind(const ChunkSizing& sizing, std::uint64_t blocks, double ns_in_hand);

// Whether there is something left for the others where a worker holds a second chunk. Towards the end there is not: an idle
// worker could have had it.
bool leaves_enough(const ChunkSizing& sizing, std::uint64_t blocks);

}  // namespace parcompute::server
