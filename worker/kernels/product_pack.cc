#include "worker/kernels/product_pack.h"

#include <algorithm>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace parcompute {
namespace {

template <class T>
inline constexpr bool kIsComplex = false;
template <class T>
inline constexpr bool kIsComplex<std::complex<T>> = true;

template <class To, class From>
To convert(const std::byte* at) {
  if constexpr (std::is_same_v<From, bool>) {
    return static_cast<To>(*at != std::byte{0} ? 1 : 0);
  } else {
    From x;
    std::memcpy(&x, at, sizeof x);
    if constexpr (kIsComplex<From> && kIsComplex<To>)
      return {static_cast<typename To::value_type>(x.real()), static_cast<typename To::value_type>(x.imag())};
    else if constexpr (kIsComplex<To>)
      return {static_cast<typename To::value_type>(x), 0};
    else
      return static_cast<To>(x);
  }
}

template <class To, class From>
void convert_line(const std::byte* from, std::int64_t stride, std::int64_t count, To* to, std::int64_t step) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(From));
  if (stride == kSize && step == 1) {
    if constexpr (std::is_same_v<To, From>)
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(To));
    else
      for (std::int64_t i = 0; i < count; ++i) to[i] = convert<To, From>(from + i * kSize);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i * step] = convert<To, From>(from + i * stride);
  }
}

// Lines along the axis whose elements lie closer together, some of them at a time, so that both sides stay in cache.
template <class To, class From>
void pack_from(Part part, To* to, std::int64_t to_row, std::int64_t to_column) {
  if (part.rows > 1 && (part.columns == 1 || std::abs(part.row_stride) < std::abs(part.column_stride))) {
    std::swap(part.rows, part.columns);
    std::swap(part.row_stride, part.column_stride);
    std::swap(to_row, to_column);
  }
  constexpr std::int64_t kLine = 64;
  const std::int64_t line = to_column == 1 ? part.columns : kLine;
  for (std::int64_t begin = 0; begin < part.columns; begin += line)
    for (std::int64_t row = 0; row < part.rows; ++row)
      convert_line<To, From>(part.data + row * part.row_stride + begin * part.column_stride, part.column_stride,
                             std::min(line, part.columns - begin), to + row * to_row + begin * to_column, to_column);
}

}  // namespace

template <class T>
void pack(const Part& part, DType from, T* to, std::int64_t to_row, std::int64_t to_column) {
  visit_dtype(from, [&](auto element) {
    using From = decltype(element);
    // A complex operand's product is complex.
    if constexpr (!kIsComplex<From> || kIsComplex<T>) pack_from<T, From>(part, to, to_row, to_column);
  });
}

template void pack(const Part&, DType, std::uint8_t*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, std::uint16_t*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, std::uint32_t*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, std::uint64_t*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, float*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, double*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, std::complex<float>*, std::int64_t, std::int64_t);
template void pack(const Part&, DType, std::complex<double>*, std::int64_t, std::int64_t);

}  // namespace parcompute
