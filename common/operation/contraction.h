// Contraction: what matmul, dot and vecdot have in common, a stack of matrix products over strided memory.
//
// Every product of the stack is m x k by k x n. Vectors are matrices of one row or column; a dimension that an operand
// lacks has length 1 and stride 0; a sum over the last axes of two N-d arrays is a stack whose products write rows apart
// from each other. What can be one large product becomes one: a stack by one matrix is one tall matrix by it.
#pragma once

#include <cstdint>

#include "common/operation/plans.h"

namespace parcompute {

struct Contraction {
  DType dtype = DType::kFloat64;  // of the result; operands of another one are converted on the way
  Dims shape;                     // of the result
  Dims stack;                     // axes of the stack, none of them 1, outermost first
  Dims a_stack, b_stack;          // their strides, bytes
  Dims c_stack;                   // and in the result, elements
  std::int64_t m = 1, k = 1, n = 1;
  std::int64_t a_row = 0, a_column = 0;  // bytes: from row to row, from column to column
  std::int64_t b_row = 0, b_column = 0;
  std::int64_t c_row = 0;                // elements; columns are adjacent
  // Row r of a meets a matrix of its own, r * b_by_row bytes further on (vecdot; n is 1).
  std::int64_t b_by_row = 0;
  bool conjugates = false;  // a
  bool is_swapped = false;  // "a" above is the second operand: products with one row are turned to have one column

  std::uint64_t batch() const {
    std::uint64_t count = 1;
    for (const std::int64_t length : stack) count *= static_cast<std::uint64_t>(length);
    return count;
  }
};

// For matmul, dot of operands that both have dimensions, and vecdot: NumPy's rules, or what does not match.
Result<Contraction> contract(const wire::Operation& operation, Operands inputs);

}  // namespace parcompute
