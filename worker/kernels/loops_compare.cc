// Comparisons of everything but complex, and `where` of everything.
#include "worker/kernels/loops_families.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/loops_compare.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "worker/kernels/loops_strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

using namespace strips;

// Bools compare as 0 and 1.
template <class T>
HWY_INLINE T value_of(T x) {
  return x;
}
HWY_INLINE std::uint8_t value_of(Bool x) {
  return x.byte != 0;
}

struct Equal {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T a, T b) const {
    return value_of(a) == value_of(b);
  }
};
struct NotEqual {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T a, T b) const {
    return value_of(a) != value_of(b);
  }
};
struct Less {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T a, T b) const {
    return value_of(a) < value_of(b);
  }
};
struct LessEqual {
  template <class T>
  HWY_INLINE std::uint8_t operator()(T a, T b) const {
    return value_of(a) <= value_of(b);
  }
};

template <class T>
Loop compare_loop(Op op) {
  switch (op) {
    case Op::kEqual: return binary<std::uint8_t, T, Equal>;
    case Op::kNotEqual: return binary<std::uint8_t, T, NotEqual>;
    case Op::kLess: return binary<std::uint8_t, T, Less>;
    case Op::kLessEqual: return binary<std::uint8_t, T, LessEqual>;
    case Op::kGreater: return swapped<binary<std::uint8_t, T, Less>>;
    case Op::kGreaterEqual: return swapped<binary<std::uint8_t, T, LessEqual>>;
    default: return nullptr;
  }
}

// ---- where ----

// Elements are moved as integers of their size; a bool becomes 0 or 1.
struct Sixteen {
  std::uint64_t low, high;
};

template <class T>
HWY_INLINE T chosen(bool condition, T a, T b) {
  return condition ? a : b;
}
HWY_INLINE Sixteen chosen(bool condition, Sixteen a, Sixteen b) {
  return {condition ? a.low : b.low, condition ? a.high : b.high};
}
HWY_INLINE Bool chosen(bool condition, Bool a, Bool b) {
  return {static_cast<std::uint8_t>((condition ? a.byte : b.byte) != 0)};
}

template <class T, bool kSingleA, bool kSingleB>
HWY_INLINE void where_dense(const Strip& strip) {
  const void* condition = strip.in[0];
  const void* a = strip.in[1];
  const void* b = strip.in[2];
  void* out = strip.out;
  const std::size_t count = strip.count;
  const T first_a = load<T>(a, 0);
  const T first_b = load<T>(b, 0);
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i)
    store<T>(out, i,
             chosen(load<std::uint8_t>(condition, i) != 0, kSingleA ? first_a : load<T>(a, i),
                    kSingleB ? first_b : load<T>(b, i)));
}

template <class T>
void where_by_singles(const Strip& strip) {
  if (strip.is_single[1])
    strip.is_single[2] ? where_dense<T, true, true>(strip) : where_dense<T, true, false>(strip);
  else
    strip.is_single[2] ? where_dense<T, false, true>(strip) : where_dense<T, false, false>(strip);
}

template <class T>
LoopFault where(const Strip& strip) {
  if (strip.count == 0) return LoopFault::kNone;
  const bool overwrites_condition = strip.out == strip.in[0] && sizeof(T) > 1;
  if (!strip.is_single[0] && !overwrites_condition) {
    where_by_singles<T>(strip);
    return LoopFault::kNone;
  }
  // A single condition is repeated; one that is written over is copied, from the end.
  std::uint8_t conditions[kPart];
  if (strip.is_single[0]) std::memset(conditions, load<std::uint8_t>(strip.in[0], 0), std::min(kPart, strip.count));
  // A single value may be what is written over, too.
  T values[2];
  for (std::size_t k = 0; k < 2; ++k) values[k] = load<T>(strip.in[k + 1], 0);
  for (std::size_t end = strip.count; end > 0;) {
    const std::size_t first = end > kPart ? end - kPart : 0;
    Strip part = part_of<T, std::uint8_t, T, T>(strip, first, end - first);
    if (!strip.is_single[0]) std::memcpy(conditions, part.in[0], end - first);
    part.in[0] = conditions;
    part.is_single[0] = false;
    for (std::size_t k = 0; k < 2; ++k)
      if (strip.is_single[k + 1]) part.in[k + 1] = &values[k];
    where_by_singles<T>(part);
    end = first;
  }
  return LoopFault::kNone;
}

Loop where_loop(DType dtype) {
  if (dtype == DType::kBool) return where<Bool>;
  switch (itemsize(dtype)) {
    case 1: return where<std::uint8_t>;
    case 2: return where<std::uint16_t>;
    case 4: return where<std::uint32_t>;
    case 8: return where<std::uint64_t>;
    default: return where<Sixteen>;
  }
}

Loop compare_loop_of(Op op, DType dtype) {
  if (op == Op::kWhere) return where_loop(dtype);
  switch (dtype) {
    case DType::kBool: return compare_loop<Bool>(op);
    case DType::kInt8: return compare_loop<std::int8_t>(op);
    case DType::kInt16: return compare_loop<std::int16_t>(op);
    case DType::kInt32: return compare_loop<std::int32_t>(op);
    case DType::kInt64: return compare_loop<std::int64_t>(op);
    case DType::kUint8: return compare_loop<std::uint8_t>(op);
    case DType::kUint16: return compare_loop<std::uint16_t>(op);
    case DType::kUint32: return compare_loop<std::uint32_t>(op);
    case DType::kUint64: return compare_loop<std::uint64_t>(op);
    case DType::kFloat32: return compare_loop<float>(op);
    case DType::kFloat64: return compare_loop<double>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(compare_loop_of);
}

Loop find_compare_loop(Op op, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(compare_loop_of)(op, dtype);
}

}  // namespace parcompute
#endif  // HWY_ONCE
