// fill: what a new array begins with (plan: common/operation/fill_plan.cc).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "common/operation/fill_plan.h"
#include "common/operation/plans.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/linspace.h"

namespace parcompute {
namespace {

// Elements [first, first + count) of the output, in the order they lie there.
struct ElementRange {
  std::uint64_t first;
  std::uint64_t count;
};

template <class T>
void put(std::byte*& to, T x) {
  std::memcpy(to, &x, sizeof x);
  to += sizeof x;
}

template <class T>
constexpr bool kIsComplex = std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

// ---- a value ----

// The first copy by hand, then what is there doubles. In steps that stay in the cache.
void write_value(const std::string& value, std::byte* to, std::uint64_t bytes) {
  if (bytes == 0) return;
  constexpr std::uint64_t kStep = 16 * 1024;
  std::memcpy(to, value.data(), value.size());
  for (std::uint64_t done = value.size(); done < bytes;) {
    const std::uint64_t run = std::min({done, kStep, bytes - done});
    std::memcpy(to + done, to, run);
    done += run;
  }
}

// ---- arange ----

// first + i * delta in the dtype, as NumPy's fill loops: integers wrap, floats round, the second element is itself.
template <class T>
void write_arange(const ArangeTerms& terms, ElementRange range, std::byte* to) {
  const T first = element_of<T>(terms.first);
  if (range.count == 0) return;
  std::uint64_t i = range.first;
  const std::uint64_t end = range.first + range.count;
  if (i == 0) {
    put(to, first);
    ++i;
  }
  if (i == end) return;
  const T second = element_of<T>(terms.second);
  if (i == 1) {
    put(to, second);
    ++i;
  }
  if constexpr (std::is_same_v<T, bool>) {
    return;  // two at most
  } else if constexpr (kIsComplex<T>) {
    using Component = typename T::value_type;
    const Component real = second.real() - first.real(), imaginary = second.imag() - first.imag();
    for (; i < end; ++i) {
      const auto index = static_cast<Component>(static_cast<std::int64_t>(i));
      put(to, T(first.real() + index * real, first.imag() + index * imaginary));
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    const T delta = second - first;
    for (; i < end; ++i) put(to, first + static_cast<T>(static_cast<std::int64_t>(i)) * delta);
  } else {
    using U = std::make_unsigned_t<T>;
    const std::uint64_t from = static_cast<U>(first), delta = static_cast<U>(second) - from;
    for (; i < end; ++i) put(to, static_cast<U>(from + i * delta));
  }
}

// ---- linspace ----

// The floor of an end fits; one between them can be rounded past it, by one.
template <class T>
T whole(double x) {
  const double floor = std::floor(x);
  constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::min());
  constexpr auto kMost = static_cast<double>(std::numeric_limits<T>::max());  // of 64 bits: one more, a power of two
  if (floor <= kLeast) return std::numeric_limits<T>::min();
  if (floor >= kMost) return std::numeric_limits<T>::max();
  return static_cast<T>(floor);
}

template <class T, class Axis>
void write_axis(const Axis& axis, ElementRange range, std::byte* to) {
  for (std::uint64_t i = range.first; i < range.first + range.count; ++i) {
    const auto x = axis(i);
    if constexpr (std::is_same_v<Axis, ComplexLinspace>)
      put(to, T(x));
    else if constexpr (std::is_same_v<T, bool>)
      put(to, x != 0);
    else if constexpr (std::is_integral_v<T>)
      put(to, whole<T>(x));
    else if constexpr (kIsComplex<T>)
      put(to, T(static_cast<typename T::value_type>(x)));
    else
      put(to, static_cast<T>(x));
  }
}

// NumPy multiplies the ends by 1.0 first, which for complex ones makes 0 of some -0.
std::complex<double> complex_end(const Number& end) {
  const double x = end.as_double(), y = end.imaginary;
  if (!end.is_complex) return {x, 0};
  return {x - y * 0.0, x * 0.0 + y};
}

template <class T>
void write_linspace(const LinspaceEnds& ends, std::uint64_t num, bool endpoint, ElementRange range, std::byte* to) {
  if (ends.start.is_complex || ends.stop.is_complex) {
    if constexpr (kIsComplex<T>)
      write_axis<T>(ComplexLinspace(complex_end(ends.start), complex_end(ends.stop), num, endpoint), range, to);
    return;
  }
  write_axis<T>(Linspace(ends.start.as_double(), ends.stop.as_double(), num, endpoint), range, to);
}

// ---- eye ----

template <class T>
void write_eye(const ArraySpec& spec, std::int64_t diagonal, ElementRange range, std::byte* to) {
  std::memset(to, 0, range.count * sizeof(T));
  // In Fortran order the transposed matrix lies in C order.
  const bool is_transposed = !is_c_contiguous(spec);
  const std::int64_t rows = spec.shape[is_transposed ? 1 : 0], columns = spec.shape[is_transposed ? 0 : 1];
  if (diagonal >= spec.shape[1] || diagonal <= -spec.shape[0]) return;
  const std::int64_t shift = is_transposed ? -diagonal : diagonal;
  // Row r has its one at r + shift: element r * (columns + 1) + shift.
  const std::int64_t first = static_cast<std::int64_t>(range.first),
                     end = first + static_cast<std::int64_t>(range.count);
  const std::int64_t step = columns + 1;
  std::int64_t row = std::max<std::int64_t>(0, -shift);
  if (first - shift > 0) row = std::max(row, (first - shift + step - 1) / step);
  const T one{1};
  for (; row < rows && row + shift < columns && row * step + shift < end; ++row)
    std::memcpy(to + static_cast<std::uint64_t>(row * step + shift - first) * sizeof(T), &one, sizeof one);
}

class Fill final : public Kernel {
 public:
  explicit Fill(KernelJob job) : job_(std::move(job)) {
    const wire::Fill& fill = job_.operation.fill();
    // Checked by the plan.
    if (fill.how() == wire::Fill::ARANGE) terms_ = *arange_terms(fill);
    if (fill.how() == wire::Fill::LINSPACE) ends_ = *linspace_ends(fill);
  }

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    const wire::Fill& fill = job_.operation.fill();
    const ArraySpec& spec = job_.outputs[0].spec;
    const std::uint64_t total = byte_count(spec), size = itemsize(spec.dtype);
    const std::uint64_t first = std::min(total, blocks.first * kCopyBlockBytes);
    const std::uint64_t bytes = std::min(total - first, blocks.count * kCopyBlockBytes);
    const ElementRange range{first / size, bytes / size};
    std::byte* to = first_element(job_.outputs[0]) + first;
    if (fill.how() == wire::Fill::VALUE) {
      write_value(fill.value(), to, bytes);
      return {};
    }
    visit_dtype(spec.dtype, [&](auto x) {
      using T = decltype(x);
      if (fill.how() == wire::Fill::ARANGE)
        write_arange<T>(terms_, range, to);
      else if (fill.how() == wire::Fill::LINSPACE)
        write_linspace<T>(ends_, element_count(spec), !fill.excludes_stop(), range, to);
      else
        write_eye<T>(spec, fill.diagonal(), range, to);
    });
    return {};
  }

 private:
  KernelJob job_;
  ArangeTerms terms_;
  LinspaceEnds ends_;
};

}  // namespace

std::unique_ptr<Kernel> make_fill(KernelJob job) {
  return std::make_unique<Fill>(std::move(job));
}

}  // namespace parcompute
