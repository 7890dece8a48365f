// Reductions of one block, by the instruction set in use, and the partial results that the blocks' tree is
// made of.
//
// How a float64 sum is defined: element i of a block goes to lane i % 16, in order. A lane is a pair (sum,
// error): each addition's rounding error is computed exactly (Knuth's TwoSum) and kept, so the pair carries
// about 106 bits. Lanes, then blocks, combine pairwise by index. Nothing in this depends on the width of the
// machine's vectors. float32 goes to 32 lanes of float64, rounded once at the end. Integers wrap; their order
// does not matter. min and max propagate NaN and order -0.0 before +0.0; theirs does not matter either.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/array/dtype.h"
#include "proto/descriptor.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

// As it lies in scratch memory. Integers: `high` as int64 or uint64. float32 sums: a float64 in `high`.
// float64 sums: the sum in `high`, its error in `low`. Float min and max: a float64 in `high`.
struct Partial {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend bool operator==(const Partial&, const Partial&) = default;
};

// Of `count` elements at `data`, at any alignment: one block, or nothing (sums alone).
Partial reduce_block(wire::Reduce::Operator op, DType dtype, const std::byte* data, std::size_t count);

// `left` covers the lower indices.
Partial combine(wire::Reduce::Operator op, DType dtype, const Partial& left, const Partial& right);

// One element of the result's dtype; the bytes after it are zero. A NaN is always the positive quiet one.
ScalarBytes finish(wire::Reduce::Operator op, DType dtype, const Partial& partial);

}  // namespace parcompute
