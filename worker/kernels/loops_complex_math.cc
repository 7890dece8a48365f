// Complex functions, element by element: the C library's, NumPy's definitions of what C has not, and division. One code
// for every instruction set, compiled for CPUs without FMA: nothing is fused. (The C library chooses its own code by
// the CPU, so that one without FMA may differ in a last bit of a function.)
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>

#include "worker/kernels/loops_families.h"
#include "worker/kernels/simd_targets.h"
//
#include <hwy/highway.h>

#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {
namespace {

using namespace strips;

template <class T>
using Std = std::complex<T>;

template <class T>
T canonical(T x) {
  return x == x ? x : std::numeric_limits<T>::quiet_NaN();
}

// std::complex's operator* and / mend NaNs as C99 says; NumPy's do not.
template <class T>
Std<T> product(Std<T> a, Std<T> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// Smith's: Algorithm 116, Communications of the ACM 5 (1962).
template <class T>
Std<T> quotient(Std<T> a, Std<T> b) {
  const T re = std::fabs(b.real()), im = std::fabs(b.imag());
  if (re >= im) {
    if (re == 0 && im == 0) return {a.real() / re, a.imag() / re};
    const T ratio = b.imag() / b.real();
    const T scale = T{1} / (b.real() + b.imag() * ratio);
    return {(a.real() + a.imag() * ratio) * scale, (a.imag() - a.real() * ratio) * scale};
  }
  const T ratio = b.real() / b.imag();
  const T scale = T{1} / (b.imag() + b.real() * ratio);
  return {(a.real() * ratio + a.imag()) * scale, (a.imag() * ratio - a.real()) * scale};
}

struct Divide {
  template <class T>
  Std<T> operator()(Std<T> a, Std<T> b) const {
    return quotient(a, b);
  }
};
struct Reciprocal {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    if (std::fabs(z.imag()) <= std::fabs(z.real())) {
      const T ratio = z.imag() / z.real();
      const T divisor = z.real() + z.imag() * ratio;
      return {T{1} / divisor, -ratio / divisor};
    }
    const T ratio = z.real() / z.imag();
    const T divisor = z.real() * ratio + z.imag();
    return {ratio / divisor, T{-1} / divisor};
  }
};

struct Absolute {
  template <class T>
  T operator()(Std<T> z) const {
    return std::hypot(z.real(), z.imag());
  }
};

// NumPy 2's: z / |z|; 0 of 0; an infinite part alone gives its direction.
struct Sign {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
    const T size = std::hypot(z.real(), z.imag());
    if (std::isnan(z.real()) || std::isnan(z.imag())) return {kNaN, kNaN};
    if (size == 0) return {T{0}, T{0}};
    if (std::isinf(z.real()) && std::isinf(z.imag())) return {kNaN, kNaN};
    if (std::isinf(z.real())) return {std::copysign(T{1}, z.real()), T{0}};
    if (std::isinf(z.imag())) return {T{0}, std::copysign(T{1}, z.imag())};
    // Of finite parts |z| may still overflow.
    if (std::isinf(size)) return (*this)(Std<T>{z.real() / 4, z.imag() / 4});
    return {z.real() / size, z.imag() / size};
  }
};

struct Sqrt {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::sqrt(z);
  }
};
struct Exp {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::exp(z);
  }
};
struct Log {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::log(z);
  }
};
struct Sin {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::sin(z);
  }
};
struct Cos {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::cos(z);
  }
};
struct Tan {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::tan(z);
  }
};
struct Arcsin {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::asin(z);
  }
};
struct Arccos {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::acos(z);
  }
};
struct Arctan {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::atan(z);
  }
};
struct Sinh {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::sinh(z);
  }
};
struct Cosh {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::cosh(z);
  }
};
struct Tanh {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::tanh(z);
  }
};
struct Arcsinh {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::asinh(z);
  }
};
struct Arccosh {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::acosh(z);
  }
};
struct Arctanh {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    return std::atanh(z);
  }
};

struct Exp2 {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    constexpr T kLn2 = T(0.693147180559945309417232121458176568L);
    return std::exp(Std<T>{z.real() * kLn2, z.imag() * kLn2});
  }
};
struct Log2 {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    constexpr T kLog2e = T(1.442695040888963407359924681001892137L);
    const Std<T> log = std::log(z);
    return {log.real() * kLog2e, log.imag() * kLog2e};
  }
};
struct Log10 {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    constexpr T kLog10e = T(0.434294481903251827651128918916605082L);
    const Std<T> log = std::log(z);
    return {log.real() * kLog10e, log.imag() * kLog10e};
  }
};
struct Log1p {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    const T size = std::hypot(z.real() + T{1}, z.imag());
    return {std::log(size), std::atan2(z.imag(), z.real() + T{1})};
  }
};
struct Expm1 {
  template <class T>
  Std<T> operator()(Std<T> z) const {
    const T half = std::sin(z.imag() / 2);
    return {std::expm1(z.real()) * std::cos(z.imag()) - 2 * half * half, std::exp(z.real()) * std::sin(z.imag())};
  }
};

// NumPy's npy_cpow: whole exponents below 100 by multiplication.
struct Power {
  template <class T>
  Std<T> operator()(Std<T> a, Std<T> b) const {
    constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
    if (b.real() == 0 && b.imag() == 0) return {T{1}, T{0}};
    if (a.real() == 0 && a.imag() == 0) {
      if (b.real() > 0 && b.imag() == 0) return {T{0}, T{0}};
      return {kNaN, kNaN};
    }
    if (b.imag() == 0 && std::fabs(b.real()) < 100 && std::trunc(b.real()) == b.real()) {
      const int exponent = static_cast<int>(b.real());
      if (exponent == 1) return a;
      if (exponent == 2) return product(a, a);
      if (exponent == 3) return product(a, product(a, a));
      Std<T> result{T{1}, T{0}};
      Std<T> square = a;
      for (int rest = std::abs(exponent);; square = product(square, square)) {
        if ((rest & 1) != 0) result = product(result, square);
        rest >>= 1;
        if (rest == 0) break;
      }
      return exponent < 0 ? quotient(Std<T>{T{1}, T{0}}, result) : result;
    }
    return std::pow(a, b);
  }
};

// A function of std::complex as one of the strips' elements.
template <class F>
struct Elementwise {
  template <class T, class... More>
  auto operator()(Complex<T> z, More... more) const {
    return element(F()(Std<T>{z.re, z.im}, Std<T>{more.re, more.im}...));
  }

 private:
  template <class T>
  static Complex<T> element(Std<T> z) {
    return {canonical(z.real()), canonical(z.imag())};
  }
  template <class T>
  static T element(T x) {
    return canonical(x);
  }
};

template <class T>
Loop complex_math_loop(Op op) {
  using Z = Complex<T>;
  switch (op) {
    case Op::kAbsolute: return unary<T, Z, Elementwise<Absolute>>;
    case Op::kSign: return unary<Z, Z, Elementwise<Sign>>;
    case Op::kReciprocal: return unary<Z, Z, Elementwise<Reciprocal>>;
    case Op::kDivide: return slow_binary<Z, Z, Elementwise<Divide>>;
    case Op::kSqrt: return unary<Z, Z, Elementwise<Sqrt>>;
    case Op::kExp: return unary<Z, Z, Elementwise<Exp>>;
    case Op::kExpm1: return unary<Z, Z, Elementwise<Expm1>>;
    case Op::kExp2: return unary<Z, Z, Elementwise<Exp2>>;
    case Op::kLog: return unary<Z, Z, Elementwise<Log>>;
    case Op::kLog1p: return unary<Z, Z, Elementwise<Log1p>>;
    case Op::kLog2: return unary<Z, Z, Elementwise<Log2>>;
    case Op::kLog10: return unary<Z, Z, Elementwise<Log10>>;
    case Op::kSin: return unary<Z, Z, Elementwise<Sin>>;
    case Op::kCos: return unary<Z, Z, Elementwise<Cos>>;
    case Op::kTan: return unary<Z, Z, Elementwise<Tan>>;
    case Op::kArcsin: return unary<Z, Z, Elementwise<Arcsin>>;
    case Op::kArccos: return unary<Z, Z, Elementwise<Arccos>>;
    case Op::kArctan: return unary<Z, Z, Elementwise<Arctan>>;
    case Op::kSinh: return unary<Z, Z, Elementwise<Sinh>>;
    case Op::kCosh: return unary<Z, Z, Elementwise<Cosh>>;
    case Op::kTanh: return unary<Z, Z, Elementwise<Tanh>>;
    case Op::kArcsinh: return unary<Z, Z, Elementwise<Arcsinh>>;
    case Op::kArccosh: return unary<Z, Z, Elementwise<Arccosh>>;
    case Op::kArctanh: return unary<Z, Z, Elementwise<Arctanh>>;
    case Op::kPower: return slow_binary<Z, Z, Elementwise<Power>>;
    default: return nullptr;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE

Loop find_complex_math_loop(Op op, DType dtype) {
  switch (dtype) {
    case DType::kComplex64: return HWY_NAMESPACE::complex_math_loop<float>(op);
    case DType::kComplex128: return HWY_NAMESPACE::complex_math_loop<double>(op);
    default: return nullptr;
  }
}

}  // namespace parcompute
HWY_AFTER_NAMESPACE();
