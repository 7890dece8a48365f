#include "worker/kernels/product_simd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "worker/kernels/canonical.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/product_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
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
      std::transform(sums, sums + count, c, [](T sum) { return canonical(sum); });
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

// The next product's lines, one after another.
class Lines {
 public:
  template <class T>
  explicit Lines(const PanelProduct<T>& p)
      : at_(p.ahead[0].data), end_(at_ + p.ahead[0].bytes), then_(p.ahead[1].data), then_end_(then_ + p.ahead[1].bytes) {}
  HWY_INLINE void next() {
    if (at_ < end_) {
      hwy::Prefetch(at_);
      at_ += 64;
    } else if (then_ != nullptr) {
      at_ = then_;
      end_ = then_end_;
      then_ = nullptr;
    }
  }

 private:
  const std::byte *at_, *end_, *then_, *then_end_;
};

template <std::size_t kRows, std::size_t kVectors, bool kAhead, class D, class T = hn::TFromD<D>>
HWY_INLINE void multiply_block(D d, const PanelProduct<T>& p, const T* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                               T* HWY_RESTRICT c, Lines& lines) {
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  hn::Vec<D> sums[kRows][kVectors];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kVectors; ++v)
      sums[r][v] = p.adds ? hn::LoadU(d, c + static_cast<std::int64_t>(r) * p.c_row + v * kLanes) : hn::Zero(d);
  for (std::int64_t l = 0; l < p.k; ++l, b += p.b_row, a += p.a_column) {
    if constexpr (kAhead) lines.next();
    hn::Vec<D> right[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      const auto left = hn::Set(d, a[static_cast<std::int64_t>(r) * p.a_row]);
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = accumulate_vectors<T>(sums[r][v], left, right[v]);
    }
  }
  if constexpr (std::is_floating_point_v<T>) {
    const auto nan = hn::Set(d, std::numeric_limits<T>::quiet_NaN());
    for (std::size_t r = 0; r < kRows; ++r)
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = hn::IfThenElse(hn::IsNaN(sums[r][v]), nan, sums[r][v]);
    if (p.streams) {
      for (std::size_t r = 0; r < kRows; ++r)
        for (std::size_t v = 0; v < kVectors; ++v) hn::Stream(sums[r][v], d, c + static_cast<std::int64_t>(r) * p.c_row + v * kLanes);
      return;
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kVectors; ++v)
      hn::StoreU(sums[r][v], d, c + static_cast<std::int64_t>(r) * p.c_row + v * kLanes);
}

// All rows of a strip of columns that begins at column j.
template <std::size_t kMostRows, std::size_t kVectors, bool kAhead, class D, class T = hn::TFromD<D>>
HWY_INLINE void multiply_strip(D d, const PanelProduct<T>& p, std::int64_t j, Lines& lines) {
  std::int64_t i = 0;
  constexpr auto kStep = static_cast<std::int64_t>(kMostRows);
  const auto block = [&](auto rows) HWY_ATTR {
    multiply_block<rows(), kVectors, kAhead>(d, p, p.a + i * p.a_row, p.b + j, p.c + i * p.c_row + j, lines);
  };
  for (; i + kStep <= p.m; i += kStep) block(std::integral_constant<std::size_t, kMostRows>());
  if constexpr (kMostRows > 4)
    for (; i + 4 <= p.m; i += 4) block(std::integral_constant<std::size_t, 4>());
  for (; i + 2 <= p.m; i += 2) block(std::integral_constant<std::size_t, 2>());
  for (; i < p.m; ++i) block(std::integral_constant<std::size_t, 1>());
}

// As many registers as there are: 32 with AVX-512, else 16.
constexpr std::size_t kWide = HWY_TARGET == HWY_AVX3 ? 4 : 2;

// The columns from j on that fill no vector of kLanes: by halves, so that nothing behind a row's end is touched.
template <std::size_t kLanes, bool kAhead, class T>
HWY_INLINE void multiply_rest(const PanelProduct<T>& p, std::int64_t j, Lines& lines) {
  if constexpr (kLanes > 1) {
    constexpr std::size_t kHalf = kLanes / 2;
    if (p.n - j >= static_cast<std::int64_t>(kHalf)) {
      multiply_strip<8, 1, kAhead>(hn::CappedTag<T, kHalf>(), p, j, lines);
      j += static_cast<std::int64_t>(kHalf);
    }
    multiply_rest<kHalf, kAhead>(p, j, lines);
  }
}

template <bool kAhead, class T>
void multiply_vectors(const PanelProduct<T>& p) {
  const hn::ScalableTag<T> d;
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr auto kStrip = static_cast<std::int64_t>(kWide) * kLanes;
  Lines lines(p);
  std::int64_t j = 0;
  for (; j + kStrip <= p.n; j += kStrip) multiply_strip<4, kWide, kAhead>(d, p, j, lines);
  if (kWide > 2 && j + 2 * kLanes <= p.n) {
    multiply_strip<8, 2, kAhead>(d, p, j, lines);
    j += 2 * kLanes;
  }
  if (j + kLanes <= p.n) {
    multiply_strip<8, 1, kAhead>(d, p, j, lines);
    j += kLanes;
  }
  if constexpr (std::is_floating_point_v<T>) multiply_rest<hn::MaxLanes(d), kAhead>(p, j, lines);
}

#endif

template <class T>
void multiply_any(const PanelProduct<T>& p) {
#if HWY_TARGET == HWY_SCALAR
  multiply_plainly(p);
#else
  if constexpr (std::is_floating_point_v<T> && !HWY_NATIVE_FMA)
    multiply_plainly(p);
  else if constexpr (std::is_integral_v<T>)
    multiply_vectors<false>(p);
  else if (p.ahead[0].data == nullptr)
    multiply_vectors<false>(p);
  else
    multiply_vectors<true>(p);
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
