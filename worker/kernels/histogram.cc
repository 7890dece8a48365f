// histogram (plan: common/operation/bin_plans.cc). Bins of equal width are found as np.histogram finds them: by
// arithmetic, then put right by comparison with the edges, which are numpy.linspace's. float32 is computed in
// float32, integers in float64.
#include <cmath>
#include <type_traits>

#include <fmt/format.h>

#include "worker/kernels/bin_counts.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/linspace.h"

namespace parcompute {
namespace {

// T: what is computed in.
template <class T>
class EqualBins {
 public:
  EqualBins(std::uint64_t bins, double low, double high)
      : edges_(low, high, bins + 1),
        bins_(static_cast<std::int64_t>(bins)),
        low_(static_cast<T>(low)),
        high_(static_cast<T>(high)),
        scale_(static_cast<T>(static_cast<double>(bins) / (high - low))) {}

  std::int64_t operator()(T x) const {
    if (!(x >= low_ && x <= high_)) return kOutside;
    const T guess = (x - low_) * scale_;
    // Widths that overflow or vanish make no guess.
    std::int64_t bin = guess >= 0 && guess < static_cast<T>(bins_) ? static_cast<std::int64_t>(guess)
                       : guess >= static_cast<T>(bins_)            ? bins_ - 1
                                                                   : search(x);
    while (bin > 0 && x < edge(bin)) --bin;
    while (bin < bins_ - 1 && x >= edge(bin + 1)) ++bin;
    return bin;
  }

 private:
  T edge(std::int64_t i) const { return static_cast<T>(edges_(static_cast<std::uint64_t>(i))); }

  std::int64_t search(T x) const {
    std::int64_t low = 0, high = bins_ - 1;
    while (low < high) {
      const std::int64_t middle = low + (high - low + 1) / 2;
      if (x >= edge(middle))
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }

  Linspace edges_;
  std::int64_t bins_;
  T low_, high_, scale_;
};

// Bin i begins at edge i and ends before the next; the last one has its end. Edges are read where they lie: there may be as
// many as there are counts.
class GivenEdges {
 public:
  explicit GivenEdges(const View& view) : first_(first_element(view)), stride_(view.spec.strides[0]), size_(view.spec.shape[0]) {}

  Result<void> check(const OperandInfo& operand) const {
    for (std::int64_t i = 1; i < size_; ++i)
      if (edge(i - 1) > edge(i))
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("histogram with edges {}: edge {} is {} and the next one {}; they must not decrease",
                                format_operand(operand), i - 1, edge(i - 1), edge(i)));
    return {};
  }

  std::int64_t operator()(double x) const {
    if (size_ < 2) return kOutside;
    if (x == edge(size_ - 1)) return size_ - 2;
    // The first edge above x. A NaN has none.
    std::int64_t low = 0, high = size_;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (x < edge(middle))
        high = middle;
      else
        low = middle + 1;
    }
    return low == size_ ? kOutside : low - 1;
  }

 private:
  double edge(std::int64_t i) const {
    double x;
    std::memcpy(&x, first_ + i * stride_, sizeof x);
    return x;
  }

  const std::byte* first_;
  std::int64_t stride_, size_;
};

// Elements are kept as T and looked up as Wide.
template <class T, class Wide>
std::unique_ptr<Kernel> make_histogram_of(KernelJob job) {
  const wire::Histogram& message = job.operation.histogram();
  const bool weighted = message.weighted();
  if (message.bins() != 0) {
    // As NumPy: a range without width is widened.
    const double half = message.low() == message.high() ? 0.5 : 0;
    const EqualBins<Wide> equal(message.bins(), message.low() - half, message.high() + half);
    return make_bin_counts<T>(
        std::move(job), message.bins(), weighted,
        [equal](const T* elements, std::uint64_t, std::uint64_t count, std::int64_t* bins) -> Result<void> {
          for (std::uint64_t i = 0; i < count; ++i) bins[i] = equal(static_cast<Wide>(elements[i]));
          return {};
        });
  }
  const View& view = job.inputs[1];
  const std::uint64_t edges = element_count(view.spec);
  const std::uint64_t bins = edges == 0 ? 0 : edges - 1;
  const GivenEdges given(view);
  const auto checked = given.check({view.spec, view.label});
  return make_bin_counts<T>(
      std::move(job), bins, weighted,
      [given, checked](const T* elements, std::uint64_t, std::uint64_t count, std::int64_t* at) -> Result<void> {
        if (!checked) return checked;
        for (std::uint64_t i = 0; i < count; ++i) at[i] = given(static_cast<double>(elements[i]));
        return {};
      });
}

}  // namespace

std::unique_ptr<Kernel> make_histogram(KernelJob job) {
  const DType dtype = job.inputs[0].spec.dtype;
  if (dtype == DType::kBool) return make_histogram_of<std::uint8_t, double>(std::move(job));
  return visit_dtype(dtype, [&](auto x) -> std::unique_ptr<Kernel> {
    using T = decltype(x);
    if constexpr (std::is_same_v<T, float>)
      return make_histogram_of<float, float>(std::move(job));
    else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
      return make_histogram_of<T, double>(std::move(job));
    else
      return nullptr;  // refused by the plan
  });
}

}  // namespace parcompute
