// SLEEF's functions as types, one for each op, and where they need help. Included by loops_math.cc for every
// instruction set.
#if defined(PARCOMPUTE_LOOPS_SLEEF_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PARCOMPUTE_LOOPS_SLEEF_INL_H
#undef PARCOMPUTE_LOOPS_SLEEF_INL_H
#else
#define PARCOMPUTE_LOOPS_SLEEF_INL_H
#endif

#include <cmath>
#include <limits>
#include <type_traits>

// SLEEF's names carry the vector type and the instruction set. sleef.h declares only the sets that the whole
// file is compiled for, so that the functions are declared here.
#undef PARCOMPUTE_SLEEF
#undef PARCOMPUTE_SLEEFF
#undef PARCOMPUTE_SLEEF_VECTORS
#if HWY_TARGET == HWY_AVX3
#define PARCOMPUTE_SLEEF(name, ulp) Sleef_finz_##name##d8_##ulp##avx512f
#define PARCOMPUTE_SLEEFF(name, ulp) Sleef_finz_##name##f16_##ulp##avx512f
#define PARCOMPUTE_SLEEF_VECTORS 1
#elif HWY_TARGET == HWY_AVX2
#define PARCOMPUTE_SLEEF(name, ulp) Sleef_finz_##name##d4_##ulp##avx2
#define PARCOMPUTE_SLEEFF(name, ulp) Sleef_finz_##name##f8_##ulp##avx2
#define PARCOMPUTE_SLEEF_VECTORS 1
#elif HWY_TARGET == HWY_NEON
#define PARCOMPUTE_SLEEF(name, ulp) Sleef_finz_##name##d2_##ulp##advsimd
#define PARCOMPUTE_SLEEFF(name, ulp) Sleef_finz_##name##f4_##ulp##advsimd
#define PARCOMPUTE_SLEEF_VECTORS 1
#else
#define PARCOMPUTE_SLEEF(name, ulp) Sleef_finz_##name##d1_##ulp##purecfma
#define PARCOMPUTE_SLEEFF(name, ulp) Sleef_finz_##name##f1_##ulp##purecfma
#define PARCOMPUTE_SLEEF_VECTORS 0
#endif

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if PARCOMPUTE_SLEEF_VECTORS
template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Raw = decltype(hn::Vec<Tag<T>>::raw);
#else
template <class T>
using Tag = hn::CappedTag<T, 1>;
template <class T>
using Raw = T;
#endif

template <class T>
using Vector = hn::Vec<Tag<T>>;

template <class T>
HWY_INLINE Raw<T> raw_of(Vector<T> x) {
#if PARCOMPUTE_SLEEF_VECTORS
  return x.raw;
#else
  return hn::GetLane(x);
#endif
}
template <class T>
HWY_INLINE Vector<T> from_raw(Raw<T> x) {
#if PARCOMPUTE_SLEEF_VECTORS
  return Vector<T>{x};
#else
  return hn::Set(Tag<T>(), x);
#endif
}

#if HWY_ARCH_X86 && !PARCOMPUTE_SLEEF_VECTORS
bool has_fma() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}
#else
constexpr bool has_fma() {
  return true;
}
#endif

// ---- the functions: SLEEF's for float32 and float64, and the C library's for long double ----

#define PARCOMPUTE_FUNCTION(Name, sleef, ulp, c_name)                                              \
  extern "C" Raw<double> PARCOMPUTE_SLEEF(sleef, ulp)(Raw<double>);                                \
  extern "C" Raw<float> PARCOMPUTE_SLEEFF(sleef, ulp)(Raw<float>);                                 \
  struct Name {                                                                                    \
    static HWY_INLINE Raw<double> quick(Raw<double> x) { return PARCOMPUTE_SLEEF(sleef, ulp)(x); } \
    static HWY_INLINE Raw<float> quick(Raw<float> x) { return PARCOMPUTE_SLEEFF(sleef, ulp)(x); }  \
    static long double exact(long double x) { return c_name(x); }                                  \
  };
#define PARCOMPUTE_FUNCTION_OF_TWO(Name, sleef, ulp, c_name)                                                         \
  extern "C" Raw<double> PARCOMPUTE_SLEEF(sleef, ulp)(Raw<double>, Raw<double>);                                     \
  extern "C" Raw<float> PARCOMPUTE_SLEEFF(sleef, ulp)(Raw<float>, Raw<float>);                                       \
  struct Name {                                                                                                      \
    static HWY_INLINE Raw<double> quick(Raw<double> x, Raw<double> y) { return PARCOMPUTE_SLEEF(sleef, ulp)(x, y); } \
    static HWY_INLINE Raw<float> quick(Raw<float> x, Raw<float> y) { return PARCOMPUTE_SLEEFF(sleef, ulp)(x, y); }   \
    static long double exact(long double x, long double y) { return c_name(x, y); }                                  \
  };

// lgamma() itself writes the sign to a global.
inline long double log_gamma(long double x) {
  int sign;
  return ::lgammal_r(x, &sign);
}

PARCOMPUTE_FUNCTION(Cbrt, cbrt, u10, std::cbrt)
PARCOMPUTE_FUNCTION(Exp, exp, u10, std::exp)
PARCOMPUTE_FUNCTION(Expm1, expm1, u10, std::expm1)
PARCOMPUTE_FUNCTION(Exp2, exp2, u10, std::exp2)
PARCOMPUTE_FUNCTION(Log, log, u10, std::log)
PARCOMPUTE_FUNCTION(Log1p, log1p, u10, std::log1p)
PARCOMPUTE_FUNCTION(Log2, log2, u10, std::log2)
PARCOMPUTE_FUNCTION(Log10, log10, u10, std::log10)
PARCOMPUTE_FUNCTION(Sin, sin, u10, std::sin)
PARCOMPUTE_FUNCTION(Cos, cos, u10, std::cos)
PARCOMPUTE_FUNCTION(Tan, tan, u10, std::tan)
PARCOMPUTE_FUNCTION(Arcsin, asin, u10, std::asin)
PARCOMPUTE_FUNCTION(Arccos, acos, u10, std::acos)
PARCOMPUTE_FUNCTION(Arctan, atan, u10, std::atan)
PARCOMPUTE_FUNCTION(Sinh, sinh, u10, std::sinh)
PARCOMPUTE_FUNCTION(Cosh, cosh, u10, std::cosh)
PARCOMPUTE_FUNCTION(Tanh, tanh, u10, std::tanh)
PARCOMPUTE_FUNCTION(Arcsinh, asinh, u10, std::asinh)
PARCOMPUTE_FUNCTION(Arccosh, acosh, u10, std::acosh)
PARCOMPUTE_FUNCTION(Arctanh, atanh, u10, std::atanh)
PARCOMPUTE_FUNCTION(Erf, erf, u10, std::erf)
PARCOMPUTE_FUNCTION(Gamma, tgamma, u10, std::tgamma)
PARCOMPUTE_FUNCTION(Lgamma, lgamma, u10, log_gamma)
PARCOMPUTE_FUNCTION_OF_TWO(Power, pow, u10, std::pow)
PARCOMPUTE_FUNCTION_OF_TWO(Arctan2, atan2, u10, std::atan2)
PARCOMPUTE_FUNCTION_OF_TWO(Hypot, hypot, u05, std::hypot)

#undef PARCOMPUTE_FUNCTION
#undef PARCOMPUTE_FUNCTION_OF_TWO

// ---- where SLEEF needs help ----

// The result is x itself where |x| < tiny, and the long double's where x < low, x > high or |x| < small.
template <class T>
struct Guards {
  T tiny = 0;
  T small = 0;
  T low = -std::numeric_limits<T>::infinity();
  T high = std::numeric_limits<T>::infinity();
};

template <class F, class T>
constexpr Guards<T> guards_of() {
  constexpr bool kDouble = sizeof(T) == 8;
  // x +- x^3/3 rounds to x, or its neighbour at 0.34 ULP; x +- x^2/2 at 0.25 ULP.
  constexpr T kCubic = kDouble ? T(0x1p-27) : T(0x1p-12);
  constexpr T kQuadratic = kDouble ? T(0x1p-54) : T(0x1p-25);
  // SLEEF answers infinity from about here on.
  constexpr T kHyperbolic = kDouble ? T(709.0) : T(88.0);
  constexpr T kRoot = kDouble ? T(1e150) : T(1e18);
  Guards<T> guards;
  if constexpr (std::is_same_v<F, Tan> || std::is_same_v<F, Tanh> || std::is_same_v<F, Arctanh>) {
    guards.tiny = kCubic;
  } else if constexpr (std::is_same_v<F, Expm1>) {
    guards.tiny = kQuadratic;
  } else if constexpr (std::is_same_v<F, Log1p>) {
    guards.tiny = kQuadratic;
    guards.high = kDouble ? T(1e306) : T(1e37F);
  } else if constexpr (std::is_same_v<F, Sinh>) {
    guards = {kCubic, 0, -kHyperbolic, kHyperbolic};
  } else if constexpr (std::is_same_v<F, Cosh>) {
    guards = {0, 0, -kHyperbolic, kHyperbolic};
  } else if constexpr (std::is_same_v<F, Arcsinh>) {
    guards = {kCubic, 0, -kRoot, kRoot};
  } else if constexpr (std::is_same_v<F, Arccosh>) {
    guards.high = kRoot;
  } else if constexpr (std::is_same_v<F, Erf>) {
    // The product with 2 / sqrt(pi) loses bits among the denormals.
    guards.small = kDouble ? T(1e-306) : T(1e-36F);
  } else if constexpr (std::is_same_v<F, Gamma>) {
    // Denormal results, and the sign of those that are 0.
    guards.low = kDouble ? T(-160) : T(-30);
  } else if constexpr (std::is_same_v<F, Lgamma>) {
    // Zeros between the poles; the last finite results.
    guards.low = T(-0.5);
    guards.high = kDouble ? T(1e305) : T(4e36F);
  }
  return guards;
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#endif
