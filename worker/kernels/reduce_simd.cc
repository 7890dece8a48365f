#include "worker/kernels/reduce_simd.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "worker/kernels/reduce_combine.h"
#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/reduce_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using reduction::Pair;

// Vectors in flight where the order does not matter: enough to hide an addition's latency.
constexpr std::size_t kStreams = 4;

// ---- integer sums: vectors of partial sums of 64 bits, wrapping ----

#if HWY_TARGET == HWY_SCALAR

// A plain loop, which the compiler makes vectors of. kBool: every byte that is not 0 counts one.
template <class T, bool kBool>
std::uint64_t sum_integers(const T* data, std::size_t count) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    T x;
    std::memcpy(&x, bytes + i * sizeof(T), sizeof(T));
    total += kBool ? std::uint64_t{x != 0} : static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
  }
  return total;
}

#else

// Signed elements are read as unsigned ones that are `bias` larger: one flipped bit. The caller takes the
// bias back.
template <class T>
constexpr std::make_unsigned_t<T> bias_of() {
  return std::is_signed_v<T> ? static_cast<std::make_unsigned_t<T> >(std::uint64_t{1} << (8 * sizeof(T) - 1))
                             : 0;
}

template <class DU, class V = hn::Vec<DU> >
HWY_INLINE hn::Vec<hn::Repartition<std::uint64_t, DU> > widened_sum(DU du, V v) {
  using U = hn::TFromD<DU>;
  const hn::Repartition<std::uint64_t, DU> d64;
  if constexpr (sizeof(U) == 1) {
    return hn::SumsOf8(v);
  } else if constexpr (sizeof(U) == 2) {
    const hn::Repartition<std::uint8_t, DU> d8;
    const auto low = hn::SumsOf8(hn::BitCast(d8, hn::And(v, hn::Set(du, U{0xFF}))));
    const auto high = hn::SumsOf8(hn::BitCast(d8, hn::ShiftRight<8>(v)));
    return hn::Add(low, hn::ShiftLeft<8>(high));
  } else if constexpr (sizeof(U) == 4) {
    const auto pairs = hn::BitCast(d64, v);
    return hn::Add(hn::And(pairs, hn::Set(d64, 0xFFFFFFFFu)), hn::ShiftRight<32>(pairs));
  } else {
    return v;
  }
}

// kBool: every byte that is not 0 counts one.
template <class T, bool kBool>
std::uint64_t sum_integers(const T* data, std::size_t count) {
  using U = std::make_unsigned_t<T>;
  const hn::ScalableTag<U> du;
  const hn::ScalableTag<std::uint64_t> d64;
  constexpr std::size_t kLanes = hn::MaxLanes(du);
  const auto bias = hn::Set(du, bias_of<T>());
  const auto* unsigned_data = reinterpret_cast<const U*>(data);

  hn::Vec<decltype(d64)> sums[kStreams];
  for (auto& sum : sums) sum = hn::Zero(d64);
  std::size_t i = 0;
  for (; i + kStreams * kLanes <= count; i += kStreams * kLanes) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      auto v = hn::LoadU(du, unsigned_data + i + s * kLanes);
      if constexpr (kBool) v = hn::Min(v, hn::Set(du, U{1}));
      if constexpr (std::is_signed_v<T>) v = hn::Xor(v, bias);
      sums[s] = hn::Add(sums[s], widened_sum(du, v));
    }
  }
  const std::uint64_t vector_elements = i;
  for (std::size_t s = 1; s < kStreams; ++s) sums[0] = hn::Add(sums[0], sums[s]);
  alignas(64) std::uint64_t lanes[hn::MaxLanes(d64)];
  hn::Store(sums[0], d64, lanes);
  std::uint64_t total = 0;
  for (const std::uint64_t lane : lanes) total += lane;
  total -= vector_elements * static_cast<std::uint64_t>(bias_of<T>());
  for (; i < count; ++i) {
    T x;
    std::memcpy(&x, reinterpret_cast<const std::byte*>(data) + i * sizeof(T), sizeof(T));
    total += kBool ? std::uint64_t{x != 0} : static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
  }
  return total;
}

#endif

// ---- float sums ----

constexpr std::size_t kPairLanes = 16;

Pair sum_float64(const double* data, std::size_t count) {
  const hn::CappedTag<double, kPairLanes> d;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  constexpr std::size_t kVectors = kPairLanes / kWidth;
  hn::Vec<decltype(d)> sums[kVectors], errors[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) sums[v] = errors[v] = hn::Zero(d);

  // A short last row is filled up with zeros, which change nothing: a sum that began with +0.0 is never -0.0.
  alignas(64) std::array<double, kPairLanes> last{};
  const std::size_t rows = count / kPairLanes;
  const std::size_t rest = count % kPairLanes;
  if (rest != 0) std::memcpy(last.data(), data + rows * kPairLanes, rest * sizeof(double));

  const double* row = data;
  for (std::size_t r = 0; r < rows + (rest != 0); ++r, row += kPairLanes) {
    if (r == rows) row = last.data();
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto x = hn::LoadU(d, row + v * kWidth);
      const auto sum = hn::Add(sums[v], x);
      const auto x_part = hn::Sub(sum, sums[v]);
      const auto error = hn::Add(hn::Sub(sums[v], hn::Sub(sum, x_part)), hn::Sub(x, x_part));
      errors[v] = hn::Add(errors[v], error);
      sums[v] = sum;
    }
  }

  alignas(64) double sum_lanes[kPairLanes], error_lanes[kPairLanes];
  for (std::size_t v = 0; v < kVectors; ++v) {
    hn::Store(sums[v], d, sum_lanes + v * kWidth);
    hn::Store(errors[v], d, error_lanes + v * kWidth);
  }
  Pair lanes[kPairLanes];
  for (std::size_t i = 0; i < kPairLanes; ++i) lanes[i] = {sum_lanes[i], error_lanes[i]};
  return reduction::fold_pairwise(lanes, kPairLanes, reduction::add);
}

constexpr std::size_t kFloatLanes = 32;

double sum_float32(const float* data, std::size_t count) {
  const hn::CappedTag<double, kFloatLanes> d;
  const hn::Rebind<float, decltype(d)> df;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  constexpr std::size_t kVectors = kFloatLanes / kWidth;
  hn::Vec<decltype(d)> sums[kVectors];
  for (auto& sum : sums) sum = hn::Zero(d);

  alignas(64) std::array<float, kFloatLanes> last{};
  const std::size_t rows = count / kFloatLanes;
  const std::size_t rest = count % kFloatLanes;
  if (rest != 0) std::memcpy(last.data(), data + rows * kFloatLanes, rest * sizeof(float));

  const float* row = data;
  for (std::size_t r = 0; r < rows + (rest != 0); ++r, row += kFloatLanes) {
    if (r == rows) row = last.data();
    for (std::size_t v = 0; v < kVectors; ++v)
      sums[v] = hn::Add(sums[v], hn::PromoteTo(d, hn::LoadU(df, row + v * kWidth)));
  }
  alignas(64) double lanes[kFloatLanes];
  for (std::size_t v = 0; v < kVectors; ++v) hn::Store(sums[v], d, lanes + v * kWidth);
  return reduction::fold_pairwise(lanes, kFloatLanes, [](double a, double b) { return a + b; });
}

// ---- min and max ----

template <bool kMin, class V>
HWY_INLINE V extreme_of(V a, V b) {
  if constexpr (kMin)
    return hn::Min(a, b);
  else
    return hn::Max(a, b);
}

template <bool kMin, class T>
T extreme_integer(const T* data, std::size_t count) {
  const hn::ScalableTag<T> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  constexpr T kIdentity = kMin ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min();
  hn::Vec<decltype(d)> best[kStreams];
  for (auto& vector : best) vector = hn::Set(d, kIdentity);
  std::size_t i = 0;
  for (; i + kStreams * kLanes <= count; i += kStreams * kLanes)
    for (std::size_t s = 0; s < kStreams; ++s)
      best[s] = extreme_of<kMin>(best[s], hn::LoadU(d, data + i + s * kLanes));
  for (std::size_t s = 1; s < kStreams; ++s) best[0] = extreme_of<kMin>(best[0], best[s]);
  alignas(64) T lanes[kLanes];
  hn::Store(best[0], d, lanes);
  T result = kIdentity;
  for (const T lane : lanes) result = kMin ? std::min(result, lane) : std::max(result, lane);
  for (; i < count; ++i) {
    T x;
    std::memcpy(&x, reinterpret_cast<const std::byte*>(data) + i * sizeof(T), sizeof(T));
    result = kMin ? std::min(result, x) : std::max(result, x);
  }
  return result;
}

// The machine's min and max see no NaN and no sign of zero, so two more things are gathered: which lanes met
// a NaN, and (for min) whether any or (for max) whether all elements had their sign bit set. Where the best
// is a zero, there was nothing beyond it, and that bit tells which zeros there were.
template <bool kMin, class T>
T extreme_float(const T* data, std::size_t count) {
  const hn::ScalableTag<T> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  constexpr T kIdentity = kMin ? std::numeric_limits<T>::infinity() : -std::numeric_limits<T>::infinity();
  using V = hn::Vec<decltype(d)>;
  V best[kStreams], signs[kStreams];
  auto nans = hn::MaskFromVec(hn::Zero(d));
  for (std::size_t s = 0; s < kStreams; ++s) best[s] = signs[s] = hn::Set(d, kIdentity);

  constexpr std::size_t kRow = kStreams * kLanes;
  alignas(64) std::array<T, kRow> last;
  const std::size_t rows = count / kRow;
  const std::size_t rest = count % kRow;
  if (rest != 0) {
    last.fill(kIdentity);
    std::memcpy(last.data(), data + rows * kRow, rest * sizeof(T));
  }
  const T* row = data;
  for (std::size_t r = 0; r < rows + (rest != 0); ++r, row += kRow) {
    if (r == rows) row = last.data();
    for (std::size_t s = 0; s < kStreams; ++s) {
      const V x = hn::LoadU(d, row + s * kLanes);
      best[s] = extreme_of<kMin>(best[s], x);
      signs[s] = kMin ? hn::Or(signs[s], x) : hn::And(signs[s], x);
      nans = hn::Or(nans, hn::IsNaN(x));
    }
  }
  if (!hn::AllFalse(d, nans)) return std::numeric_limits<T>::quiet_NaN();
  alignas(64) T best_lanes[kLanes], sign_lanes[kLanes];
  T result = kIdentity;
  bool sign = !kMin;
  for (std::size_t s = 0; s < kStreams; ++s) {
    hn::Store(best[s], d, best_lanes);
    hn::Store(signs[s], d, sign_lanes);
    for (std::size_t i = 0; i < kLanes; ++i) {
      result = reduction::extreme<kMin>(result, best_lanes[i]);
      sign = kMin ? sign || std::signbit(sign_lanes[i]) : sign && std::signbit(sign_lanes[i]);
    }
  }
  return result == 0 ? (sign ? -T{0} : T{0}) : result;
}

// ---- by operator and dtype ----

template <class T>
Partial reduce_elements(wire::Reduce::Operator op, DType dtype, const std::byte* bytes, std::size_t count) {
  const T* data = reinterpret_cast<const T*>(bytes);
  const bool is_min = op == wire::Reduce::MIN;
  if constexpr (std::is_floating_point_v<T>) {
    if (op == wire::Reduce::SUM) {
      if constexpr (sizeof(T) == 8) {
        const Pair pair = sum_float64(data, count);
        return {std::bit_cast<std::uint64_t>(pair.sum), std::bit_cast<std::uint64_t>(pair.error)};
      } else {
        return {std::bit_cast<std::uint64_t>(sum_float32(data, count)), 0};
      }
    }
    const double best = is_min ? extreme_float<true>(data, count) : extreme_float<false>(data, count);
    return {std::bit_cast<std::uint64_t>(best), 0};
  } else {
    if (op != wire::Reduce::SUM) {
      const T best = is_min ? extreme_integer<true>(data, count) : extreme_integer<false>(data, count);
      return {static_cast<std::uint64_t>(static_cast<std::int64_t>(best)), 0};
    }
    if constexpr (std::is_same_v<T, std::uint8_t>)
      if (dtype == DType::kBool) return {sum_integers<T, true>(data, count), 0};
    return {sum_integers<T, false>(data, count), 0};
  }
}

Partial reduce_run(wire::Reduce::Operator op, DType dtype, const std::byte* data, std::size_t count) {
  switch (dtype) {
    case DType::kBool:
    case DType::kUint8:
      return reduce_elements<std::uint8_t>(op, dtype, data, count);
    case DType::kInt8:
      return reduce_elements<std::int8_t>(op, dtype, data, count);
    case DType::kInt16:
      return reduce_elements<std::int16_t>(op, dtype, data, count);
    case DType::kUint16:
      return reduce_elements<std::uint16_t>(op, dtype, data, count);
    case DType::kInt32:
      return reduce_elements<std::int32_t>(op, dtype, data, count);
    case DType::kUint32:
      return reduce_elements<std::uint32_t>(op, dtype, data, count);
    case DType::kInt64:
      return reduce_elements<std::int64_t>(op, dtype, data, count);
    case DType::kUint64:
      return reduce_elements<std::uint64_t>(op, dtype, data, count);
    case DType::kFloat32:
      return reduce_elements<float>(op, dtype, data, count);
    default:
      return reduce_elements<double>(op, dtype, data, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {

HWY_EXPORT(reduce_run);

template <class T>
ScalarBytes bytes_of_scalar(T x) {
  ScalarBytes bytes{};
  std::memcpy(bytes.data(), &x, sizeof x);
  return bytes;
}

double as_double(std::uint64_t bits) {
  return std::bit_cast<double>(bits);
}
reduction::Pair as_pair(const Partial& partial) {
  return {as_double(partial.high), as_double(partial.low)};
}

template <bool kMin>
Partial combine_extremes(DType dtype, const Partial& left, const Partial& right) {
  const auto choose = [](auto a, auto b) { return (a < b) == kMin ? a : b; };
  switch (info(dtype).kind) {
    case Kind::kSigned:
      return {std::bit_cast<std::uint64_t>(
                  choose(std::bit_cast<std::int64_t>(left.high), std::bit_cast<std::int64_t>(right.high))),
              0};
    case Kind::kFloat:
      return {
          std::bit_cast<std::uint64_t>(reduction::extreme<kMin>(as_double(left.high), as_double(right.high))),
          0};
    default:
      return {choose(left.high, right.high), 0};
  }
}

}  // namespace

Partial reduce_block(wire::Reduce::Operator op, DType dtype, const std::byte* data, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(reduce_run)(op, dtype, data, count);
}

Partial combine(wire::Reduce::Operator op, DType dtype, const Partial& left, const Partial& right) {
  if (op == wire::Reduce::MIN) return combine_extremes<true>(dtype, left, right);
  if (op == wire::Reduce::MAX) return combine_extremes<false>(dtype, left, right);
  if (dtype == DType::kFloat64) {
    const reduction::Pair total = reduction::add(as_pair(left), as_pair(right));
    return {std::bit_cast<std::uint64_t>(total.sum), std::bit_cast<std::uint64_t>(total.error)};
  }
  if (dtype == DType::kFloat32)
    return {std::bit_cast<std::uint64_t>(as_double(left.high) + as_double(right.high)), 0};
  return {left.high + right.high, 0};
}

ScalarBytes finish(wire::Reduce::Operator op, DType dtype, const Partial& partial) {
  if (dtype == DType::kFloat64) {
    const double result =
        op == wire::Reduce::SUM ? reduction::value(as_pair(partial)) : as_double(partial.high);
    return bytes_of_scalar(reduction::canonical(result));
  }
  if (dtype == DType::kFloat32)
    return bytes_of_scalar(reduction::canonical(static_cast<float>(as_double(partial.high))));
  if (op == wire::Reduce::SUM) return bytes_of_scalar(partial.high);
  if (dtype == DType::kBool) return bytes_of_scalar(std::uint8_t{partial.high != 0});
  ScalarBytes bytes{};
  std::memcpy(bytes.data(), &partial.high, itemsize(dtype));
  return bytes;
}

}  // namespace parcompute
#endif  // HWY_ONCE
