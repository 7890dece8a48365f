// The exponential function of float64 for |x| < kExpLimit, within 0.9 ULP. Included by loops_math.cc for every instruction set.
//
// x = n ln 2 + r, |r| <= ln(2)/2: Cody and Waite's reduction with ln 2 in two parts (Software Manual for the Elementary
// Functions, 1980). With fused multiply-adds the first difference is exact, and the second rounds once: 2^-55 at most. Then
// exp(r) = 1 + r (1 + r P(r)), and the last step, fused, rounds what lies before it away but for 0.17 ULP. P's coefficients
// interpolate (exp(r) - 1 - r) / r^2 at Chebyshev's nodes (error below 2^-61 of the result); its even and its odd powers are
// chains of their own, so that neither waits for the other. Below the limit 2^n and the result are normal numbers.
#if defined(PARCOMPUTE_LOOPS_EXP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PARCOMPUTE_LOOPS_EXP_INL_H
#undef PARCOMPUTE_LOOPS_EXP_INL_H
#else
#define PARCOMPUTE_LOOPS_EXP_INL_H
#endif

#include "worker/kernels/loops_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

constexpr double kExpLimit = 708;

template <class O, class V = typename O::V>
HWY_INLINE V exponential(V x) {
  const V n_high = O::fma(x, O::set(0x1.71547652b82fep0), O::set(0x1.8p52));  // its last bits are n's
  const V n = O::sub(n_high, O::set(0x1.8p52));
  const V r = O::fnma(n, O::set(0x1.abc9e3b39803fp-56), O::fnma(n, O::set(0x1.62e42fefa39efp-1), x));

  const V z = O::mul(r, r);
  V even = O::set(0x1.1f730349868cep-29);
  even = O::fma(even, z, O::set(0x1.27e4db646b17ep-22));
  even = O::fma(even, z, O::set(0x1.a01a01a6d889cp-16));
  even = O::fma(even, z, O::set(0x1.6c16c16c162d4p-10));
  even = O::fma(even, z, O::set(0x1.5555555555556p-5));
  even = O::fma(even, z, O::set(0.5));
  V odd = O::set(0x1.af4de97ca4194p-26);
  odd = O::fma(odd, z, O::set(0x1.71de0231960ebp-19));
  odd = O::fma(odd, z, O::set(0x1.a01a01abe7fe1p-13));
  odd = O::fma(odd, z, O::set(0x1.11111111100dcp-7));
  odd = O::fma(odd, z, O::set(0x1.5555555555557p-3));
  const V p = O::fma(odd, r, even);
  return O::scale(O::fma(r, O::fma(r, p, O::set(1.0)), O::set(1.0)), n_high);
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#endif
