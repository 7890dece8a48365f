// The square root of float64 on AVX-512, correctly rounded, at half the time of the divider's: 24 cycles a vector there
// (Intel's server cores), and two threads of one core share it. Included by loops_float.cc.
//
// R. E. Goldschmidt's iteration for g = sqrt(x) and h = 1 / (2 sqrt(x)) from the CPU's estimate (14 bits), and at the end
// P. Markstein's correction (Computation of elementary functions on the IBM RISC System/6000 processor, IBM J. Res. Dev. 34,
// 1990): g + h (x - g g), every step fused. Before it g is within 0.94 units in the last place: 0.44 of the estimate's error
// twice squared, (3/2) ((3/2) 2^-28)^2, and 0.5 of rounding. h is right to 2^-52, so the sum lies within 2^-52 units of the
// root when it is rounded. A root can lie that near to the middle of two numbers only where x 2^106 differs from an odd square
// by less than 16, and those x are few: loops_math_test finds them all, by roots modulo powers of two, and tries each.
#if defined(PARCOMPUTE_LOOPS_SQRT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PARCOMPUTE_LOOPS_SQRT_INL_H
#undef PARCOMPUTE_LOOPS_SQRT_INL_H
#else
#define PARCOMPUTE_LOOPS_SQRT_INL_H
#endif

#include "worker/kernels/loops_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

// For x from 2^-900 to 2^1000, where no step leaves the normal numbers.
HWY_INLINE Lanes::V square_root_near(Lanes::V x) {
  using O = Lanes;
  const O::V half = O::set(0.5);
  const O::V estimate = O::V{_mm512_rsqrt14_pd(x.raw)};
  O::V g = O::mul(x, estimate), h = O::mul(estimate, half);
  for (int step = 0; step < 2; ++step) {
    const O::V rest = O::fnma(g, h, half);
    g = O::fma(g, rest, g);
    h = O::fma(h, rest, h);
  }
  return O::fma(O::fnma(g, g, x), h, g);
}

// Two vectors at once, unless one of their numbers is out of that range: then nothing is written, and the answer is false.
HWY_INLINE bool square_roots_near(const void* in, void* out) {
  namespace hn = hwy::HWY_NAMESPACE;
  const Lanes::D d;
  const Lanes::Du du;
  const auto* from = static_cast<const double*>(in);
  auto* to = static_cast<double*>(out);
  const Lanes::V a = hn::LoadU(d, from), b = hn::LoadU(d, from + hn::Lanes(d));

  // As unsigned numbers, negative ones and NaN lie above the range, too.
  constexpr std::uint64_t kLow = std::uint64_t{1023 - 900} << 52, kHigh = std::uint64_t{1023 + 1000} << 52;
  const auto above_low = [&](Lanes::V x) { return hn::Sub(hn::BitCast(du, x), hn::Set(du, kLow)); };
  const auto highest = hn::Max(above_low(a), above_low(b));
  if (!hn::AllTrue(du, hn::Lt(highest, hn::Set(du, kHigh - kLow)))) return false;

  hn::StoreU(square_root_near(a), d, to);
  hn::StoreU(square_root_near(b), d, to + hn::Lanes(d));
  return true;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#endif
