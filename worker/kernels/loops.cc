#include "worker/kernels/loops.h"

#include "worker/kernels/loops_families.h"

namespace parcompute {

Loop find_loop(Op op, DType dtype) {
  if ((info(op).kinds & kind_set(dtype)) == 0) return nullptr;
  constexpr Loop (*kFamilies[])(Op, DType) = {find_integer_loop, find_float_loop, find_compare_loop,
                                              find_complex_loop, find_math_loop,  find_complex_math_loop};
  for (const auto family : kFamilies)
    if (const Loop loop = family(op, dtype); loop != nullptr) return loop;
  return nullptr;
}

}  // namespace parcompute
