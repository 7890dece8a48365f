// How a function of elements becomes a loop over a strip. Included once for every instruction set, after Highway's
// headers; plain C++ that the compiler makes vectors of.
//
// A function is a type without state, called with elements. Elements are read and written with memcpy: strips lie at
// any alignment, and the same loop serves signed and unsigned. `ivdep` tells the compiler what Strip promises: that
// `out` is an operand's own address or overlaps none, so no element's result is another's operand.
#if defined(PARCOMPUTE_LOOPS_STRIP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PARCOMPUTE_LOOPS_STRIP_INL_H
#undef PARCOMPUTE_LOOPS_STRIP_INL_H
#else
#define PARCOMPUTE_LOOPS_STRIP_INL_H
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "worker/kernels/loops.h"

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {
namespace strips {

// A bool in memory: any byte, true unless 0.
struct Bool {
  std::uint8_t byte;
};

template <class T>
struct Complex {
  T re, im;
};

template <class T>
HWY_INLINE T load(const void* base, std::size_t i) {
  T x;
  std::memcpy(&x, static_cast<const std::byte*>(base) + i * sizeof(T), sizeof(T));
  return x;
}

template <class T>
HWY_INLINE void store(void* base, std::size_t i, T x) {
  std::memcpy(static_cast<std::byte*>(base) + i * sizeof(T), &x, sizeof(T));
}

// `out` filled with its first element.
template <class T>
void fill_with_first(const Strip& strip) {
  const T x = load<T>(strip.out, 0);
#pragma GCC ivdep
  for (std::size_t i = 1; i < strip.count; ++i) store<T>(strip.out, i, x);
}

// The elements of a strip's part, from `first`.
template <class Out, class... In>
Strip part_of(const Strip& strip, std::size_t first, std::size_t count) {
  constexpr std::size_t kSizes[] = {sizeof(In)...};
  Strip part = strip;
  for (std::size_t k = 0; k < sizeof...(In); ++k)
    if (!strip.is_single[k]) part.in[k] = static_cast<const std::byte*>(strip.in[k]) + first * kSizes[k];
  part.out = static_cast<std::byte*>(strip.out) + first * sizeof(Out);
  part.count = count;
  return part;
}

constexpr std::size_t kPart = 256;

// ---- one operand ----

template <class Out, class In, class F>
HWY_INLINE void unary_dense(const void* in, void* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < count; ++i) store<Out>(out, i, F()(load<In>(in, i)));
}

template <class Out, class In, class F>
LoopFault unary(const Strip& strip) {
  if (strip.count == 0) return LoopFault::kNone;
  if (strip.is_single[0]) {
    store<Out>(strip.out, 0, F()(load<In>(strip.in[0], 0)));
    fill_with_first<Out>(strip);
    return LoopFault::kNone;
  }
  if constexpr (sizeof(Out) > sizeof(In)) {
    // In place and growing: from the end, so that nothing is overwritten unread.
    if (strip.out == strip.in[0]) {
      for (std::size_t end = strip.count; end > 0;) {
        const std::size_t first = end > kPart ? end - kPart : 0;
        std::byte copy[kPart * sizeof(In)];
        std::memcpy(copy, static_cast<const std::byte*>(strip.in[0]) + first * sizeof(In), (end - first) * sizeof(In));
        unary_dense<Out, In, F>(copy, static_cast<std::byte*>(strip.out) + first * sizeof(Out), end - first);
        end = first;
      }
      return LoopFault::kNone;
    }
  }
  unary_dense<Out, In, F>(strip.in[0], strip.out, strip.count);
  return LoopFault::kNone;
}

// ---- two operands ----

// A loop for each of dense and single: for what is as quick as its loads.
template <class Out, class In, class F>
LoopFault binary(const Strip& strip) {
  if (strip.count == 0) return LoopFault::kNone;
  const void* a = strip.in[0];
  const void* b = strip.in[1];
  void* out = strip.out;
  const std::size_t count = strip.count;
  if (strip.is_single[0] && strip.is_single[1]) {
    store<Out>(out, 0, F()(load<In>(a, 0), load<In>(b, 0)));
    fill_with_first<Out>(strip);
  } else if (strip.is_single[0]) {
    const In x = load<In>(a, 0);
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i) store<Out>(out, i, F()(x, load<In>(b, i)));
  } else if (strip.is_single[1]) {
    const In y = load<In>(b, 0);
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i) store<Out>(out, i, F()(load<In>(a, i), y));
  } else {
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i) store<Out>(out, i, F()(load<In>(a, i), load<In>(b, i)));
  }
  return LoopFault::kNone;
}

// Runs `dense` over parts of the strip, with a single operand made dense: for what takes long beside a copy, and needs
// one loop instead of three. `dense` is called as (a, b, out, count) and answers the fault.
template <class Out, class In, class Dense>
LoopFault in_dense_parts(const Strip& strip, Dense dense) {
  if (!strip.is_single[0] && !strip.is_single[1]) return dense(strip.in[0], strip.in[1], strip.out, strip.count);
  std::byte copies[2][kPart * sizeof(In)];
  const std::size_t longest = std::min(kPart, strip.count);
  for (std::size_t k = 0; k < 2; ++k)
    if (strip.is_single[k])
      for (std::size_t i = 0; i < longest; ++i) std::memcpy(copies[k] + i * sizeof(In), strip.in[k], sizeof(In));
  for (std::size_t first = 0; first < strip.count; first += kPart) {
    const Strip part = part_of<Out, In, In>(strip, first, std::min(kPart, strip.count - first));
    const LoopFault fault = dense(strip.is_single[0] ? copies[0] : part.in[0],
                                  strip.is_single[1] ? copies[1] : part.in[1], part.out, part.count);
    if (fault != LoopFault::kNone) return fault;
  }
  return LoopFault::kNone;
}

template <class Out, class In, class F>
LoopFault slow_binary(const Strip& strip) {
  return in_dense_parts<Out, In>(strip, [](const void* a, const void* b, void* out, std::size_t count) {
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i) store<Out>(out, i, F()(load<In>(a, i), load<In>(b, i)));
    return LoopFault::kNone;
  });
}

// The loop of an op whose operands are the other one's, swapped: a > b is b < a.
template <Loop kLoop>
LoopFault swapped(const Strip& strip) {
  Strip other = strip;
  std::swap(other.in[0], other.in[1]);
  std::swap(other.is_single[0], other.is_single[1]);
  return kLoop(other);
}

}  // namespace strips
}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#endif
