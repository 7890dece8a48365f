// The loops by family: each finder answers null for what is another family's. loops.cc asks one after the other.
#pragma once

#include "worker/kernels/loops.h"

namespace parcompute {

Loop find_integer_loop(Op op, DType dtype);  // arithmetic and bits of integers and bool
Loop find_float_loop(Op op, DType dtype);    // arithmetic, rounding and classes of float32 and float64
Loop find_compare_loop(Op op, DType dtype);  // equal ... greater_equal, where, of all but complex; where of complex
Loop find_complex_loop(Op op, DType dtype);  // arithmetic without division, classes, comparison of complex
Loop find_math_loop(Op op, DType dtype);     // exp ... lgamma, power, hypot, arctan2 of float32 and float64
Loop find_complex_math_loop(Op op, DType dtype);  // exp ... power, absolute, sign, division of complex

}  // namespace parcompute
