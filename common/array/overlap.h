// Overlap: whether two views of the same memory have a byte in common.
//
// Exact: an address of one view equals one of the other where a sum of strides times indices, each within its dimension, has
// a given value. Bounds and the strides' greatest common divisor decide nearly all pairs; what is left is searched, dimension by
// dimension from the largest stride down, with the same two tests at each step (the method is that of NumPy's solve_may_share_memory;
// the problem is NP-complete in the number of dimensions). Views of arrays nest, so that few steps are enough.
#pragma once

#include <cstdint>

#include "common/array/array_spec.h"

namespace parcompute {

// The bytes between a view's first and last, its offset counted from the memory's beginning. An empty view has none.
struct ByteRange {
  std::uint64_t begin = 0, end = 0;
  bool meets(const ByteRange& other) const { return begin < other.end && other.begin < end; }
};
// Of a checked spec.
ByteRange byte_range(const ArraySpec& view);

inline constexpr std::uint64_t kOverlapSteps = 1000;

// For checked specs. Where that is not decided after so many steps: true.
bool may_overlap(const ArraySpec& a, const ArraySpec& b, std::uint64_t most_steps = kOverlapSteps);

}  // namespace parcompute
