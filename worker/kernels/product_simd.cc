#include "worker/kernels/product_simd.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/product_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// ---- without vectors, or without a fused multiply-add ----

template <class T>
HWY_INLINE T accumulate(T sum, T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return std::fma(a, b, sum);
  else if constexpr (sizeof(T) == 1)
    return static_cast<T>(sum | (a & b));
  else
    return static_cast<T>(sum + static_cast<T>(std::uint64_t{a} * std::uint64_t{b}));
}

// Strips of a row, in loops that the compiler makes vectors of where it can.
template <class T>
void multiply_plainly(const PanelProduct<T>& p) {
  constexpr std::int64_t kWidth = 64 / sizeof(T);
  for (std::int64_t i = 0; i < p.m; ++i)
    for (std::int64_t j = 0; j < p.n; j += kWidth) {
      const std::int64_t count = std::min(kWidth, p.n - j);
      T sums[kWidth]{};
      T* c = p.c + i * p.c_row + j;
      if (p.adds) std::copy_n(c, count, sums);
      const T* a = p.a + i * p.a_row;
      const T* b = p.b + j;
      for (std::int64_t l = 0; l < p.k; ++l, a += p.a_column, b += p.b_row) {
        if (count == kWidth) {
          for (std::int64_t w = 0; w < kWidth; ++w) sums[w] = accumulate(sums[w], *a, b[w]);
        } else {
          for (std::int64_t w = 0; w < count; ++w) sums[w] = accumulate(sums[w], *a, b[w]);
        }
      }
      std::copy_n(sums, count, c);
    }
}

#if HWY_TARGET != HWY_SCALAR

// ---- register blocks: kRows rows by kVectors vectors ----

template <class T, class V>
HWY_INLINE V accumulate_vectors(V sum, V a, V b) {
  if constexpr (std::is_floating_point_v<T>)
    return hn::MulAdd(a, b, sum);
  else if constexpr (sizeof(T) == 1)
    return hn::Or(sum, hn::And(a, b));
  else
    return hn::Add(sum, hn::Mul(a, b));
}

template <std::size_t kRows, std::size_t kVectors, class D, class T = hn::TFromD<D>>
HWY_INLINE void multiply_block(D d, const PanelProduct<T>& p, const T* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                               std::int64_t b_row, T* HWY_RESTRICT c) {
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  hn::Vec<D> sums[kRows][kVectors];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kVectors; ++v)
      sums[r][v] = p.adds ? hn::LoadU(d, c + static_cast<std::int64_t>(r) * p.c_row + v * kLanes) : hn::Zero(d);
  for (std::int64_t l = 0; l < p.k; ++l, b += b_row, a += p.a_column) {
    hn::Vec<D> right[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      const auto left = hn::Set(d, a[static_cast<std::int64_t>(r) * p.a_row]);
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = accumulate_vectors<T>(sums[r][v], left, right[v]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kVectors; ++v)
      hn::StoreU(sums[r][v], d, c + static_cast<std::int64_t>(r) * p.c_row + v * kLanes);
}

// All rows of a strip of columns.
template <std::size_t kMostRows, std::size_t kVectors, class D, class T = hn::TFromD<D>>
HWY_INLINE void multiply_strip(D d, const PanelProduct<T>& p, const T* b, std::int64_t b_row, T* c) {
  std::int64_t i = 0;
  constexpr auto kStep = static_cast<std::int64_t>(kMostRows);
  for (; i + kStep <= p.m; i += kStep) multiply_block<kMostRows, kVectors>(d, p, p.a + i * p.a_row, b, b_row, c + i * p.c_row);
  for (; i + 2 <= p.m; i += 2) multiply_block<2, kVectors>(d, p, p.a + i * p.a_row, b, b_row, c + i * p.c_row);
  for (; i < p.m; ++i) multiply_block<1, kVectors>(d, p, p.a + i * p.a_row, b, b_row, c + i * p.c_row);
}

// As many registers as there are: 32 with AVX-512, else 16.
constexpr std::size_t kWide = HWY_TARGET == HWY_AVX3 ? 4 : 2;

template <class T>
void multiply_vectors(const PanelProduct<T>& p) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr auto kStrip = static_cast<std::int64_t>(kWide) * kLanes;
  std::int64_t j = 0;
  for (; j + kStrip <= p.n; j += kStrip) multiply_strip<4, kWide>(d, p, p.b + j, p.b_row, p.c + j);
  if (kWide > 2 && j + 2 * kLanes <= p.n) {
    multiply_strip<(kWide > 2 ? 8 : 4), 2>(d, p, p.b + j, p.b_row, p.c + j);
    j += 2 * kLanes;
  }
  if (j + kLanes <= p.n) {
    multiply_strip<8, 1>(d, p, p.b + j, p.b_row, p.c + j);
    j += kLanes;
  }
  if (j == p.n) return;
  // The columns that fill no vector, beside zeros; nothing behind a row's end is read or written.
  const std::int64_t rest = p.n - j;
  alignas(64) T right[static_cast<std::size_t>(kMostRaggedDepth * kLanes)];
  for (std::int64_t l = 0; l < p.k; ++l) {
    std::memcpy(right + l * kLanes, p.b + l * p.b_row + j, static_cast<std::size_t>(rest) * sizeof(T));
    std::fill_n(right + l * kLanes + rest, kLanes - rest, T{0});
  }
  constexpr std::int64_t kRowsAtOnce = 32;
  alignas(64) T result[static_cast<std::size_t>(kRowsAtOnce * kLanes)];
  for (std::int64_t i = 0; i < p.m; i += kRowsAtOnce) {
    PanelProduct<T> q = p;
    q.m = std::min(kRowsAtOnce, p.m - i);
    q.a = p.a + i * p.a_row;
    q.c_row = kLanes;
    T* c = p.c + i * p.c_row + j;
    if (p.adds)
      for (std::int64_t r = 0; r < q.m; ++r) {
        std::memcpy(result + r * kLanes, c + r * p.c_row, static_cast<std::size_t>(rest) * sizeof(T));
        std::fill_n(result + r * kLanes + rest, kLanes - rest, T{0});
      }
    multiply_strip<8, 1>(d, q, right, kLanes, result);
    for (std::int64_t r = 0; r < q.m; ++r)
      std::memcpy(c + r * p.c_row, result + r * kLanes, static_cast<std::size_t>(rest) * sizeof(T));
  }
}

#endif

template <class T>
void multiply_any(const PanelProduct<T>& p) {
#if HWY_TARGET == HWY_SCALAR
  multiply_plainly(p);
#else
  if constexpr (std::is_floating_point_v<T> && !HWY_NATIVE_FMA)
    multiply_plainly(p);
  else
    multiply_vectors(p);
#endif
}

void multiply_f32(const PanelProduct<float>& p) { multiply_any(p); }
void multiply_f64(const PanelProduct<double>& p) { multiply_any(p); }
void multiply_u8(const PanelProduct<std::uint8_t>& p) { multiply_any(p); }
void multiply_u16(const PanelProduct<std::uint16_t>& p) { multiply_any(p); }
void multiply_u32(const PanelProduct<std::uint32_t>& p) { multiply_any(p); }
void multiply_u64(const PanelProduct<std::uint64_t>& p) { multiply_any(p); }

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {

HWY_EXPORT(multiply_f32);
HWY_EXPORT(multiply_f64);
HWY_EXPORT(multiply_u8);
HWY_EXPORT(multiply_u16);
HWY_EXPORT(multiply_u32);
HWY_EXPORT(multiply_u64);

}  // namespace

void multiply_panel(const PanelProduct<float>& p) { HWY_DYNAMIC_DISPATCH(multiply_f32)(p); }
void multiply_panel(const PanelProduct<double>& p) { HWY_DYNAMIC_DISPATCH(multiply_f64)(p); }
void multiply_panel(const PanelProduct<std::uint8_t>& p) { HWY_DYNAMIC_DISPATCH(multiply_u8)(p); }
void multiply_panel(const PanelProduct<std::uint16_t>& p) { HWY_DYNAMIC_DISPATCH(multiply_u16)(p); }
void multiply_panel(const PanelProduct<std::uint32_t>& p) { HWY_DYNAMIC_DISPATCH(multiply_u32)(p); }
void multiply_panel(const PanelProduct<std::uint64_t>& p) { HWY_DYNAMIC_DISPATCH(multiply_u64)(p); }

}  // namespace parcompute
#endif  // HWY_ONCE
