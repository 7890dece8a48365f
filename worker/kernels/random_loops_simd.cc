// The normal quantile is Wichura's AS 241 (PPND16, Applied Statistics 37, 1988): one rational function of q^2 where
// |q| = |1/2 - p| <= 0.425, which most numbers need, and two others of sqrt(-log p) in the tails. A strip is gone
// through twice: the middle for everyone, then the tails' numbers, packed together.
//
// Nothing is fused, and logarithms are made here from arithmetic, since the machine's libraries differ between CPUs.
#include "worker/kernels/random_loops.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/random_loops_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#ifndef PARCOMPUTE_RANDOM_CONSTANTS
#define PARCOMPUTE_RANDOM_CONSTANTS
namespace parcompute::quantile {

// Wichura's coefficients, of the powers 0 to 7.
using Coefficients = std::array<double, 8>;
constexpr Coefficients kMiddleAbove{3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                    1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                    3.3430575583588128105e+4, 2.5090809287301226727e+3};
constexpr Coefficients kMiddleBelow{1.0,
                                    4.2313330701600911252e+1,
                                    6.8718700749205790830e+2,
                                    5.3941960214247511077e+3,
                                    2.1213794301586595867e+4,
                                    3.9307895800092710610e+4,
                                    2.8729085735721942674e+4,
                                    5.2264952788528545610e+3};
constexpr Coefficients kTailAbove{1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                  3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                  2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr Coefficients kTailBelow{1.0,
                                  2.05319162663775882187e0,
                                  1.67638483018380384940e0,
                                  6.89767334985100004550e-1,
                                  1.48103976427480074590e-1,
                                  1.51986665636164571966e-2,
                                  5.47593808499534494600e-4,
                                  1.05075007164441684324e-9};
constexpr Coefficients kFarAbove{6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                 2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                 2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr Coefficients kFarBelow{1.0,
                                 5.99832206555887937690e-1,
                                 1.36929880922735805310e-1,
                                 1.48753612908506148525e-2,
                                 7.86869131145613259100e-4,
                                 1.84631831751005468180e-5,
                                 1.42151175831644588870e-7,
                                 2.04426310338993978564e-15};
constexpr double kMiddle = 0.425;           // |q| up to which the first one holds
constexpr double kMiddleSquare = 0.180625;  // kMiddle^2
constexpr double kTailCentre = 1.6;
constexpr double kFar = 5;  // sqrt(-log p) from which the third one holds

// log 2 in two parts; the first has 32 bits, so that its products with exponents are exact.
constexpr double kLog2High = 0x1.62e42feep-1, kLog2Low = 0x1.a39ef35793c76p-33;
constexpr double kSqrtHalf = 0x1.6a09e667f3bcdp-1;

}  // namespace parcompute::quantile
#endif

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<double, 8>;
using DU = hn::RebindToUnsigned<D>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VU = hn::Vec<DU>;
constexpr std::size_t kLanes = hn::MaxLanes(D());

HWY_INLINE V set(double x) {
  return hn::Set(D(), x);
}
// Of numbers below 2^63.
HWY_INLINE V to_double(VU x) {
  return hn::ConvertTo(D(), hn::BitCast(DI(), x));
}

HWY_INLINE V polynomial(const quantile::Coefficients& coefficients, V x) {
  V sum = set(coefficients[7]);
  for (std::size_t power = 7; power-- > 0;) sum = hn::Add(hn::Mul(sum, x), set(coefficients[power]));
  return sum;
}

// log(1 + f) = 2 artanh(f / (2 + f)), for 1 + f between sqrt(1/2) and sqrt(2): the series, to the last term that
// counts.
HWY_INLINE V log_near_one(V f, V& correction) {
  const V s = hn::Div(f, hn::Add(set(2), f));
  const V square = hn::Mul(s, s);
  V sum = set(2.0 / 23);
  for (int term = 21; term >= 3; term -= 2) sum = hn::Add(hn::Mul(sum, square), set(2.0 / term));
  // 2 s = f - s f: the leading part is exact, the rest small.
  const V rest = hn::Mul(square, sum);
  correction = hn::Mul(s, hn::Sub(rest, f));
  return f;
}

// log(x) of normal positive numbers.
HWY_INLINE V logarithm(V x) {
  const D d;
  const DU du;
  // The exponent that leaves a mantissa between sqrt(1/2) and sqrt(2).
  const VU bits = hn::BitCast(du, x);
  const VU shifted = hn::Add(bits, hn::Set(du, std::uint64_t{0x3ff0000000000000} - 0x3fe6a09e667f3bcd));
  const V exponent = hn::Sub(to_double(hn::ShiftRight<52>(shifted)), set(1023));
  const VU mantissa = hn::Add(hn::And(shifted, hn::Set(du, std::uint64_t{0x000fffffffffffff})),
                              hn::Set(du, std::uint64_t{0x3fe6a09e667f3bcd}));
  V correction;
  const V main = log_near_one(hn::Sub(hn::BitCast(d, mantissa), set(1)), correction);
  const V low = hn::Add(correction, hn::Mul(exponent, set(quantile::kLog2Low)));
  return hn::Add(hn::Mul(exponent, set(quantile::kLog2High)), hn::Add(main, low));
}

// ---- uniform ----

template <bool kStream>
void scale_words(const std::uint64_t* words, std::size_t count, double low, double range, double* out) {
  const D d;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const V u = hn::Mul(to_double(hn::ShiftRight<11>(hn::LoadU(DU(), words + i))), set(0x1p-53));
    const V x = hn::Add(set(low), hn::Mul(set(range), u));
    if constexpr (kStream)
      hn::Stream(x, d, out + i);
    else
      hn::StoreU(x, d, out + i);
  }
  for (; i < count; ++i) out[i] = low + range * (static_cast<double>(words[i] >> 11) * 0x1p-53);
}

void write_uniform_float64(const std::uint64_t* words, std::size_t count, double low, double range, bool stream,
                           double* out) {
  if (stream && reinterpret_cast<std::uintptr_t>(out) % sizeof(V) == 0) {
    scale_words<true>(words, count, low, range, out);
    hwy::FlushStream();
  } else {
    scale_words<false>(words, count, low, range, out);
  }
}

void write_uniform_float32(const std::uint64_t* words, std::size_t count, float low, float range, float* out) {
  // The compiler makes vectors of this. A little-endian machine has the low halves first.
  static_assert(std::endian::native == std::endian::little);
  const auto* halves = reinterpret_cast<const std::byte*>(words);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t half;
    std::memcpy(&half, halves + i * sizeof half, sizeof half);
    const float u = static_cast<float>(static_cast<std::int32_t>(half >> 8)) * 0x1p-24F;
    out[i] = low + range * u;
  }
}

// ---- normal ----

// sqrt(-log p) for p in the tails, and from it the quantile, positive.
HWY_INLINE V tail_quantile(V p) {
  const D d;
  const V r = hn::Sqrt(hn::Neg(logarithm(p)));
  const V x = hn::Sub(r, set(quantile::kTailCentre));
  V z = hn::Div(polynomial(quantile::kTailAbove, x), polynomial(quantile::kTailBelow, x));
  const auto far = hn::Gt(r, set(quantile::kFar));
  if (HWY_UNLIKELY(!hn::AllFalse(d, far))) {
    const V y = hn::Sub(r, set(quantile::kFar));
    z = hn::IfThenElse(far, hn::Div(polynomial(quantile::kFarAbove, y), polynomial(quantile::kFarBelow, y)), z);
  }
  return z;
}

// One strip at most. Rooms are a vector larger, since vectors go over the end.
void write_normal(const std::uint64_t* words, std::size_t count, double* out) {
  const D d;
  const DU du;
  alignas(64) double probabilities[kRandomStrip + kLanes];
  alignas(64) double signs[kRandomStrip + kLanes];  // +0 or -0
  std::uint16_t places[kRandomStrip + kLanes];
  std::size_t tails = 0;

  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t lanes = std::min(kLanes, count - i);
    alignas(64) std::uint64_t last[kLanes] = {};
    if (lanes < kLanes) std::memcpy(last, words + i, lanes * sizeof(std::uint64_t));
    const VU word = hn::LoadU(du, lanes < kLanes ? last : words + i);
    const V sign = hn::BitCast(d, hn::And(word, hn::Set(du, std::uint64_t{1} << 63)));
    const V m = to_double(hn::And(word, hn::Set(du, ~std::uint64_t{0} >> 1)));
    const V p = hn::Mul(hn::Add(m, set(0.5)), set(0x1p-64));
    const V q = hn::Sub(set(0.5), p);
    const V r = hn::Sub(set(quantile::kMiddleSquare), hn::Mul(q, q));
    const V z = hn::Div(hn::Mul(q, polynomial(quantile::kMiddleAbove, r)), polynomial(quantile::kMiddleBelow, r));
    const V signed_z = hn::Xor(z, sign);
    if (lanes == kLanes) {
      hn::StoreU(signed_z, d, out + i);
    } else {
      alignas(64) double room[kLanes];
      hn::Store(signed_z, d, room);
      std::memcpy(out + i, room, lanes * sizeof(double));
    }
    const auto in_tail = hn::Gt(q, set(quantile::kMiddle));
    if (hn::AllFalse(d, in_tail)) continue;
    alignas(64) double p_lanes[kLanes], sign_lanes[kLanes], q_lanes[kLanes];
    hn::Store(p, d, p_lanes);
    hn::Store(sign, d, sign_lanes);
    hn::Store(q, d, q_lanes);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      probabilities[tails] = p_lanes[lane];
      signs[tails] = sign_lanes[lane];
      places[tails] = static_cast<std::uint16_t>(i + lane);
      tails += q_lanes[lane] > quantile::kMiddle;
    }
  }

  for (std::size_t lane = 0; lane < kLanes; ++lane) probabilities[tails + lane] = 0.0625;
  for (std::size_t i = 0; i < tails; i += kLanes) {
    const V z = hn::Xor(tail_quantile(hn::Load(d, probabilities + i)), hn::LoadU(d, signs + i));
    alignas(64) double room[kLanes];
    hn::Store(z, d, room);
    for (std::size_t lane = 0; lane < std::min(kLanes, tails - i); ++lane) out[places[i + lane]] = room[lane];
  }
}

// ---- exponential ----

void write_exponential(const std::uint64_t* words, std::size_t count, double* out) {
  const D d;
  const DU du;
  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t lanes = std::min(kLanes, count - i);
    alignas(64) std::uint64_t last[kLanes] = {};
    if (lanes < kLanes) std::memcpy(last, words + i, lanes * sizeof(std::uint64_t));
    const VU word = hn::LoadU(du, lanes < kLanes ? last : words + i);
    // Words above the middle are seen from 1: 1 - p is exact to its last bit there, as p is below.
    const VU top = hn::BitCast(du, hn::BroadcastSignBit(hn::BitCast(DI(), word)));
    const V near = hn::Mul(hn::Add(to_double(hn::Xor(word, top)), set(0.5)), set(0x1p-64));
    const auto is_upper = hn::MaskFromVec(hn::BitCast(d, top));
    const V p = hn::IfThenElse(is_upper, hn::Sub(set(1), near), near);
    const auto is_near_one = hn::And(is_upper, hn::Gt(p, set(quantile::kSqrtHalf)));
    V correction;
    const V main = log_near_one(hn::Neg(hn::IfThenElse(is_near_one, near, hn::Zero(d))), correction);
    const V log_p = hn::IfThenElse(is_near_one, hn::Add(main, correction), logarithm(p));
    const V x = hn::Neg(log_p);
    if (lanes == kLanes) {
      hn::StoreU(x, d, out + i);
    } else {
      alignas(64) double room[kLanes];
      hn::Store(x, d, room);
      std::memcpy(out + i, room, lanes * sizeof(double));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {

HWY_EXPORT(write_uniform_float64);
HWY_EXPORT(write_uniform_float32);
HWY_EXPORT(write_normal);
HWY_EXPORT(write_exponential);

}  // namespace

void uniform_float64(const std::uint64_t* words, std::size_t count, double low, double range, bool stream,
                     double* out) {
  HWY_DYNAMIC_DISPATCH(write_uniform_float64)(words, count, low, range, stream, out);
}
void uniform_float32(const std::uint64_t* words, std::size_t count, float low, float range, float* out) {
  HWY_DYNAMIC_DISPATCH(write_uniform_float32)(words, count, low, range, out);
}
void normal_quantiles(const std::uint64_t* words, std::size_t count, double* out) {
  HWY_DYNAMIC_DISPATCH(write_normal)(words, count, out);
}
void exponential_quantiles(const std::uint64_t* words, std::size_t count, double* out) {
  HWY_DYNAMIC_DISPATCH(write_exponential)(words, count, out);
}

}  // namespace parcompute
#endif  // HWY_ONCE
