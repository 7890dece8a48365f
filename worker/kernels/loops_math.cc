// Functions of float32 and float64: SLEEF's deterministic family ("finz", made of fused multiply-adds), which gives the
// same bits for vectors of 8, 4, 2 and 1; N. Shibata and F. Petrogalli, "SLEEF: A Portable Vectorized Library of C
// Standard Mathematical Functions", IEEE TPDS 31 (2020). Every result is within 1 ULP of the exact value; where SLEEF's
// is not (guards_of() has the ranges), it is the C library's of long double, rounded: within 0.51 ULP, and one code for
// all CPUs. float64's sine, cosine and exp are our own (loops_sine-inl.h, loops_exp-inl.h), and SLEEF's far out.
//
// SLEEF's scalar functions of this family use FMA instructions as well. A CPU without them (x86 before 2013) takes the
// C library's long double everywhere: as exact, much slower, and not always the last bit of other machines.
#include <cmath>
#include <limits>

#include "worker/kernels/loops_families.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/loops_math.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "worker/kernels/loops_exp-inl.h"
#include "worker/kernels/loops_sine-inl.h"
#include "worker/kernels/loops_sleef-inl.h"
#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using namespace strips;

template <class F, class T, class... More>
T slow(T x, More... more) {
  return static_cast<T>(F::exact(static_cast<long double>(x), static_cast<long double>(more)...));
}

// The lanes of `result` where `which` is true are computed again.
template <class F, class T, class M, class... Arguments>
HWY_NOINLINE Vector<T> mended(M which, Vector<T> result, Arguments... arguments) {
  const Tag<T> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  HWY_ALIGN T lanes[kLanes], marks[kLanes], of[sizeof...(Arguments)][kLanes];
  hn::Store(result, d, lanes);
  hn::Store(hn::IfThenElseZero(which, hn::Set(d, T{1})), d, marks);
  std::size_t k = 0;
  (hn::Store(arguments, d, of[k++]), ...);
  for (std::size_t i = 0; i < kLanes; ++i) {
    if (marks[i] == 0) continue;
    if constexpr (sizeof...(Arguments) == 1)
      lanes[i] = slow<F>(of[0][i]);
    else
      lanes[i] = slow<F>(of[0][i], of[1][i]);
  }
  return hn::Load(d, lanes);
}

template <class T>
HWY_INLINE Vector<T> canonical(Vector<T> x) {
  return hn::IfThenElse(hn::IsNaN(x), hn::Set(Tag<T>(), std::numeric_limits<T>::quiet_NaN()), x);
}

// ---- float64's functions of our own, and SLEEF's far out ----

template <class F>
constexpr bool kIsSine = std::is_same_v<F, Sin> || std::is_same_v<F, Cos>;
template <class F, class T>
constexpr bool kIsOurs = sizeof(T) == 8 && (kIsSine<F> || std::is_same_v<F, Exp>);
template <class F>
constexpr double kNear = kIsSine<F> ? kSineLimit : kExpLimit;

template <class F, class O, class V = typename O::V>
HWY_INLINE V near(V x) {
  if constexpr (kIsSine<F>) return sine<O, std::is_same_v<F, Sin> ? 0 : 1>(x);
  else return exponential<O>(x);
}

#if PARCOMPUTE_SLEEF_VECTORS
template <class F>
HWY_INLINE Vector<double> near_of(Vector<double> x) {
  return near<F, Lanes>(x);
}
#else
#if HWY_ARCH_X86
// Clang inlines only what asks for no more than the caller has, and a function's own target is all that it has.
#ifdef HWY_TARGET_STR
#define PARCOMPUTE_TARGET_FMA HWY_TARGET_STR ",fma"
#else
#define PARCOMPUTE_TARGET_FMA "fma"
#endif
template <class F>
__attribute__((target(PARCOMPUTE_TARGET_FMA))) double near_with_fma(double x) {
  return near<F, OneLane>(x);
}
#undef PARCOMPUTE_TARGET_FMA
#else
template <class F>
double near_with_fma(double x) {
  return near<F, OneLane>(x);
}
#endif
template <class F>
HWY_INLINE Vector<double> near_of(Vector<double> v) {
  const double x = hn::GetLane(v);
  return hn::Set(Tag<double>(), has_fma() ? near_with_fma<F>(x) : near<F, OneLane>(x));
}
#endif

// y but for the lanes where x is far out, or NaN.
template <class F>
HWY_INLINE Vector<double> with_far(Vector<double> x, Vector<double> y) {
  const Tag<double> d;
  const auto far = hn::Not(hn::Lt(hn::Abs(x), hn::Set(d, kNear<F>)));
  if (HWY_LIKELY(hn::AllFalse(d, far))) return y;
  y = has_fma() ? hn::IfThenElse(far, from_raw<double>(F::quick(raw_of<double>(x))), y) : mended<F, double>(far, y, x);
  return canonical<double>(y);
}

// ---- one vector ----

template <class F, class T>
HWY_INLINE Vector<T> apply(Vector<T> x) {
  if constexpr (kIsOurs<F, T>) return with_far<F>(x, near_of<F>(x));
  const Tag<T> d;
  constexpr Guards<T> kGuards = guards_of<F, T>();
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  if (!has_fma()) return canonical<T>(hn::Set(d, slow<F>(hn::GetLane(x))));
  Vector<T> y = from_raw<T>(F::quick(raw_of<T>(x)));
  if constexpr (kGuards.tiny > 0) y = hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, kGuards.tiny)), x, y);
  if constexpr (kGuards.small > 0 || kGuards.low > -kInfinity || kGuards.high < kInfinity) {
    auto which = hn::Gt(x, hn::Set(d, kGuards.high));
    if constexpr (kGuards.low > -kInfinity) which = hn::Or(which, hn::Lt(x, hn::Set(d, kGuards.low)));
    if constexpr (kGuards.small > 0) which = hn::Or(which, hn::Lt(hn::Abs(x), hn::Set(d, kGuards.small)));
    if (HWY_UNLIKELY(!hn::AllFalse(d, which))) y = mended<F, T>(which, y, x);
  }
  return canonical<T>(y);
}

template <class F, class T>
HWY_INLINE Vector<T> apply(Vector<T> x, Vector<T> y) {
  const Tag<T> d;
  if (!has_fma()) return canonical<T>(hn::Set(d, slow<F>(hn::GetLane(x), hn::GetLane(y))));
  Vector<T> z = from_raw<T>(F::quick(raw_of<T>(x), raw_of<T>(y)));
  if constexpr (std::is_same_v<F, Power>) {
    // SLEEF's power becomes infinite a little too early.
    constexpr T kMost = sizeof(T) == 8 ? T(1.79e308) : T(3.4e38F);
    const auto which = hn::Gt(hn::Abs(z), hn::Set(d, kMost));
    if (HWY_UNLIKELY(!hn::AllFalse(d, which))) z = mended<F, T>(which, z, x, y);
  }
  return canonical<T>(z);
}

// ---- strips ----

template <class T>
HWY_INLINE Vector<T> load_vector(const void* base, std::size_t i) {
  if constexpr (hn::MaxLanes(Tag<T>()) == 1)
    return hn::Set(Tag<T>(), load<T>(base, i));
  else
    return hn::LoadU(Tag<T>(), reinterpret_cast<const T*>(static_cast<const std::byte*>(base) + i * sizeof(T)));
}
template <class T>
HWY_INLINE void store_vector(Vector<T> x, void* base, std::size_t i) {
  if constexpr (hn::MaxLanes(Tag<T>()) == 1)
    store<T>(base, i, hn::GetLane(x));
  else
    hn::StoreU(x, Tag<T>(), reinterpret_cast<T*>(static_cast<std::byte*>(base) + i * sizeof(T)));
}

// Fewer elements than a vector has, in ordinary company.
template <class T>
struct LastVector {
  static constexpr std::size_t kLanes = hn::MaxLanes(Tag<T>());
  HWY_ALIGN T lanes[kLanes];

  HWY_INLINE LastVector(const void* base, std::size_t first, std::size_t count) {
    for (T& lane : lanes) lane = T{1};
    std::memcpy(lanes, static_cast<const std::byte*>(base) + first * sizeof(T), count * sizeof(T));
  }
  HWY_INLINE Vector<T> vector() const { return hn::Load(Tag<T>(), lanes); }
};

template <class T>
HWY_INLINE void store_last(Vector<T> x, void* base, std::size_t first, std::size_t count) {
  HWY_ALIGN T lanes[hn::MaxLanes(Tag<T>())];
  hn::Store(x, Tag<T>(), lanes);
  std::memcpy(static_cast<std::byte*>(base) + first * sizeof(T), lanes, count * sizeof(T));
}

template <class T, class F>
LoopFault unary_math(const Strip& strip) {
  constexpr std::size_t kLanes = hn::MaxLanes(Tag<T>());
  if (strip.count == 0) return LoopFault::kNone;
  const std::size_t count = strip.is_single[0] ? 1 : strip.count;
  std::size_t i = 0;
#if PARCOMPUTE_SLEEF_VECTORS
  if constexpr (kIsOurs<F, T>) {
    using Pairs = LanePairs<Lanes>;
    for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
      const Pairs::V x{load_vector<T>(strip.in[0], i), load_vector<T>(strip.in[0], i + kLanes)};
      const Pairs::V y = near<F, Pairs>(x);
      store_vector<T>(with_far<F>(x.first, y.first), strip.out, i);
      store_vector<T>(with_far<F>(x.second, y.second), strip.out, i + kLanes);
    }
  }
#endif
  for (; i + kLanes <= count; i += kLanes) store_vector<T>(apply<F, T>(load_vector<T>(strip.in[0], i)), strip.out, i);
  if (i < count) store_last<T>(apply<F, T>(LastVector<T>(strip.in[0], i, count - i).vector()), strip.out, i, count - i);
  if (strip.is_single[0]) fill_with_first<T>(strip);
  return LoopFault::kNone;
}

template <class T, class F>
LoopFault binary_math(const Strip& strip) {
  return in_dense_parts<T, T>(strip, [](const void* a, const void* b, void* out, std::size_t count) {
    constexpr std::size_t kLanes = hn::MaxLanes(Tag<T>());
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes)
      store_vector<T>(apply<F, T>(load_vector<T>(a, i), load_vector<T>(b, i)), out, i);
    if (i < count)
      store_last<T>(apply<F, T>(LastVector<T>(a, i, count - i).vector(), LastVector<T>(b, i, count - i).vector()), out,
                    i, count - i);
    return LoopFault::kNone;
  });
}

template <class T>
Loop math_loop(Op op) {
  switch (op) {
    case Op::kCbrt: return unary_math<T, Cbrt>;
    case Op::kExp: return unary_math<T, Exp>;
    case Op::kExpm1: return unary_math<T, Expm1>;
    case Op::kExp2: return unary_math<T, Exp2>;
    case Op::kLog: return unary_math<T, Log>;
    case Op::kLog1p: return unary_math<T, Log1p>;
    case Op::kLog2: return unary_math<T, Log2>;
    case Op::kLog10: return unary_math<T, Log10>;
    case Op::kSin: return unary_math<T, Sin>;
    case Op::kCos: return unary_math<T, Cos>;
    case Op::kTan: return unary_math<T, Tan>;
    case Op::kArcsin: return unary_math<T, Arcsin>;
    case Op::kArccos: return unary_math<T, Arccos>;
    case Op::kArctan: return unary_math<T, Arctan>;
    case Op::kSinh: return unary_math<T, Sinh>;
    case Op::kCosh: return unary_math<T, Cosh>;
    case Op::kTanh: return unary_math<T, Tanh>;
    case Op::kArcsinh: return unary_math<T, Arcsinh>;
    case Op::kArccosh: return unary_math<T, Arccosh>;
    case Op::kArctanh: return unary_math<T, Arctanh>;
    case Op::kErf: return unary_math<T, Erf>;
    case Op::kGamma: return unary_math<T, Gamma>;
    case Op::kLgamma: return unary_math<T, Lgamma>;
    case Op::kPower: return binary_math<T, Power>;
    case Op::kHypot: return binary_math<T, Hypot>;
    case Op::kArctan2: return binary_math<T, Arctan2>;
    default: return nullptr;
  }
}

Loop math_loop_of(Op op, DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return math_loop<float>(op);
    case DType::kFloat64: return math_loop<double>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(math_loop_of);
}

Loop find_math_loop(Op op, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(math_loop_of)(op, dtype);
}

}  // namespace parcompute
#endif  // HWY_ONCE
