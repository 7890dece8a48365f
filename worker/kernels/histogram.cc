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

// Bin i begins at edge i and ends before the next; the last one has its end.
class GivenEdges {
 public:
  explicit GivenEdges(std::vector<double> edges) : edges_(std::move(edges)) {}

  Result<void> check(const OperandInfo& operand) const {
    for (std::size_t i = 1; i < edges_.size(); ++i)
      if (edges_[i - 1] > edges_[i])
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("histogram with edges {}: edge {} is {} and the next one {}; they must not decrease",
                                format_operand(operand), i - 1, edges_[i - 1], edges_[i]));
    return {};
  }

  std::int64_t operator()(double x) const {
    if (edges_.size() < 2) return kOutside;
    if (x == edges_.back()) return static_cast<std::int64_t>(edges_.size()) - 2;
    const auto after = std::upper_bound(edges_.begin(), edges_.end(), x);
    // Also a NaN, which no edge is above.
    return after == edges_.end() ? kOutside : after - edges_.begin() - 1;
  }

 private:
  std::vector<double> edges_;
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
  std::vector<double> edges(element_count(view.spec));
  gather(view.spec, view.data, 0, edges.size(), reinterpret_cast<std::byte*>(edges.data()));
  const OperandInfo operand{view.spec, view.label};
  const std::uint64_t bins = edges.empty() ? 0 : edges.size() - 1;
  const GivenEdges given(std::move(edges));
  const auto checked = given.check(operand);
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
