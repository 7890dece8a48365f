// Casts: NumPy's astype on x86-64, every case of which is written out, so that no machine's conversion of what does not
// fit is asked. (Of what fits no integer, NumPy's vectors make other numbers than its scalar code, by where in an array
// an element stands; this is the scalar code's: cvttsd2si and what compilers put around it.)
#include <limits>

#include "worker/kernels/loops.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/loops_cast.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

using namespace strips;

template <class T>
constexpr bool kIsComplex = false;
template <class T>
constexpr bool kIsComplex<Complex<T>> = true;

// Towards zero; what does not fit, and NaN, is the least integer.
template <class Int, class Float>
HWY_INLINE Int truncated(Float x) {
  constexpr Float kBound = sizeof(Int) == 4 ? Float(2147483648.0) : Float(9223372036854775808.0);
  // -2147483648.5 is int32's, truncated; the other formats have nothing between the least and the next below.
  constexpr bool kHasFractions = sizeof(Int) == 4 && sizeof(Float) == 8;
  const bool fits = (kHasFractions ? x > -kBound - Float{1} : x >= -kBound) && x < kBound;
  const Int whole = static_cast<Int>(fits ? x : Float{0});
  return fits ? whole : std::numeric_limits<Int>::min();
}

template <class Int, class Float>
HWY_INLINE Int integer_of(Float x) {
  if constexpr (sizeof(Int) < 4) {
    return static_cast<Int>(truncated<std::int32_t>(x));
  } else if constexpr (std::is_same_v<Int, std::uint32_t>) {
    return static_cast<std::uint32_t>(truncated<std::int64_t>(x));
  } else if constexpr (std::is_same_v<Int, std::uint64_t>) {
    constexpr Float kBound = Float(9223372036854775808.0);
    const bool upper = x >= kBound;
    const auto whole = static_cast<std::uint64_t>(truncated<std::int64_t>(upper ? x - kBound : x));
    return upper ? whole ^ (std::uint64_t{1} << 63) : whole;
  } else {
    return truncated<Int>(x);
  }
}

template <class To>
struct Cast {
  template <class From>
  HWY_INLINE To operator()(From x) const {
    if constexpr (std::is_same_v<To, Bool>) {
      if constexpr (std::is_same_v<From, Bool>)
        return {x.byte != 0};
      else if constexpr (kIsComplex<From>)
        return {static_cast<std::uint8_t>((x.re != 0) | (x.im != 0))};
      else
        return {x != 0};
    } else if constexpr (kIsComplex<To>) {
      using Part = decltype(To::re);
      if constexpr (kIsComplex<From>)
        return {static_cast<Part>(x.re), static_cast<Part>(x.im)};
      else
        return {Cast<Part>()(x), Part{0}};
    } else if constexpr (kIsComplex<From>) {
      return Cast<To>()(x.re);
    } else if constexpr (std::is_same_v<From, Bool>) {
      return static_cast<To>(x.byte != 0);
    } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      return integer_of<To>(x);
    } else {
      return static_cast<To>(x);
    }
  }
};

// To the same dtype, and between complex ones: real loops.
template <class T>
LoopFault copied(const Strip& strip) {
  if (strip.count == 0) return LoopFault::kNone;
  if (strip.is_single[0]) {
    store<T>(strip.out, 0, load<T>(strip.in[0], 0));
    fill_with_first<T>(strip);
  } else {
    std::memmove(strip.out, strip.in[0], strip.count * sizeof(T));
  }
  return LoopFault::kNone;
}
template <class To, class From>
LoopFault cast_parts(const Strip& strip) {
  if (strip.is_single[0]) return unary<Complex<To>, Complex<From>, Cast<Complex<To>>>(strip);
  return unary<To, From, Cast<To>>({.in = {strip.in[0]}, .out = strip.out, .count = 2 * strip.count});
}

// One loop for all casts that do the same to the bits: integers' signs matter only where they grow, become floats, or
// come from floats that do not fit.
template <class To, class From>
constexpr auto make_cast() {
  if constexpr (std::is_same_v<To, From> && !std::is_same_v<To, Bool>) {
    return &copied<To>;
  } else if constexpr (kIsComplex<To> && kIsComplex<From>) {
    return &cast_parts<decltype(To::re), decltype(From::re)>;
  } else if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
    using UnsignedTo = std::make_unsigned_t<To>;
    if constexpr (sizeof(To) <= sizeof(From))
      return &unary<UnsignedTo, std::make_unsigned_t<From>, Cast<UnsignedTo>>;
    else
      return &unary<UnsignedTo, From, Cast<UnsignedTo>>;
  } else if constexpr (std::is_integral_v<To> && (std::is_same_v<From, Bool> || sizeof(To) < 4)) {
    using UnsignedTo = std::make_unsigned_t<To>;
    return &unary<UnsignedTo, From, Cast<UnsignedTo>>;
  } else if constexpr (std::is_same_v<To, Bool> && std::is_integral_v<From>) {
    return &unary<Bool, std::make_unsigned_t<From>, Cast<Bool>>;
  } else {
    return &unary<To, From, Cast<To>>;
  }
}

template <class From>
Loop cast_from(DType to) {
  switch (to) {
    case DType::kBool: return make_cast<Bool, From>();
    case DType::kInt8: return make_cast<std::int8_t, From>();
    case DType::kInt16: return make_cast<std::int16_t, From>();
    case DType::kInt32: return make_cast<std::int32_t, From>();
    case DType::kInt64: return make_cast<std::int64_t, From>();
    case DType::kUint8: return make_cast<std::uint8_t, From>();
    case DType::kUint16: return make_cast<std::uint16_t, From>();
    case DType::kUint32: return make_cast<std::uint32_t, From>();
    case DType::kUint64: return make_cast<std::uint64_t, From>();
    case DType::kFloat32: return make_cast<float, From>();
    case DType::kFloat64: return make_cast<double, From>();
    case DType::kComplex64: return make_cast<Complex<float>, From>();
    case DType::kComplex128: return make_cast<Complex<double>, From>();
  }
  return nullptr;
}

Loop cast_of(DType from, DType to) {
  switch (from) {
    case DType::kBool: return cast_from<Bool>(to);
    case DType::kInt8: return cast_from<std::int8_t>(to);
    case DType::kInt16: return cast_from<std::int16_t>(to);
    case DType::kInt32: return cast_from<std::int32_t>(to);
    case DType::kInt64: return cast_from<std::int64_t>(to);
    case DType::kUint8: return cast_from<std::uint8_t>(to);
    case DType::kUint16: return cast_from<std::uint16_t>(to);
    case DType::kUint32: return cast_from<std::uint32_t>(to);
    case DType::kUint64: return cast_from<std::uint64_t>(to);
    case DType::kFloat32: return cast_from<float>(to);
    case DType::kFloat64: return cast_from<double>(to);
    case DType::kComplex64: return cast_from<Complex<float>>(to);
    case DType::kComplex128: return cast_from<Complex<double>>(to);
  }
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(cast_of);
}

Loop find_cast(DType from, DType to) {
  return HWY_DYNAMIC_DISPATCH(cast_of)(from, to);
}

}  // namespace parcompute
#endif  // HWY_ONCE
