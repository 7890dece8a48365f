#include "worker/kernels/dot_simd.h"

#include <algorithm>
#include <complex>
#include <cstring>
#include <type_traits>

#include "common/operation/products_plan.h"
#include "worker/kernels/pairwise.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/dot_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kLanes = 32;

template <class T>
HWY_INLINE T load(const std::byte* bytes, std::size_t index) {
  T x;
  std::memcpy(&x, bytes + index * sizeof(T), sizeof(T));
  return x;
}

HWY_INLINE double fold(double* lanes) {
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

// ---- real floats: T is float or double ----

#if HWY_TARGET != HWY_SCALAR
template <class T, class D>
HWY_INLINE hn::Vec<D> load_vector(D d, const std::byte* bytes, std::size_t index) {
  const T* at = reinterpret_cast<const T*>(bytes) + index;
  if constexpr (sizeof(T) == 8)
    return hn::LoadU(d, at);
  else
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), at));
}
#endif

// Lanes of a_i b_i and, where kCrossed, of a_i b_(i ^ 1) beside them.
template <class T, bool kCrossed>
HWY_INLINE void fill_lanes(const std::byte* a, const std::byte* b, std::size_t count, double* lanes, double* crossed) {
  const std::size_t whole = count / kLanes * kLanes;
#if HWY_TARGET == HWY_SCALAR
  std::fill_n(lanes, kLanes, 0.0);
  if (kCrossed) std::fill_n(crossed, kLanes, 0.0);
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += double{load<T>(a, i + l)} * double{load<T>(b, i + l)};
    if (kCrossed)
      for (std::size_t l = 0; l < kLanes; ++l) crossed[l] += double{load<T>(a, i + l)} * double{load<T>(b, (i + l) ^ 1)};
  }
#else
  const hn::CappedTag<double, kLanes> d;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  constexpr std::size_t kVectors = kLanes / kWidth;
  hn::Vec<decltype(d)> sums[kVectors], crossed_sums[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) sums[v] = crossed_sums[v] = hn::Zero(d);
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto x = load_vector<T>(d, a, i + v * kWidth);
      const auto y = load_vector<T>(d, b, i + v * kWidth);
      sums[v] = hn::Add(sums[v], hn::Mul(x, y));
      if constexpr (kCrossed) crossed_sums[v] = hn::Add(crossed_sums[v], hn::Mul(x, hn::Reverse2(d, y)));
    }
  for (std::size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(sums[v], d, lanes + v * kWidth);
    if constexpr (kCrossed) hn::StoreU(crossed_sums[v], d, crossed + v * kWidth);
  }
#endif
  for (std::size_t i = whole; i < count; ++i) {
    lanes[i - whole] += double{load<T>(a, i)} * double{load<T>(b, i)};
    if (kCrossed) crossed[i - whole] += double{load<T>(a, i)} * double{load<T>(b, i ^ 1)};
  }
}

// Short runs are added up in order: many of them are under way at once.
template <class T>
HWY_INLINE double dot_short(const std::byte* a, const std::byte* b, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += double{load<T>(a, i)} * double{load<T>(b, i)};
  return sum;
}

// ---- one run of each dtype ----

template <class T>
class Run {  // integers
 public:
  using Sum = std::conditional_t<sizeof(T) == 1, std::uint16_t, T>;
  static Sum dot(const std::byte* a, const std::byte* b, std::size_t count, bool) {
    Sum sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum = static_cast<Sum>(sum + static_cast<Sum>(std::uint64_t{load<T>(a, i)} * std::uint64_t{load<T>(b, i)}));
    return sum;
  }
};
template <>
class Run<bool> {
 public:
  using Sum = std::uint8_t;
  static Sum dot(const std::byte* a, const std::byte* b, std::size_t count, bool) {
    unsigned any = 0;
    for (std::size_t i = 0; i < count; ++i)
      any |= static_cast<unsigned>(a[i] != std::byte{0}) & static_cast<unsigned>(b[i] != std::byte{0});
    return static_cast<Sum>(any);
  }
};
template <class T>
struct RealRun {
  using Sum = double;
  static Sum dot(const std::byte* a, const std::byte* b, std::size_t count, bool) {
    if (count < kLanes) return dot_short<T>(a, b, count);
    alignas(64) double lanes[kLanes];
    fill_lanes<T, false>(a, b, count, lanes, nullptr);
    return fold(lanes);
  }
};
template <>
class Run<float> : public RealRun<float> {};
template <>
class Run<double> : public RealRun<double> {};
// Real parts lie in even lanes, imaginary ones in odd lanes.
template <class T>
class Run<std::complex<T>> {
 public:
  using Sum = std::complex<double>;
  static Sum dot(const std::byte* a, const std::byte* b, std::size_t count, bool conjugates) {
    alignas(64) double equal[kLanes], opposite[kLanes];
    if (2 * count < kLanes) {
      equal[0] = equal[1] = opposite[0] = opposite[1] = 0;
      for (std::size_t i = 0; i < 2 * count; ++i) {
        equal[i % 2] += double{load<T>(a, i)} * double{load<T>(b, i)};
        opposite[i % 2] += double{load<T>(a, i)} * double{load<T>(b, i ^ 1)};
      }
      return combined(equal, opposite, conjugates);
    }
    fill_lanes<T, true>(a, b, 2 * count, equal, opposite);
    for (std::size_t half = kLanes / 2; half > 1; half /= 2)
      for (std::size_t i = 0; i < half; ++i) equal[i] += equal[i + half], opposite[i] += opposite[i + half];
    return combined(equal, opposite, conjugates);
  }

 private:
  static Sum combined(const double* equal, const double* opposite, bool conjugates) {
    if (conjugates) return {equal[0] + equal[1], opposite[0] - opposite[1]};
    return {equal[0] - equal[1], opposite[0] + opposite[1]};
  }
};

template <class T>
void dot_rows_of(const RowDots& job, void* out) {
  using Sum = typename Run<T>::Sum;
  auto* sums = static_cast<Sum*>(out);
  const std::byte* a = job.a;
  const std::byte* b = job.b;
  for (std::int64_t row = 0; row < job.rows; ++row, a += job.a_row, b += job.b_row) {
    if (job.length <= kDotRun) {
      sums[row] = Run<T>::dot(a, b, static_cast<std::size_t>(job.length), job.conjugates);
      continue;
    }
    PairwiseSum<Sum> sum;
    for (std::int64_t begin = 0; begin < job.length; begin += kDotRun) {
      const auto at = static_cast<std::size_t>(begin) * sizeof(T);
      sum.push(Run<T>::dot(a + at, b + at, static_cast<std::size_t>(std::min(kDotRun, job.length - begin)),
                           job.conjugates));
    }
    sums[row] = sum.total();
  }
}

// ---- by columns: elementwise, so plain loops have the same bits everywhere ----

template <class T>
void add_columns_of(const ColumnSums& job, void* out) {
  using Sum = typename Run<T>::Sum;
  const auto rows = static_cast<std::size_t>(job.rows);
  for (std::int64_t column = 0; column < job.columns; ++column) {
    const std::byte* matrix = job.matrix + column * job.column_stride;
    if constexpr (std::is_same_v<T, bool>) {
      auto* HWY_RESTRICT sums = static_cast<std::uint8_t*>(out);
      if (job.vector[column] == std::byte{0}) continue;
      for (std::size_t i = 0; i < rows; ++i) sums[i] |= static_cast<std::uint8_t>(matrix[i] != std::byte{0});
    } else if constexpr (std::is_same_v<Sum, std::complex<double>>) {
      using Part = typename T::value_type;
      auto* HWY_RESTRICT sums = static_cast<double*>(out);
      const double re = load<Part>(job.vector, 2 * static_cast<std::size_t>(column));
      const double im = load<Part>(job.vector, 2 * static_cast<std::size_t>(column) + 1);
      for (std::size_t i = 0; i < rows; ++i) {
        const double x = load<Part>(matrix, 2 * i), y = load<Part>(matrix, 2 * i + 1);
        // Additions alone: of a difference beside a sum g++ 12 makes fused operations, whatever -ffp-contract says.
        sums[2 * i] = (sums[2 * i] + x * re) + y * -im;
        sums[2 * i + 1] = (sums[2 * i + 1] + y * re) + x * im;
      }
    } else {
      auto* HWY_RESTRICT sums = static_cast<Sum*>(out);
      // Four columns at once read and write the sums once.
      if (column + 4 <= job.columns) {
        const std::byte* m[4];
        Sum x[4];
        for (std::int64_t q = 0; q < 4; ++q) {
          m[q] = matrix + q * job.column_stride;
          x[q] = static_cast<Sum>(load<T>(job.vector, static_cast<std::size_t>(column + q)));
        }
        for (std::size_t i = 0; i < rows; ++i) {
          Sum sum = sums[i];
          for (std::size_t q = 0; q < 4; ++q) sum = static_cast<Sum>(sum + static_cast<Sum>(static_cast<Sum>(load<T>(m[q], i)) * x[q]));
          sums[i] = sum;
        }
        column += 3;
      } else {
        const Sum x = static_cast<Sum>(load<T>(job.vector, static_cast<std::size_t>(column)));
        for (std::size_t i = 0; i < rows; ++i)
          sums[i] = static_cast<Sum>(sums[i] + static_cast<Sum>(static_cast<Sum>(load<T>(matrix, i)) * x));
      }
    }
  }
}

template <class Visit>
void visit_element(DType dtype, Visit&& visit) {
  visit_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      visit(std::make_unsigned_t<T>{});
    else
      visit(element);
  });
}

void dot_rows_by_dtype(const RowDots& job, void* sums) {
  visit_element(job.dtype, [&](auto element) { dot_rows_of<decltype(element)>(job, sums); });
}
void add_columns_by_dtype(const ColumnSums& job, void* sums) {
  visit_element(job.dtype, [&](auto element) { add_columns_of<decltype(element)>(job, sums); });
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {

HWY_EXPORT(dot_rows_by_dtype);
HWY_EXPORT(add_columns_by_dtype);

}  // namespace

void dot_rows(const RowDots& rows, void* sums) {
  HWY_DYNAMIC_DISPATCH(dot_rows_by_dtype)(rows, sums);
}
void add_columns(const ColumnSums& columns, void* sums) {
  HWY_DYNAMIC_DISPATCH(add_columns_by_dtype)(columns, sums);
}

}  // namespace parcompute
#endif  // HWY_ONCE
