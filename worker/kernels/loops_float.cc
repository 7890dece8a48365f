// Arithmetic of float32 and float64: IEEE's, and NumPy's own rules for floor_divide, remainder and minimum's kind.
// minimum and its three kin order -0 before +0, which NumPy leaves to the machine.
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

#include "worker/kernels/loops_sqrt-inl.h"
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

// ---- division with a rest ----
//
// Three functions of (a, b, fmod(a, b)), for b other than 0, without branches. fmod itself is exact, whoever computes
// it.

struct Fmod {
  template <class T>
  HWY_INLINE T operator()(T, T, T rest) const {
    return canonical(rest);
  }
  template <class T>
  HWY_INLINE T by_zero(T, T) const {
    return std::numeric_limits<T>::quiet_NaN();
  }
};
// NumPy's npy_divmod: fmod moved to the divisor's sign, and the quotient that belongs to it, as near to a whole number
// as the division said.
struct FloorDivide {
  template <class T>
  HWY_INLINE T operator()(T a, T b, T rest) const {
    const T even = (a - rest) / b;
    const T quotient = (rest != 0) & ((b < 0) != (rest < 0)) ? even - T{1} : even;
    const T below = std::floor(quotient);
    const T whole = quotient - below > T{0.5} ? below + T{1} : below;
    return canonical(quotient == 0 ? Copysign()(T{0}, a / b) : whole);
  }
  template <class T>
  HWY_INLINE T by_zero(T a, T b) const {
    return canonical(a / b);
  }
};
struct Remainder {
  template <class T>
  HWY_INLINE T operator()(T, T b, T rest) const {
    const T moved = (b < 0) != (rest < 0) ? rest + b : rest;
    return canonical(rest == 0 ? Copysign()(T{0}, b) : moved);
  }
  template <class T>
  HWY_INLINE T by_zero(T, T) const {
    return std::numeric_limits<T>::quiet_NaN();
  }
};

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
// The rounded quotient's whole part is the true one's or one more, so that a - whole * b, computed in one rounding, is
// exact: a multiple of the smaller operand's last place, not above b. One more shows by the sign.
template <class T>
constexpr bool kHasQuickFmod = true;

template <class T>
HWY_INLINE T quick_fmod(T a, T b) {
  const T whole = std::trunc(a / b);
  T rest;
  if constexpr (sizeof(T) == 8)
    rest = __builtin_fma(-whole, b, a);
  else
    rest = __builtin_fmaf(-whole, b, a);
  const bool too_far = (rest != 0) & ((rest < 0) != (a < 0));
  return Copysign()(too_far ? Absolute()(b) - Absolute()(rest) : rest, a);
}

// Whether that holds for all: quotients whose whole part is exact, no infinities, no NaN, no division by 0.
template <class T>
HWY_INLINE bool all_quick(const void* a, const void* b, std::size_t count) {
  constexpr T kMost = sizeof(T) == 8 ? T(0x1p52) : T(0x1p23F);
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const T x = load<T>(a, i), y = load<T>(b, i);
    const bool good = (Absolute()(x / y) < kMost) & (Absolute()(y) < std::numeric_limits<T>::infinity());
    bad |= static_cast<std::uint32_t>(!good);
  }
  return bad == 0;
}
#else
template <class T>
constexpr bool kHasQuickFmod = false;
#endif

template <class T, class F>
LoopFault divided(const Strip& strip) {
  return in_dense_parts<T, T>(strip, [](const void* all_a, const void* all_b, void* all_out, std::size_t all) {
    for (std::size_t first = 0; first < all; first += kPart) {
      const Strip part = part_of<T, T, T>({.in = {all_a, all_b}, .out = all_out}, first, std::min(kPart, all - first));
      const void *a = part.in[0], *b = part.in[1];
      if constexpr (kHasQuickFmod<T>) {
        if (all_quick<T>(a, b, part.count)) {
#pragma GCC ivdep
          for (std::size_t i = 0; i < part.count; ++i) {
            const T x = load<T>(a, i), y = load<T>(b, i);
            store<T>(part.out, i, F()(x, y, quick_fmod(x, y)));
          }
          continue;
        }
      }
      for (std::size_t i = 0; i < part.count; ++i) {
        const T x = load<T>(a, i), y = load<T>(b, i);
        store<T>(part.out, i, y == 0 ? F().by_zero(x, y) : F()(x, y, std::fmod(x, y)));
      }
    }
    return LoopFault::kNone;
  });
}

template <class T>
LoopFault square_root(const Strip& strip) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(T) == 8) {
    if (strip.is_single[0]) return unary<T, T, Sqrt>(strip);
    constexpr std::size_t kPair = 2 * hwy::HWY_NAMESPACE::MaxLanes(Lanes::D());
    std::size_t i = 0;
    for (; i + kPair <= strip.count; i += kPair) {
      const Strip pair = part_of<T, T>(strip, i, kPair);
      if (!HWY_LIKELY(square_roots_near(pair.in[0], pair.out))) unary<T, T, Sqrt>(pair);
    }
    return unary<T, T, Sqrt>(part_of<T, T>(strip, i, strip.count - i));
  }
#endif
  return unary<T, T, Sqrt>(strip);
}

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
    case Op::kSqrt: return square_root<T>;
    case Op::kIsnan: return unary<std::uint8_t, T, Isnan>;
    case Op::kIsinf: return unary<std::uint8_t, T, Isinf>;
    case Op::kIsfinite: return unary<std::uint8_t, T, Isfinite>;
    case Op::kSignbit: return unary<std::uint8_t, T, Signbit>;
    case Op::kAdd: return binary<T, T, Add>;
    case Op::kSubtract: return binary<T, T, Subtract>;
    case Op::kMultiply: return binary<T, T, Multiply>;
    case Op::kDivide: return binary<T, T, Divide>;
    case Op::kFloorDivide: return divided<T, FloorDivide>;
    case Op::kRemainder: return divided<T, Remainder>;
    case Op::kFmod: return divided<T, Fmod>;
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
