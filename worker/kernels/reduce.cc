// reduce: sum, min and max over all elements of one array (plan: common/operation/reduce_plan.cc).
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "common/base/invariant.h"
#include "common/operation/plans.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/reduce_simd.h"

namespace parcompute {
namespace {

static_assert(sizeof(Partial) == kReducePartialBytes);

class Reduce final : public Kernel {
 public:
  explicit Reduce(KernelJob job)
      : job_(std::move(job)),
        op_(job_.operation.reduce().op()),
        dtype_(job_.inputs[0].spec.dtype),
        elements_(element_count(job_.inputs[0].spec)),
        blocks_(reduce_blocks(dtype_, elements_)),
        dense_(is_dense(job_.inputs[0].spec)) {}

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) override {
    if (blocks_ == 1) {
      answer(block_partial(0), value);
    } else if (phase == 0) {
      for (std::uint64_t b = blocks.first; b < blocks.first + blocks.count; ++b)
        store_partial(b, block_partial(b));
    } else {
      answer(combine_all(), value);
    }
    return {};
  }

 private:
  Partial block_partial(std::uint64_t block) {
    const std::uint64_t per_block = reduce_block_elements(dtype_);
    const std::uint64_t first = block * per_block;
    const std::uint64_t count = std::min(per_block, elements_ - first);
    const View& input = job_.inputs[0];
    if (dense_) {
      const std::byte* data =
          count == 0 ? nullptr : input.data + input.spec.offset + first * itemsize(dtype_);
      return reduce_block(op_, dtype_, data, count);
    }
    gathered_.resize(kReduceBlockBytes);
    gather(input.spec, input.data, first, count, gathered_.data());
    return reduce_block(op_, dtype_, gathered_.data(), count);
  }

  void store_partial(std::uint64_t block, const Partial& partial) {
    std::memcpy(job_.scratch.data() + block * sizeof(Partial), &partial, sizeof(Partial));
  }

  // Pairwise by index: the tree over n blocks splits at the largest power of 2 below n. Like a binary
  // counter, a slot holds the combined partials of a run of 2^slot blocks.
  Partial combine_all() const {
    PARCOMPUTE_INVARIANT(job_.scratch.size() >= blocks_ * sizeof(Partial));
    std::array<Partial, 64> runs;
    for (std::uint64_t b = 0; b < blocks_; ++b) {
      Partial partial;
      std::memcpy(&partial, job_.scratch.data() + b * sizeof(Partial), sizeof(Partial));
      std::size_t slot = 0;
      for (; (b >> slot & 1) != 0; ++slot) partial = combine(op_, dtype_, runs[slot], partial);
      runs[slot] = partial;
    }
    // The runs that are left cover the blocks from the largest to the smallest.
    auto slot = static_cast<std::size_t>(std::countr_zero(blocks_));
    Partial total = runs[slot];
    for (++slot; blocks_ >> slot != 0; ++slot)
      if ((blocks_ >> slot & 1) != 0) total = combine(op_, dtype_, runs[slot], total);
    return total;
  }

  void answer(const Partial& partial, ScalarBytes& value) const {
    value = finish(op_, dtype_, partial);
    if (!job_.outputs.empty()) {
      const View& output = job_.outputs[0];
      std::memcpy(output.data + output.spec.offset, value.data(), itemsize(output.spec.dtype));
    }
  }

  KernelJob job_;
  wire::Reduce::Operator op_;
  DType dtype_;
  std::uint64_t elements_;
  std::uint64_t blocks_;
  bool dense_;
  std::vector<std::byte> gathered_;  // one block of an operand with gaps
};

}  // namespace

std::unique_ptr<Kernel> make_reduce(KernelJob job) {
  return std::make_unique<Reduce>(std::move(job));
}

}  // namespace parcompute
