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
template <class T>
HWY_INLINE Complex<T> made(T re, T im) {
  return {canonical(re), canonical(im)};
}

struct Negative {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> z) const {
    return {-z.re, -z.im};
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
  HWY_INLINE Complex<T> operator()(Complex<T> z) const {
    return made(std::rint(z.re), std::rint(z.im));
  }
};
struct Square {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> z) const {
    return made(z.re * z.re - z.im * z.im, z.re * z.im + z.im * z.re);
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
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return made(a.re + b.re, a.im + b.im);
  }
};
struct Subtract {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return made(a.re - b.re, a.im - b.im);
  }
};
struct Multiply {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    return made(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
  }
};

// Smith's: Algorithm 116, Communications of the ACM 5 (1962).
struct Divide {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> a, Complex<T> b) const {
    const T re = std::fabs(b.re), im = std::fabs(b.im);
    if (re >= im) {
      if (re == 0 && im == 0) return made(a.re / re, a.im / re);
      const T ratio = b.im / b.re;
      const T scale = T{1} / (b.re + b.im * ratio);
      return made((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale);
    }
    const T ratio = b.re / b.im;
    const T scale = T{1} / (b.im + b.re * ratio);
    return made((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale);
  }
};
struct Reciprocal {
  template <class T>
  HWY_INLINE Complex<T> operator()(Complex<T> z) const {
    if (std::fabs(z.im) <= std::fabs(z.re)) {
      const T ratio = z.im / z.re;
      const T divisor = z.re + z.im * ratio;
      return made(T{1} / divisor, -ratio / divisor);
    }
    const T ratio = z.re / z.im;
    const T divisor = z.re * ratio + z.im;
    return made(ratio / divisor, T{-1} / divisor);
  }
};

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

// The first operand unless the other is beyond it (or, for minimum and maximum, has a NaN; for fmin and fmax, has none).
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
    case Op::kNegative: return unary<Z, Z, Negative>;
    case Op::kSquare: return unary<Z, Z, Square>;
    case Op::kReciprocal: return unary<Z, Z, Reciprocal>;
    case Op::kConjugate: return unary<Z, Z, Conjugate>;
    case Op::kReal: return unary<T, Z, Real>;
    case Op::kImag: return unary<T, Z, Imag>;
    case Op::kRint: return unary<Z, Z, Rint>;
    case Op::kIsnan: return unary<B, Z, Isnan>;
    case Op::kIsinf: return unary<B, Z, Isinf>;
    case Op::kIsfinite: return unary<B, Z, Isfinite>;
    case Op::kAdd: return binary<Z, Z, Add>;
    case Op::kSubtract: return binary<Z, Z, Subtract>;
    case Op::kMultiply: return binary<Z, Z, Multiply>;
    case Op::kDivide: return slow_binary<Z, Z, Divide>;
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
