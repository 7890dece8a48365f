// Which instruction sets the vector code is compiled for. Included before Highway's headers, once for each
// set by hwy/foreach_target.h, so it only speaks to the preprocessor.
//
// SCALAR: vectors of one lane, which the compiler may join to what every CPU of the architecture has (SSE2).
// Highway's other portable set, EMU128, is compiled wrongly by g++ before 12.3 (GCC bug 106322). SSSE3 alone
// gains nothing over SSE4 and SCALAR. Arrays of vectors, which the loops use, do not exist for SVE; such
// machines take NEON.
#pragma once

#define HWY_BROKEN_EMU128 1
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
