// BinCounts: counts, or sums of weights, of the bins that elements fall into (BinShape in
// common/operation/order_plan.h).
//
// A part's elements are added in their order, the parts in theirs: sums of weights are the same bits however the
// blocks run.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "worker/kernels/gather.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/row_sorter.h"

namespace parcompute {

// The operand as one row.
inline Rows flat_rows(const View& view) {
  return *rows_along("", {view.spec, view.label}, std::nullopt);
}

inline constexpr std::int64_t kOutside = -1;

// Locate: Result<void> operator()(const T* elements, first, count, std::int64_t* bins), which may write kOutside.
template <class T, class Count, class Locate>
class BinCounts final : public Kernel {
 public:
  BinCounts(KernelJob job, std::uint64_t bins, Locate locate)
      : job_(std::move(job)),
        shape_(shape_bins(element_count(job_.inputs[0].spec), bins)),
        reader_(job_.inputs[0], flat_rows(job_.inputs[0])),
        locate_(std::move(locate)) {
    if constexpr (std::is_floating_point_v<Count>)
      weights_.emplace(job_.inputs.back(), flat_rows(job_.inputs.back()));
  }

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes&) override {
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (phase == 1) {
        add_up(block);
        continue;
      }
      if (auto ok = count_part(block); !ok) return ok;
    }
    return {};
  }

 private:
  static constexpr std::uint64_t kStrip = 4096;

  Result<void> count_part(std::uint64_t part) {
    // Counted where the counts belong: there may be more of them than a worker should have beside the job's memory.
    Count* const counts = counts_of(part);
    std::fill_n(counts, shape_.bins, Count{0});
    const std::uint64_t end = std::min(shape_.elements, (part + 1) * shape_.part);
    std::int64_t bins[kStrip];
    for (std::uint64_t first = part * shape_.part; first < end; first += kStrip) {
      const std::uint64_t count = std::min(kStrip, end - first);
      if (auto ok = locate_(reader_.template read<T>(0, first, count), first, count, bins); !ok) return ok;
      if constexpr (std::is_floating_point_v<Count>) {
        const double* const weights = weights_->template read<double>(0, first, count);
        for (std::uint64_t i = 0; i < count; ++i)
          if (bins[i] != kOutside) counts[bins[i]] += weights[i];
      } else {
        for (std::uint64_t i = 0; i < count; ++i)
          if (bins[i] != kOutside) ++counts[bins[i]];
      }
    }
    return {};
  }

  // A part's own counts in scratch; the result's, where there is one part.
  Count* counts_of(std::uint64_t part) {
    if (shape_.parts > 1) return reinterpret_cast<Count*>(job_.scratch.data()) + part * shape_.bins;
    return reinterpret_cast<Count*>(out());
  }

  void add_up(std::uint64_t block) {
    const std::uint64_t first = block * kBinSumBlock;
    const std::uint64_t bins = std::min(kBinSumBlock, shape_.bins - first);
    counts_.assign(bins, Count{0});
    const auto* from = reinterpret_cast<const Count*>(job_.scratch.data()) + first;
    for (std::uint64_t part = 0; part < shape_.parts; ++part, from += shape_.bins)
      for (std::uint64_t i = 0; i < bins; ++i) counts_[i] += from[i];
    std::memcpy(out() + first * sizeof(Count), counts_.data(), bins * sizeof(Count));
  }

  std::byte* out() const { return first_element(job_.outputs[0]); }

  KernelJob job_;
  BinShape shape_;
  RowReader reader_;
  std::optional<RowReader> weights_;
  Locate locate_;
  std::vector<Count> counts_;
};

// Counts where there are no weights, else their sums.
template <class T, class Locate>
std::unique_ptr<Kernel> make_bin_counts(KernelJob job, std::uint64_t bins, bool weighted, Locate locate) {
  if (weighted) return std::make_unique<BinCounts<T, double, Locate>>(std::move(job), bins, std::move(locate));
  return std::make_unique<BinCounts<T, std::int64_t, Locate>>(std::move(job), bins, std::move(locate));
}

}  // namespace parcompute
