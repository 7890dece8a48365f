// Sine and cosine of float64 for |x| < kSineLimit, in two fifths of SLEEF's time and within 0.8 ULP (0.775 was the
// worst of 800000 against MPFR). Included by loops_math.cc for every instruction set.
//
// x = n pi/2 + r + r_low, |r| <= pi/4: Cody and Waite's reduction with pi/2 in three parts (Software Manual for the
// Elementary Functions, 1980). With fused multiply-adds the first difference is exact (a multiple of 2^-53 below 1),
// the second part's product and difference keep their rounding errors (Dekker, Knuth), and the third reaches beyond
// 2^-160: below the limit no double comes nearer to a multiple of pi/2 than about 2^-60. Then both series in r, of
// which n's parity chooses one. The coefficients interpolate sin and cos at Chebyshev's nodes (relative error below
// 2^-55).
//
#if defined(PARCOMPUTE_LOOPS_SINE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PARCOMPUTE_LOOPS_SINE_INL_H
#undef PARCOMPUTE_LOOPS_SINE_INL_H
#else
#define PARCOMPUTE_LOOPS_SINE_INL_H
#endif

#include <cstdint>

#include "worker/kernels/loops_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

constexpr double kSineLimit = 0x1p20;

// sin(x + kTurns pi/2).
template <class O, std::uint64_t kTurns, class V = typename O::V>
HWY_INLINE V sine(V x) {
  const V n_high = O::fma(x, O::set(0x1.45f306dc9c883p-1), O::set(0x1.8p52));  // its last bits are n's
  const V n = O::sub(n_high, O::set(0x1.8p52));

  const V first = O::fnma(n, O::set(0x1.921fb54442d18p0), x);
  const V part = O::mul(n, O::set(0x1.1a62633145c07p-54));
  const V part_error = O::fma(n, O::set(0x1.1a62633145c07p-54), O::sub(O::set(0.0), part));
  const V r = O::sub(first, part);
  const V moved = O::sub(r, first);
  const V r_error = O::sub(O::sub(first, O::sub(r, moved)), O::add(part, moved));
  const V r_low = O::fnma(n, O::set(-0x1.f1976b7ed8fbcp-110), O::sub(r_error, part_error));

  const V z = O::mul(r, r);
  // r + (z r S(z) + r_low (1 - z/2))
  V s = O::set(0x1.5e0b09aba9d7fp-33);
  s = O::fma(s, z, O::set(-0x1.ae600ad575592p-26));
  s = O::fma(s, z, O::set(0x1.71de37965ea29p-19));
  s = O::fma(s, z, O::set(-0x1.a01a019e83896p-13));
  s = O::fma(s, z, O::set(0x1.1111111110bb2p-7));
  s = O::fma(s, z, O::set(-0x1.5555555555555p-3));
  const V sin_low = O::fma(O::mul(z, r), s, O::fnma(O::mul(r_low, O::set(0.5)), z, r_low));
  const V sin_r = O::add(r, sin_low);

  // 1 - r^2/2 + (z z C(z) - r r_low), with the errors of the first difference and of the square
  V c = O::set(-0x1.907d9316a965fp-37);
  c = O::fma(c, z, O::set(0x1.1eeb68d2958ddp-29));
  c = O::fma(c, z, O::set(-0x1.27e4fa17c44e0p-22));
  c = O::fma(c, z, O::set(0x1.a01a019f4e9f4p-16));
  c = O::fma(c, z, O::set(-0x1.6c16c16c16967p-10));
  c = O::fma(c, z, O::set(0x1.5555555555555p-5));
  const V z_low = O::fma(r, r, O::sub(O::set(0.0), z));
  const V half = O::mul(z, O::set(0.5));
  const V high = O::sub(O::set(1.0), half);
  const V high_error = O::sub(O::sub(O::set(1.0), high), half);
  const V cos_low = O::fnma(r, r_low, O::fnma(z_low, O::set(0.5), O::fma(O::mul(z, z), c, high_error)));
  const V cos_r = O::add(high, cos_low);

  const V y = O::template choose<kTurns>(n_high, sin_r, cos_r);
  // x - x^3/6 rounds to x; and -0 stays.
  if constexpr (kTurns == 0) return O::tiny_or(x, 0x1p-27, y);
  return y;
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#endif
