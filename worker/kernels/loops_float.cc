// Arithmetic of float32 and float64: IEEE's, and NumPy's own rules for floor_divide, remainder and the four of minimum's kind.
//
// A NaN that was computed is the positive quiet one: which operand's NaN an addition hands on depends on the order that
// a compiler put them in. What moves bits (negative, absolute, copysign) leaves a NaN's payload alone.
#include <bit>
#include <cmath>
#include <limits>

#include "worker/kernels/loops_families.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/loops_float.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

using namespace strips;

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
constexpr Bits<T> kSignBit = Bits<T>{1} << (8 * sizeof(T) - 1);

template <class T>
HWY_INLINE Bits<T> bits_of(T x) {
  return std::bit_cast<Bits<T>>(x);
}
template <class T>
HWY_INLINE T from_bits(Bits<T> bits) {
  return std::bit_cast<T>(bits);
}
template <class T>
HWY_INLINE T canonical(T x) {
  return x == x ? x : std::numeric_limits<T>::quiet_NaN();
}

struct Negative {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return from_bits<T>(bits_of(x) ^ kSignBit<T>);
  }
};
struct Absolute {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return from_bits<T>(bits_of(x) & ~kSignBit<T>);
  }
};
struct Copysign {
  template <class T>
  HWY_INLINE T operator()(T x, T sign) const {
    return from_bits<T>((bits_of(x) & ~kSignBit<T>) | (bits_of(sign) & kSignBit<T>));
  }
};
// NumPy: 0 for both zeros.
struct Sign {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    const T sign = x > 0 ? T{1} : x < 0 ? T{-1} : T{0};
    return x == x ? sign : std::numeric_limits<T>::quiet_NaN();
  }
};
struct Floor {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(std::floor(x));
  }
};
struct Ceil {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(std::ceil(x));
  }
};
struct Trunc {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(std::trunc(x));
  }
};
struct Rint {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(std::rint(x));
  }
};
struct Sqrt {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(std::sqrt(x));
  }
};
struct Square {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(x * x);
  }
};
struct Reciprocal {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return canonical(T{1} / x);
  }
};

struct Isnan {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T x) const {
    return !(x == x);
  }
};
struct Isinf {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T x) const {
    return Absolute()(x) == std::numeric_limits<T>::infinity();
  }
};
struct Isfinite {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T x) const {
    return Absolute()(x) < std::numeric_limits<T>::infinity();
  }
};
struct Signbit {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T x) const {
    return static_cast<std::uint8_t>(bits_of(x) >> (8 * sizeof(T) - 1));
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
struct Multiply {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return canonical(a * b);
  }
};
struct Divide {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return canonical(a / b);
  }
};

// -0 before +0: of two equal numbers (which differ by the sign of zero at most) the signs are joined.
template <class T>
HWY_INLINE T smaller(T a, T b) {
  return a == b ? from_bits<T>(bits_of(a) | bits_of(b)) : a < b ? a : b;
}
template <class T>
HWY_INLINE T larger(T a, T b) {
  return a == b ? from_bits<T>(bits_of(a) & bits_of(b)) : a > b ? a : b;
}
struct Minimum {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    const T best = smaller(a, b);
    return a == a && b == b ? best : std::numeric_limits<T>::quiet_NaN();
  }
};
struct Maximum {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    const T best = larger(a, b);
    return a == a && b == b ? best : std::numeric_limits<T>::quiet_NaN();
  }
};
struct Fmin {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    const T best = smaller(a, b);
    return canonical(a == a ? (b == b ? best : a) : b);
  }
};
struct Fmax {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    const T best = larger(a, b);
    return canonical(a == a ? (b == b ? best : a) : b);
  }
};

// C's, which is exact.
struct Fmod {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return canonical(std::fmod(a, b));
  }
};

// NumPy's npy_divmod: fmod moved to the divisor's sign, and the quotient that belongs to it, as near to a whole number as
// the division said.
struct FloorDivide {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    if (b == 0) return canonical(a / b);
    const T rest = std::fmod(a, b);
    T quotient = (a - rest) / b;
    if (rest != 0 && (b < 0) != (rest < 0)) quotient -= T{1};
    if (quotient == 0) return Copysign()(T{0}, a / b);
    T whole = std::floor(quotient);
    if (quotient - whole > T{0.5}) whole += T{1};
    return canonical(whole);
  }
};
struct Remainder {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    const T rest = std::fmod(a, b);
    if (b == 0) return canonical(rest);
    if (rest == 0) return Copysign()(T{0}, b);
    return canonical((b < 0) != (rest < 0) ? rest + b : rest);
  }
};

template <class T>
Loop float_loop(Op op) {
  switch (op) {
    case Op::kNegative: return unary<T, T, Negative>;
    case Op::kAbsolute: return unary<T, T, Absolute>;
    case Op::kSign: return unary<T, T, Sign>;
    case Op::kSquare: return unary<T, T, Square>;
    case Op::kReciprocal: return unary<T, T, Reciprocal>;
    case Op::kFloor: return unary<T, T, Floor>;
    case Op::kCeil: return unary<T, T, Ceil>;
    case Op::kTrunc: return unary<T, T, Trunc>;
    case Op::kRint: return unary<T, T, Rint>;
    case Op::kSqrt: return unary<T, T, Sqrt>;
    case Op::kIsnan: return unary<std::uint8_t, T, Isnan>;
    case Op::kIsinf: return unary<std::uint8_t, T, Isinf>;
    case Op::kIsfinite: return unary<std::uint8_t, T, Isfinite>;
    case Op::kSignbit: return unary<std::uint8_t, T, Signbit>;
    case Op::kAdd: return binary<T, T, Add>;
    case Op::kSubtract: return binary<T, T, Subtract>;
    case Op::kMultiply: return binary<T, T, Multiply>;
    case Op::kDivide: return binary<T, T, Divide>;
    case Op::kFloorDivide: return slow_binary<T, T, FloorDivide>;
    case Op::kRemainder: return slow_binary<T, T, Remainder>;
    case Op::kFmod: return slow_binary<T, T, Fmod>;
    case Op::kMinimum: return binary<T, T, Minimum>;
    case Op::kMaximum: return binary<T, T, Maximum>;
    case Op::kFmin: return binary<T, T, Fmin>;
    case Op::kFmax: return binary<T, T, Fmax>;
    case Op::kCopysign: return binary<T, T, Copysign>;
    default: return nullptr;
  }
}

Loop float_loop_of(Op op, DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return float_loop<float>(op);
    case DType::kFloat64: return float_loop<double>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(float_loop_of);
}

Loop find_float_loop(Op op, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(float_loop_of)(op, dtype);
}

}  // namespace parcompute
#endif  // HWY_ONCE
