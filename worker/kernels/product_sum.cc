#include "worker/kernels/product_sum.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/product_sum.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A NaN that was computed is the positive quiet one, as in loops_float.cc: whatever made it, that one is left at the end.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V joined(D d, V a, V x, V b, V y, bool subtracts) {
  const V left = hn::Mul(a, x), right = hn::Mul(b, y);
  const V sum = subtracts ? hn::Sub(left, right) : hn::Add(left, right);
  return hn::IfThenElse(hn::IsNaN(sum), hn::Set(d, std::numeric_limits<hn::TFromD<D>>::quiet_NaN()), sum);
}

template <class T, bool kSubtracts, bool kStreams>
void run(const ProductSum& s) {
  using D = hn::ScalableTag<T>;
  const D d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  constexpr std::size_t kBytes = kLanes * sizeof(T);
  // A single operand is a vector that the loop does not leave.
  HWY_ALIGN T singles[4][kLanes];
  const T* in[4];
  std::size_t step[4];
  for (std::size_t k = 0; k < 4; ++k) {
    in[k] = static_cast<const T*>(s.in[k]);
    step[k] = s.is_single[k] ? 0 : 1;
    if (!s.is_single[k]) continue;
    T value;
    std::memcpy(&value, s.in[k], sizeof value);  // a program's constants lie anywhere
    std::fill_n(singles[k], kLanes, value);
    in[k] = singles[k];
  }
  T* HWY_RESTRICT out = static_cast<T*>(s.out);
  std::size_t i = 0;
  const auto one = [&]() HWY_ATTR {
    const hn::CappedTag<T, 1> d1;
    const auto at = [&](std::size_t k) HWY_ATTR { return hn::Set(d1, in[k][i * step[k]]); };
    out[i] = hn::GetLane(joined(d1, at(0), at(1), at(2), at(3), kSubtracts));
    ++i;
  };
  if constexpr (kStreams)
    while (i < s.count && reinterpret_cast<std::uintptr_t>(out + i) % std::max<std::size_t>(kBytes, 64) != 0) one();
  for (; i + kLanes <= s.count; i += kLanes) {
    const auto sum = joined(d, hn::LoadU(d, in[0] + i * step[0]), hn::LoadU(d, in[1] + i * step[1]), hn::LoadU(d, in[2] + i * step[2]),
                            hn::LoadU(d, in[3] + i * step[3]), kSubtracts);
    if constexpr (kStreams) hn::Stream(sum, d, out + i);
    else hn::StoreU(sum, d, out + i);
  }
  while (i < s.count) one();
}

template <class T>
void run_any(const ProductSum& s) {
  if (s.subtracts) s.streams ? run<T, true, true>(s) : run<T, true, false>(s);
  else s.streams ? run<T, false, true>(s) : run<T, false, false>(s);
}

void add_products_f32(const ProductSum& s) { run_any<float>(s); }
void add_products_f64(const ProductSum& s) { run_any<double>(s); }

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(add_products_f32);
HWY_EXPORT(add_products_f64);
}  // namespace

void add_products(DType dtype, const ProductSum& sum) {
  if (dtype == DType::kFloat32) HWY_DYNAMIC_DISPATCH(add_products_f32)(sum);
  else HWY_DYNAMIC_DISPATCH(add_products_f64)(sum);
}

}  // namespace parcompute
#endif  // HWY_ONCE
