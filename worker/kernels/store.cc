// Results for arrays that exist: made in scratch memory by another kernel, cast and stored here (plan: store_plan.cc).
#include <algorithm>
#include <cstring>

#include "common/operation/plans.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/loops.h"

namespace parcompute {
namespace {

// Elements that are cast at once, in the L1 cache.
constexpr std::size_t kStrip = 1024;
constexpr std::size_t kMostItemBytes = 16;

KernelJob inner_job(const KernelJob& job) {
  KernelJob inner{job.operation, job.plan, job.inputs, {}, job.scratch};
  const StoredResult& stored = *job.plan.stored;
  inner.plan.output = stored.spec;
  inner.plan.stored.reset();
  if (element_count(stored.stretched) > 0) inner.plan.phases.pop_back();
  const bool made = !stored.is_zeros && element_count(stored.spec) > 0;
  inner.outputs.push_back({stored.spec, job.outputs[0].label, made ? job.scratch.data() + stored.offset : nullptr, -1, 0});
  return inner;
}

class Store final : public Kernel {
 public:
  Store(KernelJob job, const KernelRow& row)
      : output_(job.outputs[0]),
        stored_(*job.plan.stored),
        result_(stored_.is_zeros || job.scratch.empty() ? nullptr : job.scratch.data() + stored_.offset),
        own_phase_(job.plan.phases.size() - (element_count(stored_.stretched) > 0 ? 1 : 0)),
        is_stretched_(!is_c_contiguous(stored_.stretched)),
        scalar_(job.plan.scalar),
        cast_(find_cast(stored_.spec.dtype, output_.spec.dtype)),
        inner_(own_phase_ > 0 ? row.make(inner_job(job)) : nullptr) {}

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) override {
    if (phase < own_phase_) return inner_->run(phase, blocks, value);
    const std::uint64_t end = std::min(element_count(stored_.stretched), (blocks.first + blocks.count) * kStoreBlockElements);
    for (std::uint64_t at = blocks.first * kStoreBlockElements; at < end; at += kStrip) store(at, std::min<std::uint64_t>(kStrip, end - at));
    // The job's scalar is the result's only element.
    if (scalar_ && result_ != nullptr) std::memcpy(value.data(), result_, itemsize(*scalar_));
    return {};
  }

  Result<void> run_steps(std::size_t phase, std::uint64_t first, Steps& steps, ScalarBytes& value) override {
    return phase < own_phase_ ? inner_->run_steps(phase, first, steps, value) : Kernel::run_steps(phase, first, steps, value);
  }

 private:
  void store(std::uint64_t first, std::size_t count) {
    alignas(64) std::byte cast[kStrip * kMostItemBytes];
    alignas(64) std::byte gathered[kStrip * kMostItemBytes];
    const std::byte* from = cast;
    if (result_ == nullptr) {
      std::memset(cast, 0, count * itemsize(output_.spec.dtype));
    } else {
      if (is_stretched_) {
        gather(stored_.stretched, result_, first, count, gathered);
        from = gathered;
      } else {
        from = result_ + first * itemsize(stored_.spec.dtype);
      }
      if (stored_.spec.dtype != output_.spec.dtype) {
        Strip strip;
        strip.in[0] = from;
        strip.out = cast;
        strip.count = count;
        cast_(strip);
        from = cast;
      }
    }
    scatter(output_.spec, output_.data, first, count, from);
  }

  View output_;
  StoredResult stored_;
  const std::byte* result_;
  std::size_t own_phase_;
  bool is_stretched_;
  std::optional<DType> scalar_;
  Loop cast_;
  std::unique_ptr<Kernel> inner_;  // null where there is nothing to make: zeros
};

}  // namespace

std::unique_ptr<Kernel> make_store(KernelJob job, const KernelRow& row) {
  return std::make_unique<Store>(std::move(job), row);
}

}  // namespace parcompute
