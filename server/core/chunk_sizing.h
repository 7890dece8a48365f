// How many blocks go out together, and for how long: guided self-scheduling with a time target.
//
// Guided self-scheduling (Polychronopoulos and Kuck, 1987) hands out a share of what is left, so that chunks shrink towards the end and all
// workers finish together. The time target bounds a chunk from above (a tiny job that comes waits for the two packets that a worker holds at
// most; progress, cancelling and recovery stay fine) and from below (a message costs about 20 us: chunks are made no shorter than five times
// that while there is enough for everybody).
//
// How long blocks take is a guess at first, and of uneven ones it stays one. So a packet has a limit, too: the worker that is not done by then
// gives the rest back, which others may have.
#pragma once

#include <chrono>
#include <cstdint>

namespace parcompute::server {

struct ChunkSizing {
  std::uint64_t remaining_blocks = 0;  // that nobody has
  double block_ns = 0;                 // estimate of one block's time; 0: unknown
  unsigned workers = 1;                // that may take part
  std::uint64_t fixed_blocks = 0;      // the user's choice; 0: automatic
  bool was_cut = false;  // some of the remaining blocks were given back: the user's choice is only the most that goes out together
};

// At least 1, at most remaining_blocks (which is above 0).
std::uint64_t chunk_blocks(const ChunkSizing& sizing);

// How many chunks of `blocks` go into one packet: more than one only where a chunk is shorter than the message that
// carries it, so that short ones share a message.
std::uint64_t chunks_per_packet(const ChunkSizing& sizing, std::uint64_t blocks);

// How long a worker computes a packet before it gives back what is left of it.
std::chrono::microseconds packet_limit(unsigned workers);

// How long so many blocks will keep a worker: not for much longer than a packet's limit, but that no block is cut.
double expected_ns(double block_ns, std::uint64_t blocks, unsigned workers);

// Whether a worker that computes for so long already shall hold a chunk behind that: not where whoever comes next
// would have to wait for both.
bool fits_behind(const ChunkSizing& sizing, std::uint64_t blocks, double ns_in_hand);

// Whether there is something left for the others where a worker holds a second chunk. Towards the end there is not: an idle
// worker could have had it.
bool leaves_enough(const ChunkSizing& sizing, std::uint64_t blocks);

}  // namespace parcompute::server
