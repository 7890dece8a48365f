// Loops: one instruction over one strip of elements, by the instruction set in use.
//
// A strip is what fits the L1 cache beside its neighbours: some hundred to some thousand elements. Every element's result
// is a function of its operands' elements alone, with the same bits on every instruction set, at any alignment and for any
// strip length.
#pragma once

#include <cstddef>

#include "common/array/dtype.h"
#include "common/expression/op.h"

namespace parcompute {

// Operands are dense, or one element that stands for all (`is_single`). `out` may be one of the operands' addresses, and
// overlaps none of them otherwise.
struct Strip {
  const void* in[3] = {};
  bool is_single[3] = {};
  void* out = nullptr;
  std::size_t count = 0;
};

enum class LoopFault : unsigned char {
  kNone,
  kNegativePower,  // an integer to the power of a negative one; `out` is then undefined
};

using Loop = LoopFault (*)(const Strip& strip);

// For operands of `dtype` (of `where`: of the two values; the condition is in[0], bool). Null where op has no loop for it:
// exactly where info(op).kinds leaves the dtype's kind out.
Loop find_loop(Op op, DType dtype);

// Between any two dtypes, as NumPy's astype: floats towards zero, integers wrap, complex loses its imaginary part, bool is
// x != 0. A float outside an integer's range becomes what NumPy's becomes on x86-64.
Loop find_cast(DType from, DType to);

}  // namespace parcompute
