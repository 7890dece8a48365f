// Arithmetic and comparison of complex numbers: NumPy's formulas, operation by operation, so that the bits are NumPy's.
// A NaN that was computed is the positive quiet one (loops_float.cc says why).
#include <cmath>
#include <limits>

#include "worker/kernels/loops_families.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/loops_complex.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

using namespace strips;

template <class T>
HWY_INLINE T canonical(T x) {
  return x == x ? x : std::numeric_limits<T>::quiet_NaN();
}
struct Negative {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return -x;
  }
};
struct Conjugate {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> z) const {
    return {z.re, -z.im};
  }
};
struct Real {
  template <class T>
  HWY_INLINE T operator()(Complex<T> z) const {
    return z.re;
  }
};
struct Imag {
  template <class T>
  HWY_INLINE T operator()(Complex<T> z) const {
    return z.im;
  }
};
struct Rint {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(std::rint(x));
  }
};
struct Isnan {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> z) const {
    return static_cast<std::uint8_t>((z.re != z.re) | (z.im != z.im));
  }
};
struct Isinf {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> z) const {
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    return static_cast<std::uint8_t>((std::fabs(z.re) == kInfinity) | (std::fabs(z.im) == kInfinity));
  }
};
struct Isfinite {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> z) const {
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    return static_cast<std::uint8_t>((std::fabs(z.re) < kInfinity) & (std::fabs(z.im) < kInfinity));
  }
};

struct Add {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return canonical(a + b);
  }
};
struct Subtract {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return canonical(a - b);
  }
};

// What acts on the parts alone: a loop over twice as many reals.
template <class T, class F>
LoopFault unary_by_parts(const Strip& strip) {
  if (strip.is_single[0]) {
    unary_by_parts<T, F>({.in = {strip.in[0]}, .out = strip.out, .count = std::min<std::size_t>(strip.count, 1)});
    if (strip.count > 1) fill_with_first<Complex<T>>(strip);
    return LoopFault::kNone;
  }
  return unary<T, T, F>({.in = {strip.in[0]}, .out = strip.out, .count = 2 * strip.count});
}
template <class T, class F>
LoopFault binary_by_parts(const Strip& strip) {
  return in_dense_parts<Complex<T>, Complex<T>>(strip, [](const void* a, const void* b, void* out, std::size_t count) {
    return binary<T, T, F>({.in = {a, b}, .out = out, .count = 2 * count});
  });
}

// ---- products ----

// Written out: of the plain formula g++ 12 makes vectors of fused multiply-adds, -ffp-contract=off or not (its pattern
// for vfmaddsub does not ask).
#if HWY_TARGET == HWY_SCALAR
template <class T>
HWY_INLINE void products_dense(const void* a, const void* b, void* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto x = load<Complex<T>>(a, i), y = load<Complex<T>>(b, i);
    store(out, i, Complex<T>{canonical(x.re * y.re - x.im * y.im), canonical(x.re * y.im + x.im * y.re)});
  }
}
#else
namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V = hn::Vec<D>>
HWY_INLINE V product(D d, V a, V b) {
  const V by_real = hn::Mul(a, hn::DupEven(b));
  const V by_imag = hn::Mul(hn::Reverse2(d, a), hn::DupOdd(b));
  const V z = hn::OddEven(hn::Add(by_real, by_imag), hn::Sub(by_real, by_imag));
  return hn::IfThenElse(hn::IsNaN(z), hn::Set(d, std::numeric_limits<hn::TFromD<D>>::quiet_NaN()), z);
}

template <class T>
HWY_INLINE void products_dense(const void* a, const void* b, void* out, std::size_t count) {
  const hn::ScalableTag<T> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  const auto* x = static_cast<const std::byte*>(a);
  const auto* y = static_cast<const std::byte*>(b);
  auto* z = static_cast<std::byte*>(out);
  const std::size_t reals = 2 * count;
  std::size_t i = 0;
  for (; i + kLanes <= reals; i += kLanes)
    hn::StoreU(product(d, hn::LoadU(d, reinterpret_cast<const T*>(x + i * sizeof(T))),
                       hn::LoadU(d, reinterpret_cast<const T*>(y + i * sizeof(T)))),
               d, reinterpret_cast<T*>(z + i * sizeof(T)));
  if (i == reals) return;
  HWY_ALIGN T last[2][kLanes] = {};
  const std::size_t rest = (reals - i) * sizeof(T);
  std::memcpy(last[0], x + i * sizeof(T), rest);
  std::memcpy(last[1], y + i * sizeof(T), rest);
  hn::Store(product(d, hn::Load(d, last[0]), hn::Load(d, last[1])), d, last[0]);
  std::memcpy(z + i * sizeof(T), last[0], rest);
}
#endif

template <class T>
LoopFault multiply(const Strip& strip) {
  return in_dense_parts<Complex<T>, Complex<T>>(strip, [](const void* a, const void* b, void* out, std::size_t count) {
    products_dense<T>(a, b, out, count);
    return LoopFault::kNone;
  });
}

template <class T>
LoopFault square(const Strip& strip) {
  Strip twice = strip;
  twice.in[1] = strip.in[0];
  twice.is_single[1] = strip.is_single[0];
  return multiply<T>(twice);
}

// ---- comparisons ----

// Lexicographic. A NaN is in no order; one in the imaginary part spoils the order of the real parts, too.
struct Equal {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> a, Complex<T> b) const {
    return static_cast<std::uint8_t>((a.re == b.re) & (a.im == b.im));
  }
};
struct NotEqual {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> a, Complex<T> b) const {
    return static_cast<std::uint8_t>((a.re != b.re) | (a.im != b.im));
  }
};
struct Less {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> a, Complex<T> b) const {
    const bool both = (a.im == a.im) & (b.im == b.im);
    return static_cast<std::uint8_t>(((a.re < b.re) & both) | ((a.re == b.re) & (a.im < b.im)));
  }
};
struct LessEqual {
  template <class T>
  HWY_INLINE std::uint8_t operator()(Complex<T> a, Complex<T> b) const {
    const bool both = (a.im == a.im) & (b.im == b.im);
    return static_cast<std::uint8_t>(((a.re < b.re) & both) | ((a.re == b.re) & (a.im <= b.im)));
  }
};

// The first operand unless the other is beyond it (or, for minimum and maximum, has a NaN; for fmin and fmax, has
// none).
struct Minimum {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return Isnan()(a) || LessEqual()(a, b) ? a : b;
  }
};
struct Maximum {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return Isnan()(a) || LessEqual()(b, a) ? a : b;
  }
};
struct Fmin {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return Isnan()(b) || LessEqual()(a, b) ? a : b;
  }
};
struct Fmax {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return Isnan()(b) || LessEqual()(b, a) ? a : b;
  }
};

template <class T>
Loop complex_loop(Op op) {
  using Z = Complex<T>;
  using B = std::uint8_t;
  switch (op) {
    case Op::kNegative: return unary_by_parts<T, Negative>;
    case Op::kSquare: return square<T>;
    case Op::kConjugate: return unary<Z, Z, Conjugate>;
    case Op::kReal: return unary<T, Z, Real>;
    case Op::kImag: return unary<T, Z, Imag>;
    case Op::kRint: return unary_by_parts<T, Rint>;
    case Op::kIsnan: return unary<B, Z, Isnan>;
    case Op::kIsinf: return unary<B, Z, Isinf>;
    case Op::kIsfinite: return unary<B, Z, Isfinite>;
    case Op::kAdd: return binary_by_parts<T, Add>;
    case Op::kSubtract: return binary_by_parts<T, Subtract>;
    case Op::kMultiply: return multiply<T>;
    case Op::kMinimum: return slow_binary<Z, Z, Minimum>;
    case Op::kMaximum: return slow_binary<Z, Z, Maximum>;
    case Op::kFmin: return slow_binary<Z, Z, Fmin>;
    case Op::kFmax: return slow_binary<Z, Z, Fmax>;
    case Op::kEqual: return slow_binary<B, Z, Equal>;
    case Op::kNotEqual: return slow_binary<B, Z, NotEqual>;
    case Op::kLess: return slow_binary<B, Z, Less>;
    case Op::kLessEqual: return slow_binary<B, Z, LessEqual>;
    case Op::kGreater: return swapped<slow_binary<B, Z, Less>>;
    case Op::kGreaterEqual: return swapped<slow_binary<B, Z, LessEqual>>;
    default: return nullptr;
  }
}

Loop complex_loop_of(Op op, DType dtype) {
  switch (dtype) {
    case DType::kComplex64: return complex_loop<float>(op);
    case DType::kComplex128: return complex_loop<double>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(complex_loop_of);
}

Loop find_complex_loop(Op op, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(complex_loop_of)(op, dtype);
}

}  // namespace parcompute
#endif  // HWY_ONCE
