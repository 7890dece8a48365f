// take: np.take with mode='raise' (plan: common/operation/select_plans.cc).
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "common/operation/order_plan.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

class Take final : public Kernel {
 public:
  explicit Take(KernelJob job)
      : job_(std::move(job)),
        a_(job_.inputs[0]),
        indices_(job_.inputs[1]),
        size_(itemsize(a_.spec.dtype)),
        shape_(shape_take(a_.spec, indices_.spec, axis_of(job_.operation.take()))),
        outer_(a_.spec),
        inner_(a_.spec),
        dense_(is_c_contiguous(a_.spec)) {
    if (!shape_.axis) return;
    const auto axis = static_cast<std::ptrdiff_t>(*shape_.axis);
    outer_.shape.assign(a_.spec.shape.begin(), a_.spec.shape.begin() + axis);
    outer_.strides.assign(a_.spec.strides.begin(), a_.spec.strides.begin() + axis);
    inner_.shape.assign(a_.spec.shape.begin() + axis + 1, a_.spec.shape.end());
    inner_.strides.assign(a_.spec.strides.begin() + axis + 1, a_.spec.strides.end());
    inner_.offset = 0;
    inner_dense_ = is_c_contiguous(inner_);
  }

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      const std::uint64_t first = block * shape_.per_block;
      const std::uint64_t end = std::min(shape_.outer * shape_.indices, first + shape_.per_block);
      for (std::uint64_t at = first; at < end;) {
        // As many as have the same place in the outer dimensions.
        const std::uint64_t run = std::min(end - at, shape_.indices - at % shape_.indices);
        if (auto ok = take_run(at, run); !ok) return ok;
        at += run;
      }
    }
    return {};
  }

 private:
  Result<void> take_run(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t position = first % shape_.indices;
    read_indices(position, count);
    std::byte* to = first_element(job_.outputs[0]) + first * shape_.inner * size_;
    const std::byte* const base =
        first_element(a_) + (shape_.axis ? element_offset(outer_, first / shape_.indices) : 0);
    const std::int64_t stride = shape_.axis ? a_.spec.strides[*shape_.axis] : static_cast<std::int64_t>(size_);
    const auto length = static_cast<std::int64_t>(shape_.length);
    const bool one_axis = shape_.axis || dense_;
    for (std::uint64_t i = 0; i < count; ++i, to += shape_.inner * size_) {
      std::int64_t index = wanted_[i];
      if (index < -length || index >= length) return out_of_bounds(position + i, index);
      if (index < 0) index += length;
      const std::byte* const from =
          base + (one_axis ? index * stride : element_offset(a_.spec, static_cast<std::uint64_t>(index)));
      if (shape_.inner == 1)
        copy_one(from, to);
      else if (inner_dense_)
        std::memcpy(to, from, shape_.inner * size_);
      else
        gather(inner_, from, 0, shape_.inner, to);
    }
    return {};
  }

  void copy_one(const std::byte* from, std::byte* to) const {
    switch (size_) {
      case 1:
        std::memcpy(to, from, 1);
        break;
      case 2:
        std::memcpy(to, from, 2);
        break;
      case 4:
        std::memcpy(to, from, 4);
        break;
      case 8:
        std::memcpy(to, from, 8);
        break;
      default:
        std::memcpy(to, from, 16);
    }
  }

  void read_indices(std::uint64_t first, std::uint64_t count) {
    const DType dtype = indices_.spec.dtype;
    raw_.resize(count * itemsize(dtype));
    wanted_.resize(count);
    gather(indices_.spec, indices_.data, first, count, raw_.data());
    visit_dtype(dtype, [&](auto x) {
      using T = decltype(x);
      if constexpr (std::is_integral_v<T>)
        for (std::uint64_t i = 0; i < count; ++i) {
          std::memcpy(&x, raw_.data() + i * sizeof x, sizeof x);
          // Past int64 is past every array.
          wanted_[i] = std::is_same_v<T, std::uint64_t> && static_cast<std::uint64_t>(x) >> 63 != 0
                           ? std::numeric_limits<std::int64_t>::max()
                           : static_cast<std::int64_t>(x);
        }
    });
  }

  Result<void> out_of_bounds(std::uint64_t position, std::int64_t index) const {
    const OperandInfo a{a_.spec, a_.label}, indices{indices_.spec, indices_.label};
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("take from {} at {}: index {} (element {} in C order) is out of bounds; {} takes {} to {}",
                    format_operand(a), format_operand(indices), index, position,
                    shape_.axis ? fmt::format("axis {}", *shape_.axis) : std::string("the flat array"),
                    -static_cast<std::int64_t>(shape_.length), static_cast<std::int64_t>(shape_.length) - 1));
  }

  KernelJob job_;
  const View& a_;
  const View& indices_;
  std::size_t size_;
  TakeShape shape_;
  ArraySpec outer_, inner_;  // the dimensions before and after the axis
  bool dense_;
  bool inner_dense_ = true;
  std::vector<std::byte> raw_;
  std::vector<std::int64_t> wanted_;
};

}  // namespace

std::unique_ptr<Kernel> make_take(KernelJob job) {
  return std::make_unique<Take>(std::move(job));
}

}  // namespace parcompute
