// Phase 0 of every job that needs it: giving its output and its scratch area pages of their own, before anything is
// computed, so that nobody meets SIGBUS later. It is the workers' work: it takes 0.1 to 0.5 s a GiB.
#pragma once

#include <cstdint>

#include "common/base/checked.h"

namespace parcompute {

// Up to here the coordinator reserves at once, in less time than a message to a worker takes.
inline constexpr std::uint64_t kInlineReserveBytes = 256 * 1024;

// One block of phase 0: a range of so many bytes. The output's blocks come first, then the scratch area's. The kernel lets
// one process at a time reserve pages of a segment, so that more workers make it no faster; small blocks let them take
// turns with other jobs.
inline constexpr std::uint64_t kReserveBlockBytes = 512 * 1024;
inline constexpr double kReserveBlockNs = 150e3;

struct ReserveBlocks {
  std::uint64_t output = 0, scratch = 0;
  constexpr std::uint64_t all() const { return output + scratch; }
};
constexpr ReserveBlocks reserve_blocks(std::uint64_t output_bytes, std::uint64_t scratch_bytes) {
  if (output_bytes <= kInlineReserveBytes && scratch_bytes <= kInlineReserveBytes) return {};
  return {ceil_div(output_bytes, kReserveBlockBytes), ceil_div(scratch_bytes, kReserveBlockBytes)};
}

}  // namespace parcompute
