// compress: a[mask] (plan: common/operation/select_plans.cc). Phase 0 counts each block of the mask, phase 1 copies
// what it chose to where the counts before it end.
#include <cstring>
#include <vector>

#include "common/operation/order_plan.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/pages.h"

namespace parcompute {
namespace {

class Compress final : public Kernel {
 public:
  explicit Compress(KernelJob job)
      : job_(std::move(job)),
        a_(job_.inputs[0]),
        mask_(job_.inputs[1]),
        size_(itemsize(a_.spec.dtype)),
        shape_(shape_compress(a_.spec, mask_.spec)),
        dense_(is_c_contiguous(a_.spec)),
        counts_(reinterpret_cast<std::uint64_t*>(job_.scratch.data())) {}

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) override {
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (phase == 0) {
        counts_[block] = count(block);
        continue;
      }
      const std::uint64_t mask_block = block / shape_.inner_parts;
      const std::uint64_t to = counts_before(mask_block);
      copy(mask_block, block % shape_.inner_parts, to);
      if (block + 1 == shape_.mask_blocks * shape_.inner_parts) {
        const std::uint64_t length = to + counts_[mask_block];
        free_pages_behind(job_.outputs[0], length * shape_.inner * size_);
        value = length_bytes(length);
      }
    }
    return {};
  }

 private:
  // The mask's bytes of a block, one or zero each or not.
  const std::uint8_t* mask_bytes(std::uint64_t block, std::uint64_t& elements) {
    const std::uint64_t first = block * shape_.per_block;
    elements = std::min(shape_.per_block, shape_.mask - first);
    mask_copy_.resize(shape_.per_block);
    gather(mask_.spec, mask_.data, first, elements, reinterpret_cast<std::byte*>(mask_copy_.data()));
    return mask_copy_.data();
  }

  std::uint64_t count(std::uint64_t block) {
    std::uint64_t elements;
    const std::uint8_t* const chosen = mask_bytes(block, elements);
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < elements; ++i) total += chosen[i] != 0;
    return total;
  }

  // Blocks mostly come one after the other.
  std::uint64_t counts_before(std::uint64_t block) {
    if (block < summed_) summed_ = before_ = 0;
    for (; summed_ < block; ++summed_) before_ += counts_[summed_];
    return before_;
  }

  template <std::size_t kSize>
  static void copy_chosen(const std::uint8_t* chosen, std::uint64_t elements, const std::byte* from, std::byte* to) {
    for (std::uint64_t i = 0; i < elements; ++i)
      if (chosen[i] != 0) {
        std::memcpy(to, from + i * kSize, kSize);
        to += kSize;
      }
  }

  void copy(std::uint64_t mask_block, std::uint64_t part, std::uint64_t to_index) {
    std::uint64_t elements;
    const std::uint8_t* const chosen = mask_bytes(mask_block, elements);
    if (counts_[mask_block] == 0 || shape_.inner == 0) return;
    std::byte* to = first_element(job_.outputs[0]) + to_index * shape_.inner * size_;
    const std::uint64_t first = mask_block * shape_.per_block;
    if (shape_.inner == 1) {
      const std::byte* from = dense_ ? first_element(a_) + first * size_ : copied(first, elements);
      switch (size_) {
        case 1:
          return copy_chosen<1>(chosen, elements, from, to);
        case 2:
          return copy_chosen<2>(chosen, elements, from, to);
        case 4:
          return copy_chosen<4>(chosen, elements, from, to);
        case 8:
          return copy_chosen<8>(chosen, elements, from, to);
        default:
          return copy_chosen<16>(chosen, elements, from, to);
      }
    }
    const std::uint64_t part_first = part * shape_.inner_part;
    const std::uint64_t part_count = std::min(shape_.inner_part, shape_.inner - part_first);
    to += part_first * size_;
    for (std::uint64_t i = 0; i < elements; ++i) {
      if (chosen[i] == 0) continue;
      gather(a_.spec, a_.data, (first + i) * shape_.inner + part_first, part_count, to);
      to += shape_.inner * size_;
    }
  }

  const std::byte* copied(std::uint64_t first, std::uint64_t count) {
    copy_.resize(shape_.per_block * size_);
    gather(a_.spec, a_.data, first, count, copy_.data());
    return copy_.data();
  }

  KernelJob job_;
  const View& a_;
  const View& mask_;
  std::size_t size_;
  CompressShape shape_;
  bool dense_;
  std::uint64_t* counts_;  // of each block of the mask, in scratch
  std::uint64_t summed_ = 0, before_ = 0;
  std::vector<std::uint8_t> mask_copy_;
  std::vector<std::byte> copy_;
};

}  // namespace

std::unique_ptr<Kernel> make_compress(KernelJob job) {
  return std::make_unique<Compress>(std::move(job));
}

}  // namespace parcompute
