// How operands are joined along an axis, as plan and kernel see it.
//
// The result is a stack of `rows` rows. Each row is a run of the first operand's elements, one of the second's, and
// so on; an operand's runs follow each other in its own C order. np.stack is the same of operands that have one more
// axis, of length 1. Elements of other dtypes are cast to the one that holds all of them, numpy.result_type's.
#pragma once

#include <cstdint>
#include <vector>

#include "common/operation/operation.h"

namespace parcompute {

struct Joining {
  ArraySpec output;
  std::vector<ArraySpec> operands;  // with the new axis, where there is one
  std::vector<std::uint64_t> runs;  // elements of each operand in one row
  std::uint64_t rows = 0;
  std::uint64_t row_elements = 0;
};
Result<Joining> join_operands(const wire::Concatenate& concatenate, std::span<const OperandInfo> inputs);

// concatenate: block b covers the bytes [b, b + 1) * kCopyBlockBytes of the output.

}  // namespace parcompute
