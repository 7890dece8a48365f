// Every element of one array times every element of another: written once, bound by memory.
#include <algorithm>
#include <cmath>
#include <complex>
#include <type_traits>
#include <utility>
#include <vector>

#include "worker/kernels/canonical.h"
#include "worker/kernels/contraction_kernel.h"
#include "worker/kernels/gather.h"

namespace parcompute {
namespace {

template <class T>
T times(T x, T y) {
  if constexpr (std::is_same_v<T, bool>)
    return x && y;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(y));
  else
    return x * y;
}
// The four products, as NumPy's, whatever is infinite in them.
template <class T>
std::complex<T> times(std::complex<T> x, std::complex<T> y) {
  return {x.real() * y.real() - x.imag() * y.imag(), x.real() * y.imag() + x.imag() * y.real()};
}

template <class T>
class OuterProduct final : public Kernel {
 public:
  OuterProduct(KernelJob job, const OuterTiling& tiling) : job_(std::move(job)), tiling_(tiling) {}

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes& value) override {
    std::byte* out = job_.outputs.empty() ? scalar_.data() : first_element(job_.outputs[0]);
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      const std::int64_t row = static_cast<std::int64_t>(block / tiling_.tiles_n) * tiling_.tile_m;
      const std::int64_t column = static_cast<std::int64_t>(block % tiling_.tiles_n) * tiling_.tile_n;
      const std::int64_t rows = std::min(tiling_.tile_m, tiling_.m - row);
      const std::int64_t columns = std::min(tiling_.tile_n, tiling_.n - column);
      elements(job_.inputs[0], row, rows, left_);
      elements(job_.inputs[1], column, columns, right_);
      T* to = reinterpret_cast<T*>(out) + row * tiling_.n + column;
      const bool may_be_nan = !(is_moderate(left_) && is_moderate(right_));
      if (tiling_.n == 1)
        multiply_row(left_.data(), right_[0], rows, to);
      else
        for (std::int64_t r = 0; r < rows; ++r)
          multiply_row(right_.data(), left_[static_cast<std::size_t>(r)], columns, to + r * tiling_.n);
      if (may_be_nan)
        for (std::int64_t r = 0; r < rows; ++r, to += tiling_.n)
          std::transform(to, to + columns, to, [](T product) { return canonical(product); });
    }
    if (job_.plan.scalar) {
      value = {};
      std::copy_n(out, sizeof(T), value.data());
    }
    return {};
  }

 private:
  // Not std::vector<bool>'s bits.
  using Buffer = std::vector<std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>>;
  using Element = typename Buffer::value_type;

  static void multiply_row(const Element* x, Element y, std::int64_t count, T* to) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = times<T>(static_cast<T>(x[i]), static_cast<T>(y));
  }

  // No product of two such is infinite or NaN, nor is a sum of two products.
  static bool is_moderate(const Buffer& elements) {
    return std::all_of(elements.begin(), elements.end(), [](Element x) { return is_moderate_number(x); });
  }
  template <class Part>
  static bool is_moderate_number(Part x) {
    if constexpr (std::is_floating_point_v<Part>)
      return std::abs(x) <= (sizeof(Part) == 4 ? Part{1e18F} : static_cast<Part>(1e150));
    else
      return true;
  }
  template <class Part>
  static bool is_moderate_number(std::complex<Part> z) {
    return is_moderate_number(z.real()) && is_moderate_number(z.imag());
  }

  void elements(const View& view, std::int64_t first, std::int64_t count, Buffer& into) {
    into.resize(static_cast<std::size_t>(count));
    gathered_.resize(static_cast<std::size_t>(count) * itemsize(view.spec.dtype));
    gather(view.spec, view.data, static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(count), gathered_.data());
    convert(view.spec.dtype, count, into.data());
  }
  void convert(DType from, std::int64_t count, Element* to) const {
    const auto size = static_cast<std::int64_t>(itemsize(from));
    const Part part{gathered_.data(), 1, count, count * size, size};
    if constexpr (std::is_integral_v<Element>)
      pack(part, from, reinterpret_cast<std::make_unsigned_t<Element>*>(to), count);
    else
      pack(part, from, to, count);
  }

  KernelJob job_;
  OuterTiling tiling_;
  Buffer left_, right_;
  std::vector<std::byte> gathered_;
  ScalarBytes scalar_{};
};

}  // namespace

std::unique_ptr<Kernel> make_outer_product(KernelJob job, DType dtype, const OuterTiling& tiling) {
  return visit_dtype(dtype, [&](auto element) -> std::unique_ptr<Kernel> {
    return std::make_unique<OuterProduct<decltype(element)>>(std::move(job), tiling);
  });
}

}  // namespace parcompute
