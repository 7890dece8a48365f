// BinCounts: counts, or sums of weights, of the bins that elements fall into (BinShape in
// common/operation/order_plan.h).
//
// A part's elements are added in their order, the parts in theirs: sums of weights are the same bits however the
// blocks run. Whole numbers are added up as 64 bits, which wrap, others as float64; a result of fewer bits is cast from the sums.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "worker/kernels/bin_weights.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/row_sorter.h"

namespace parcompute {

// The operand as one row.
inline Rows flat_rows(const View& view) {
  return *rows_along("", {view.spec, view.label}, std::nullopt);
}

inline constexpr std::int64_t kOutside = -1;

// Count: std::uint64_t or double. Locate: Result<void> operator()(const T* elements, first, count, std::int64_t* bins), which may
// write kOutside.
template <class T, class Count, class Locate>
class BinCounts final : public Kernel {
 public:
  BinCounts(KernelJob job, std::uint64_t bins, bool weighted, Locate locate)
      : job_(std::move(job)),
        shape_(shape_bins(element_count(job_.inputs[0].spec), bins)),
        reader_(job_.inputs[0], flat_rows(job_.inputs[0])),
        locate_(std::move(locate)) {
    if (weighted) weights_.emplace(job_.inputs.back(), kSums);
    if (job_.outputs[0].spec.dtype != kSums) cast_ = find_cast(kSums, job_.outputs[0].spec.dtype);
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
  static constexpr DType kSums = std::is_floating_point_v<Count> ? DType::kFloat64 : DType::kUint64;

  Result<void> count_part(std::uint64_t part) {
    // Counted where the counts belong: there may be more of them than a worker should have beside the job's memory.
    Count* const counts = counts_of(part);
    std::fill_n(counts, shape_.bins, Count{0});
    const std::uint64_t end = std::min(shape_.elements, (part + 1) * shape_.part);
    std::int64_t bins[kStrip];
    for (std::uint64_t first = part * shape_.part; first < end; first += kStrip) {
      const std::uint64_t count = std::min(kStrip, end - first);
      if (auto ok = locate_(reader_.template read<T>(0, first, count), first, count, bins); !ok) return ok;
      if (weights_) {
        const auto* const weights = reinterpret_cast<const Count*>(weights_->read(first, count));
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
    if (!counts_into_result(shape_, job_.outputs[0].spec.dtype)) return reinterpret_cast<Count*>(job_.scratch.data()) + part * shape_.bins;
    return reinterpret_cast<Count*>(out());
  }

  void add_up(std::uint64_t block) {
    const std::uint64_t first = block * kBinSumBlock;
    const std::uint64_t bins = std::min(kBinSumBlock, shape_.bins - first);
    counts_.assign(bins, Count{0});
    const auto* from = reinterpret_cast<const Count*>(job_.scratch.data()) + first;
    for (std::uint64_t part = 0; part < shape_.parts; ++part, from += shape_.bins)
      for (std::uint64_t i = 0; i < bins; ++i) counts_[i] += from[i];
    std::byte* const to = out() + first * itemsize(job_.outputs[0].spec.dtype);
    if (cast_ != nullptr)
      cast_(Strip{.in = {counts_.data()}, .out = to, .count = bins});
    else
      std::memcpy(to, counts_.data(), bins * sizeof(Count));
  }

  std::byte* out() const { return first_element(job_.outputs[0]); }

  KernelJob job_;
  BinShape shape_;
  RowReader reader_;
  std::optional<BinWeights> weights_;
  Loop cast_ = nullptr;  // of the sums to the result's dtype
  Locate locate_;
  std::vector<Count> counts_;
};

// Counts where there are no weights, else their sums.
template <class T, class Locate>
std::unique_ptr<Kernel> make_bin_counts(KernelJob job, std::uint64_t bins, bool weighted, Locate locate) {
  if (info(job.outputs[0].spec.dtype).kind == Kind::kFloat)
    return std::make_unique<BinCounts<T, double, Locate>>(std::move(job), bins, weighted, std::move(locate));
  return std::make_unique<BinCounts<T, std::uint64_t, Locate>>(std::move(job), bins, weighted, std::move(locate));
}

}  // namespace parcompute
