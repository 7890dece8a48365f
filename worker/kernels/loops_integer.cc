// Integers wrap: whatever can overflow is done in unsigned arithmetic, of int's width at least.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "worker/kernels/loops_families.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/loops_integer.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

using namespace strips;

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// Of unsigned char and short, C++ would make an int.
template <class T>
using Wide = std::conditional_t<(sizeof(T) < 4), std::uint32_t, Unsigned<T>>;

template <class T>
HWY_INLINE Wide<T> wide(T x) {
  return static_cast<Wide<T>>(x);
}
template <class T>
HWY_INLINE T narrow(Wide<T> x) {
  return static_cast<T>(x);
}

struct Negative {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return narrow<T>(Wide<T>{0} - wide(x));
  }
};
struct Absolute {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return x < 0 ? Negative()(x) : x;
  }
};
struct Sign {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return static_cast<T>((x > 0) - (x < 0));
  }
};
struct Invert {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return static_cast<T>(~x);
  }
  HWY_INLINE Bool operator()(Bool x) const { return {x.byte == 0}; }
};
struct Identity {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return x;
  }
};
// 1 / 0 is what an infinity becomes as an integer on x86-64: the least int32 or int64, otherwise 0.
struct Reciprocal {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    constexpr T kOfZero = std::is_signed_v<T> && sizeof(T) >= 4 ? std::numeric_limits<T>::min() : T{0};
    return x == 0 ? kOfZero : x == 1 || Negative()(x) == 1 ? (std::is_signed_v<T> || x == 1 ? x : T{0}) : T{0};
  }
};

struct Add {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return narrow<T>(wide(a) + wide(b));
  }
};
struct Subtract {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return narrow<T>(wide(a) - wide(b));
  }
};
struct Multiply {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return narrow<T>(wide(a) * wide(b));
  }
};
struct Square {
  template <class T>
  HWY_INLINE T operator()(T x) const {
    return Multiply()(x, x);
  }
};

// Small integers are divided as floats, which hold them and the truncated quotient's rounding exactly: vectors can.
// 32 bits in float64, 16 and 8 in float32: a quotient that is not whole is at least 1/b from the next whole number, and
// rounding moves it by less.
template <class T>
using DivisionFloat = std::conditional_t<sizeof(T) == 4, double, float>;

// C's quotient, 0 for b == 0; the least integer by -1 wraps.
template <class T>
HWY_INLINE T truncated_quotient(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return Negative()(a);
    // Division of 32 bits takes half the time or less.
    if (((static_cast<std::uint64_t>(a) | static_cast<std::uint64_t>(b)) >> 32) == 0)
      return static_cast<T>(static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b));
    return a / b;
  } else {
    // Both exceptions divide by 1.
    const bool by_minus_one = std::is_signed_v<T> && b == static_cast<T>(-1);
    using F = DivisionFloat<T>;
    const F quotient = static_cast<F>(a) / static_cast<F>(b == 0 || by_minus_one ? T{1} : b);
    T whole;
    if constexpr (std::is_same_v<T, std::uint32_t>) {
      // By way of int32, which every vector unit converts to.
      constexpr double kHalf = 2147483648.0;
      whole = static_cast<T>(static_cast<std::int32_t>(std::floor(quotient) - kHalf)) ^ 0x80000000U;
    } else {
      whole = static_cast<T>(static_cast<std::int32_t>(quotient));
    }
    return b == 0 ? T{0} : by_minus_one ? Negative()(whole) : whole;
  }
}

__extension__ using Uint128 = unsigned __int128;

// 64 bits by one number for many: a multiplication, where a division takes 20 to 90 cycles. (Granlund and Montgomery,
// "Division by Invariant Integers using Multiplication", PLDI 1994, figure 4.1.)
template <class T>
class Divisor {
 public:
  // Not 0.
  explicit Divisor(T value) : value_(value) {
    const std::uint64_t d = magnitude(value);
    const int bits = 64 - std::countl_zero(d - 1);
    multiplier_ = static_cast<std::uint64_t>((((Uint128{1} << bits) - d) << 64) / d + 1);
    first_shift_ = std::min(bits, 1);
    second_shift_ = std::max(bits - 1, 0);
  }
  T value() const { return value_; }

  // As C's: towards zero. The least integer by -1 wraps.
  HWY_INLINE T quotient(T a) const {
    const std::uint64_t n = magnitude(a);
    const auto high = static_cast<std::uint64_t>((Uint128{multiplier_} * n) >> 64);
    const std::uint64_t q = (high + ((n - high) >> first_shift_)) >> second_shift_;
    if constexpr (std::is_signed_v<T>) return static_cast<T>((a < 0) != (value_ < 0) ? 0 - q : q);
    else return q;
  }

 private:
  static HWY_INLINE std::uint64_t magnitude(T x) {
    const auto bits = static_cast<std::uint64_t>(x);
    if constexpr (std::is_signed_v<T>) return x < 0 ? 0 - bits : bits;
    else return bits;
  }

  T value_;
  std::uint64_t multiplier_;
  int first_shift_, second_shift_;
};

template <class T>
HWY_INLINE T truncated_quotient(T a, const Divisor<T>& b) {
  return b.quotient(a);
}
template <class T>
HWY_INLINE T number(T b) {
  return b;
}
template <class T>
HWY_INLINE T number(const Divisor<T>& b) {
  return b.value();
}

template <class T, class B>
HWY_INLINE T truncated_remainder(T a, const B& b) {
  return number(b) == 0 ? T{0} : Subtract()(a, Multiply()(truncated_quotient(a, b), number(b)));
}

// The divisor is a number, or a Divisor.
struct FloorDivide {
  template <class T, class B>
  HWY_INLINE T operator()(T a, const B& divisor) const {
    const T quotient = truncated_quotient(a, divisor);
    if constexpr (std::is_signed_v<T>) {
      const T b = number(divisor);
      const T rest = Subtract()(a, Multiply()(quotient, b));
      const bool down = b != 0 && rest != 0 && ((rest < 0) != (b < 0));
      return Subtract()(quotient, T{down});
    } else {
      return quotient;
    }
  }
};
struct Fmod {
  template <class T, class B>
  HWY_INLINE T operator()(T a, const B& b) const {
    return truncated_remainder(a, b);
  }
};
struct Remainder {
  template <class T, class B>
  HWY_INLINE T operator()(T a, const B& b) const {
    const T rest = truncated_remainder(a, b);
    if constexpr (std::is_signed_v<T>)
      return rest != 0 && ((rest < 0) != (number(b) < 0)) ? Add()(rest, number(b)) : rest;
    else
      return rest;
  }
};

template <class T, class F>
LoopFault division(const Strip& strip) {
  if constexpr (sizeof(T) == 8)
    if (strip.is_single[1] && !strip.is_single[0] && load<T>(strip.in[1], 0) != 0) {
      const Divisor<T> by(load<T>(strip.in[1], 0));
      for (std::size_t i = 0; i < strip.count; ++i) store<T>(strip.out, i, F()(load<T>(strip.in[0], i), by));
      return LoopFault::kNone;
    }
  return slow_binary<T, T, F>(strip);
}

struct Minimum {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};
struct Maximum {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

struct And {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
  HWY_INLINE Bool operator()(Bool a, Bool b) const {
    return {static_cast<std::uint8_t>((a.byte != 0) & (b.byte != 0))};
  }
};
struct Or {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
  HWY_INLINE Bool operator()(Bool a, Bool b) const { return {static_cast<std::uint8_t>((a.byte | b.byte) != 0)}; }
};
struct Xor {
  template <class T>
  HWY_INLINE T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
  HWY_INLINE Bool operator()(Bool a, Bool b) const {
    return {static_cast<std::uint8_t>((a.byte != 0) ^ (b.byte != 0))};
  }
};

// A count of all the bits or more, or a negative one, shifts everything out.
template <class T>
HWY_INLINE bool in_range(T count) {
  return static_cast<Unsigned<T>>(count) < 8 * sizeof(T);
}
struct LeftShift {
  template <class T>
  HWY_INLINE T operator()(T a, T count) const {
    const T shift = in_range(count) ? count : T{0};
    const T shifted = narrow<T>(wide(a) << shift);
    return in_range(count) ? shifted : T{0};
  }
};
struct RightShift {
  template <class T>
  HWY_INLINE T operator()(T a, T count) const {
    constexpr T kMost = 8 * sizeof(T) - 1;
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(a >> (in_range(count) ? count : kMost));
    } else {
      const T shifted = static_cast<T>(a >> (in_range(count) ? count : T{0}));
      return in_range(count) ? shifted : T{0};
    }
  }
};

template <class T>
HWY_INLINE T power_of(T base, T exponent) {
  auto square = wide(base);
  Wide<T> product = 1;
  for (auto rest = static_cast<Unsigned<T>>(exponent); rest != 0; rest = static_cast<Unsigned<T>>(rest >> 1)) {
    if ((rest & 1) != 0) product *= square;
    square *= square;
  }
  return narrow<T>(product);
}

template <class T>
LoopFault power(const Strip& strip) {
  if (strip.count == 0) return LoopFault::kNone;
  return in_dense_parts<T, T>(strip, [](const void* a, const void* b, void* out, std::size_t count) {
    if constexpr (std::is_signed_v<T>) {
      T signs = 0;
      for (std::size_t i = 0; i < count; ++i) signs = static_cast<T>(signs | load<T>(b, i));
      if (signs < 0) return LoopFault::kNegativePower;
    }
    for (std::size_t i = 0; i < count; ++i) store<T>(out, i, power_of(load<T>(a, i), load<T>(b, i)));
    return LoopFault::kNone;
  });
}

// What does not depend on the sign is made once for both.
template <class T>
Loop integer_loop(Op op) {
  using U = Unsigned<T>;
  switch (op) {
    case Op::kNegative: return unary<U, U, Negative>;
    case Op::kAbsolute: return std::is_signed_v<T> ? unary<T, T, Absolute> : unary<U, U, Identity>;
    case Op::kSign: return unary<T, T, Sign>;
    case Op::kInvert: return unary<U, U, Invert>;
    case Op::kSquare: return unary<U, U, Square>;
    case Op::kReciprocal: return unary<T, T, Reciprocal>;
    case Op::kAdd: return binary<U, U, Add>;
    case Op::kSubtract: return binary<U, U, Subtract>;
    case Op::kMultiply: return binary<U, U, Multiply>;
    case Op::kFloorDivide: return division<T, FloorDivide>;
    case Op::kRemainder: return division<T, Remainder>;
    case Op::kFmod: return division<T, Fmod>;
    case Op::kPower: return power<T>;
    case Op::kMinimum: return binary<T, T, Minimum>;
    case Op::kMaximum: return binary<T, T, Maximum>;
    case Op::kBitwiseAnd: return binary<U, U, And>;
    case Op::kBitwiseOr: return binary<U, U, Or>;
    case Op::kBitwiseXor: return binary<U, U, Xor>;
    case Op::kLeftShift: return slow_binary<U, U, LeftShift>;
    case Op::kRightShift: return slow_binary<T, T, RightShift>;
    default: return nullptr;
  }
}

Loop bool_loop(Op op) {
  switch (op) {
    case Op::kInvert: return unary<Bool, Bool, Invert>;
    case Op::kBitwiseAnd: return binary<Bool, Bool, And>;
    case Op::kBitwiseOr: return binary<Bool, Bool, Or>;
    case Op::kBitwiseXor: return binary<Bool, Bool, Xor>;
    default: return nullptr;
  }
}

Loop integer_loop_of(Op op, DType dtype) {
  switch (dtype) {
    case DType::kBool: return bool_loop(op);
    case DType::kInt8: return integer_loop<std::int8_t>(op);
    case DType::kInt16: return integer_loop<std::int16_t>(op);
    case DType::kInt32: return integer_loop<std::int32_t>(op);
    case DType::kInt64: return integer_loop<std::int64_t>(op);
    case DType::kUint8: return integer_loop<std::uint8_t>(op);
    case DType::kUint16: return integer_loop<std::uint16_t>(op);
    case DType::kUint32: return integer_loop<std::uint32_t>(op);
    case DType::kUint64: return integer_loop<std::uint64_t>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(integer_loop_of);
}

Loop find_integer_loop(Op op, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(integer_loop_of)(op, dtype);
}

}  // namespace parcompute
#endif  // HWY_ONCE
