#include "worker/kernels/reduce_loops.h"

#include <algorithm>
#include <cmath>

#include "worker/kernels/reduce_policies.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/reduce_loops.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

using namespace reduction;

// Rows that meet a column's words while those are in registers. Positions and complex numbers gain nothing from more.
constexpr std::size_t kRowsAtOnce = 8;
template <class P>
constexpr std::size_t rows_at_once() {
  return kTellsPosition<P> || (P::kWords > 1 && !std::is_base_of_v<SumPair, P>) ? 1 : kRowsAtOnce;
}

// Rows one behind the other are met column by column, which is no order that the processor's own prefetching follows: so the
// next `kRowsAtOnce` come early. Behind the last row that may be nothing, and does no harm.
template <class T>
HWY_INLINE void prefetch_next(const T* x, std::uint64_t stride, std::size_t columns) {
  constexpr std::uint64_t kMostBytes = 8 * 1024;
  const std::uint64_t bytes = kRowsAtOnce * columns * sizeof(T);
  if (stride != columns || bytes > kMostBytes) return;
  const auto* next = reinterpret_cast<const std::byte*>(x) + bytes;
  for (std::uint64_t at = 0; at < bytes; at += 64) hwy::Prefetch(next + at);
}

// Plain loops over columns: the compiler makes vectors of them.
template <class P, std::size_t kRows>
void add_some(typename P::Word* HWY_RESTRICT words, std::size_t width, const typename P::In* HWY_RESTRICT x, const RowsToAdd& all, std::int64_t first_row) {
  // A column's words are its own.
#pragma GCC ivdep
  for (std::size_t c = 0; c < all.columns; ++c) {
    typename P::Word w[P::kWords];
    for (std::size_t k = 0; k < P::kWords; ++k) w[k] = words[k * width + c];
    for (std::size_t r = 0; r < kRows; ++r) {
      if constexpr (kTellsPosition<P>)
        P::step(w, x[r * all.stride + c], all.index + (first_row + static_cast<std::int64_t>(r)) * all.index_per_row + static_cast<std::int64_t>(c) * all.index_per_column);
      else
        P::step(w, x[r * all.stride + c]);
    }
    for (std::size_t k = 0; k < P::kWords; ++k) words[k * width + c] = w[k];
  }
}

template <class P>
void add_rows(void* words, std::size_t width, const RowsToAdd& all) {
  auto* to = static_cast<typename P::Word*>(words);
  const auto* x = reinterpret_cast<const typename P::In*>(all.x);
  std::uint64_t row = 0;
  if constexpr (rows_at_once<P>() > 1)
    for (; row + kRowsAtOnce <= all.rows; row += kRowsAtOnce, x += kRowsAtOnce * all.stride) {
      prefetch_next(x, all.stride, all.columns);
      add_some<P, kRowsAtOnce>(to, width, x, all, static_cast<std::int64_t>(row));
    }
  for (; row < all.rows; ++row, x += all.stride) add_some<P, 1>(to, width, x, all, static_cast<std::int64_t>(row));
}

template <Addend kAddend, class T>
HWY_INLINE T addend_of(T x, T y) {
  if constexpr (kAddend == Addend::kProduct) return x * y;
  const T difference = x - y;
  return kAddend == Addend::kDistance ? std::fabs(difference) : difference * difference;
}

template <class P, Addend kAddend, std::size_t kRows, class T = typename P::In>
void add_some_addends(typename P::Word* HWY_RESTRICT words, std::size_t width, const T* x, const T* y, std::uint64_t stride, std::size_t columns) {
#pragma GCC ivdep
  for (std::size_t c = 0; c < columns; ++c) {
    typename P::Word w[P::kWords];
    for (std::size_t k = 0; k < P::kWords; ++k) w[k] = words[k * width + c];
    for (std::size_t r = 0; r < kRows; ++r) P::step(w, addend_of<kAddend, T>(x[r * stride + c], y[r * stride + c]));
    for (std::size_t k = 0; k < P::kWords; ++k) words[k * width + c] = w[k];
  }
}

template <class P, Addend kAddend>
void add_addends(void* words, std::size_t width, const RowsToAdd& all) {
  auto* to = static_cast<typename P::Word*>(words);
  const auto* x = reinterpret_cast<const typename P::In*>(all.x);
  const auto* y = reinterpret_cast<const typename P::In*>(all.y);
  const std::uint64_t step = kRowsAtOnce * all.stride;
  std::uint64_t row = 0;
  for (; row + kRowsAtOnce <= all.rows; row += kRowsAtOnce, x += step, y += step) {
    prefetch_next(x, all.stride, all.columns);
    if (x != y) prefetch_next(y, all.stride, all.columns);
    add_some_addends<P, kAddend, kRowsAtOnce>(to, width, x, y, all.stride, all.columns);
  }
  for (; row < all.rows; ++row, x += all.stride, y += all.stride) add_some_addends<P, kAddend, 1>(to, width, x, y, all.stride, all.columns);
}

// Small whole numbers: as many rows as cannot overflow are added in words of twice their size, of which a vector holds more.
template <class T>
void add_narrow_rows(void* words, std::size_t width, const RowsToAdd& all) {
  using Narrow = std::conditional_t<sizeof(T) == 1, std::conditional_t<std::is_signed_v<T>, std::int16_t, std::uint16_t>,
                                    std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>>;
  constexpr std::uint64_t kNarrowRows = sizeof(T) == 1 ? 256 : 65536;
  constexpr std::size_t kNarrowColumns = 256;
  (void)width;
  auto* to = static_cast<std::uint64_t*>(words);
  const auto* x = reinterpret_cast<const T*>(all.x);
  for (std::size_t first = 0; first < all.columns; first += kNarrowColumns) {
    const std::size_t columns = std::min(kNarrowColumns, all.columns - first);
    for (std::uint64_t row = 0; row < all.rows; row += kNarrowRows) {
      const std::uint64_t end = std::min(all.rows, row + kNarrowRows);
      alignas(64) Narrow sums[kNarrowColumns] = {};
      std::uint64_t r = row;
      for (; r + kRowsAtOnce <= end; r += kRowsAtOnce) {
        const T* HWY_RESTRICT from = x + r * all.stride + first;
        for (std::size_t c = 0; c < columns; ++c) {
          Narrow sum = sums[c];
          for (std::size_t i = 0; i < kRowsAtOnce; ++i) {
            if constexpr (std::is_same_v<T, TruthByte>) sum = static_cast<Narrow>(sum + (from[i * all.stride + c] != TruthByte{} ? 1 : 0));
            else sum = static_cast<Narrow>(sum + from[i * all.stride + c]);
          }
          sums[c] = sum;
        }
      }
      for (; r < end; ++r)
        for (std::size_t c = 0; c < columns; ++c) sums[c] = static_cast<Narrow>(static_cast<std::uint64_t>(sums[c]) + widened(x[r * all.stride + first + c]));
      for (std::size_t c = 0; c < columns; ++c) to[first + c] += widened(sums[c]);
    }
  }
}

// The deviations of a column's rows, and their squares, summed in pairs: fewer roundings one after the other, and less to
// wait for.
template <std::size_t kRows, class T>
HWY_INLINE double deviation_of(const T* x, std::uint64_t stride, double centre) {
  if constexpr (kRows == 1) return static_cast<double>(*x) - centre;
  else return deviation_of<kRows / 2>(x, stride, centre) + deviation_of<kRows / 2>(x + kRows / 2 * stride, stride, centre);
}
template <std::size_t kRows, class T>
HWY_INLINE double square_of(const T* x, std::uint64_t stride, double centre) {
  if constexpr (kRows == 1) return (static_cast<double>(*x) - centre) * (static_cast<double>(*x) - centre);
  else return square_of<kRows / 2>(x, stride, centre) + square_of<kRows / 2>(x + kRows / 2 * stride, stride, centre);
}

// Sums of deviations from a centre, and of their squares.
template <class T, std::size_t kRows>
void add_some_deviations(double* HWY_RESTRICT sums, double* HWY_RESTRICT squares, const double* HWY_RESTRICT centres, const T* HWY_RESTRICT x,
                         std::uint64_t stride, std::size_t columns) {
#pragma GCC ivdep
  for (std::size_t c = 0; c < columns; ++c) {
    const double centre = centres[c];
    sums[c] += deviation_of<kRows>(x + c, stride, centre);
    squares[c] += square_of<kRows>(x + c, stride, centre);
  }
}

template <class T>
void add_deviations(void* words, std::size_t width, const RowsToAdd& all) {
  auto* sums = static_cast<double*>(words);
  const auto* x = reinterpret_cast<const T*>(all.x);
  std::uint64_t row = 0;
  for (; row + kRowsAtOnce <= all.rows; row += kRowsAtOnce, x += kRowsAtOnce * all.stride) {
    prefetch_next(x, all.stride, all.columns);
    add_some_deviations<T, kRowsAtOnce>(sums, sums + width, all.centres, x, all.stride, all.columns);
  }
  for (; row < all.rows; ++row, x += all.stride) add_some_deviations<T, 1>(sums, sums + width, all.centres, x, all.stride, all.columns);
}

AddRows find(Reducer reducer, DType dtype) {
  if (reducer == Reducer::kVar) return real_dtype(dtype) == DType::kFloat32 ? &add_deviations<float> : &add_deviations<double>;
  AddRows found = nullptr;
  visit_policy(reducer, dtype, [&]<class P>(std::type_identity<P>) {
    if constexpr (requires { typename P::In; requires std::is_same_v<P, SumIntegers<typename P::In>>; requires sizeof(typename P::In) <= 2; })
      found = &add_narrow_rows<typename P::In>;
    else
      found = &add_rows<P>;
  });
  return found;
}

template <class P>
AddRows find_addends_of(Addend addend) {
  switch (addend) {
    case Addend::kElement: return &add_rows<P>;
    case Addend::kProduct: return &add_addends<P, Addend::kProduct>;
    case Addend::kSquaredDifference: return &add_addends<P, Addend::kSquaredDifference>;
    case Addend::kDistance: return &add_addends<P, Addend::kDistance>;
  }
  __builtin_unreachable();
}

AddRows find_addends(Addend addend, DType dtype) {
  return dtype == DType::kFloat32 ? find_addends_of<SumWide<float>>(addend) : find_addends_of<SumPair>(addend);
}

AddRows find_plain(DType dtype) {
  return real_dtype(dtype) == DType::kFloat32 ? &add_rows<SumWide<float>> : &add_rows<SumWide<double>>;
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {

HWY_EXPORT(find);
HWY_EXPORT(find_addends);
HWY_EXPORT(find_plain);

AddRows find_add_rows(Reducer reducer, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(find)(reducer, dtype);
}
AddRows find_add_addends(Addend addend, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(find_addends)(addend, dtype);
}
AddRows find_add_plainly(DType dtype) {
  return HWY_DYNAMIC_DISPATCH(find_plain)(dtype);
}

}  // namespace parcompute
#endif
