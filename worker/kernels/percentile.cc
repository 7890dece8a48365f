// percentile (plan: common/operation/sort_plans.cc). Long rows are not sorted whole: two elements are selected from
// sorted runs.
#include <cmath>
#include <cstring>
#include <limits>

#include "common/base/invariant.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/row_sorter.h"

namespace parcompute {
namespace {

template <class T>
class Percentile final : public Kernel {
 public:
  Percentile(KernelJob job, const Rows& rows)
      : job_(std::move(job)),
        rows_(rows),
        sorter_(shape_sort(rows.rows, rows.length, sizeof(T)), job_.scratch,
                load_keys<T>(RowReader(job_.inputs[0], rows), false)),
        is_single_(percentile_dtype(job_.operation.percentile(), rows.spec.dtype) == DType::kFloat32) {}

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes&) override {
    const SortShape& shape = sorter_.shape();
    const std::uint64_t per_row = job_.operation.percentile().q().size();
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (!shape.is_long()) {
        const std::uint64_t end = std::min(shape.rows, (block + 1) * shape.rows_per_block);
        for (std::uint64_t row = block * shape.rows_per_block; row < end; ++row) {
          const std::span<const Key> sorted = sorter_.sorted_row(row);
          for (std::uint64_t q = 0; q < per_row; ++q)
            answer(row, q, [&](std::uint64_t rank) { return sorted[rank]; });
        }
      } else if (phase == 0) {
        sorter_.sort_run(block);
      } else {
        const std::uint64_t end = std::min(rows_.rows * per_row, (block + 1) * kPercentilesPerBlock);
        for (std::uint64_t at = block * kPercentilesPerBlock; at < end; ++at) {
          const std::uint64_t row = at / per_row;
          answer(row, at % per_row, [&](std::uint64_t rank) { return sorter_.item_at(row, rank); });
        }
      }
    }
    return {};
  }

 private:
  using Key = KeyOf<T>;

  // NumPy's steps, in its order and its types: a difference of float32 is rounded to float32, and infinite neighbours
  // make a NaN. A difference of integers does not wrap here. The place is a float64 whatever the elements are.
  template <class At>
  void answer(std::uint64_t row, std::uint64_t q_index, const At& at) {
    const double q = job_.operation.percentile().q(static_cast<int>(q_index)) / 100;
    const double place = static_cast<double>(rows_.length - 1) * q;
    const bool last = place >= static_cast<double>(rows_.length - 1);
    const std::uint64_t previous = last ? rows_.length - 1 : static_cast<std::uint64_t>(place);
    const T a = element_of<T>(at(previous));
    const T b = last ? a : element_of<T>(at(previous + 1));
    const double weight = last ? place + 1 : place - static_cast<double>(previous);
    const bool has_nan = is_nan(element_of<T>(at(rows_.length - 1)));
    const std::uint64_t index = q_index * rows_.rows + row;
    if constexpr (std::is_same_v<T, float>)
      if (is_single_) return write(index, between(a, b, difference(a, b), weight), has_nan);
    write(index, between(static_cast<double>(a), static_cast<double>(b), static_cast<double>(difference(a, b)), weight), has_nan);
  }

  // Computed in Real. Of the weight's two parts each is rounded by itself.
  template <class Real>
  static Real between(Real a, Real b, Real step, double weight) {
    return weight >= 0.5 ? b - step * static_cast<Real>(1 - weight) : a + step * static_cast<Real>(weight);
  }

  template <class Real>
  void write(std::uint64_t index, Real result, bool has_nan) const {
    if (has_nan || is_nan(result)) result = std::numeric_limits<Real>::quiet_NaN();
    std::memcpy(first_element(job_.outputs[0]) + index * sizeof result, &result, sizeof result);
  }

  template <class Number>
  static bool is_nan(Number x) {
    return x != x;
  }

  static auto difference(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return static_cast<T>(b - a);
    else
      return static_cast<std::uint64_t>(b) - static_cast<std::uint64_t>(a);
  }

  KernelJob job_;
  Rows rows_;
  RowSorter<Key> sorter_;
  bool is_single_;  // float32 stays float32
};

}  // namespace

std::unique_ptr<Kernel> make_percentile(KernelJob job) {
  const auto rows =
      rows_along("percentile", {job.inputs[0].spec, job.inputs[0].label}, axis_of(job.operation.percentile()));
  PARCOMPUTE_INVARIANT(rows.has_value());  // the plan in `job` was made of the same operand
  return visit_dtype(job.inputs[0].spec.dtype, [&](auto x) -> std::unique_ptr<Kernel> {
    using T = decltype(x);
    if constexpr (is_complex_v<T> || std::is_same_v<T, bool>)
      return nullptr;  // refused by the plan
    else
      return std::make_unique<Percentile<T>>(std::move(job), *rows);
  });
}

}  // namespace parcompute
