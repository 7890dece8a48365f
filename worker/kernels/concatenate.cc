// concatenate and stack: the operands' runs, one after the other, cast where their dtype is another (plan:
// common/operation/concatenate_plan.cc).
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "common/operation/concatenate_plan.h"
#include "common/operation/plans.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/loops.h"

namespace parcompute {
namespace {

// Rows up to this long are joined many at once: a copy for each run would cost more than its bytes.
constexpr std::size_t kStripBytes = 32 * 1024;
constexpr std::size_t kShortRow = kStripBytes / 8;
// Elements that are cast at once.
constexpr std::size_t kCastStrip = 1024;
constexpr std::size_t kMostItemBytes = 16;

// `count` runs of kSize bytes (0: `size`), one after the other at `from`, `step` bytes apart at `to`.
template <std::size_t kSize>
void spread(const std::byte* from, std::size_t size, std::uint64_t count, std::byte* to, std::size_t step) {
  const std::size_t bytes = kSize == 0 ? size : kSize;
  for (std::uint64_t i = 0; i < count; ++i, from += bytes, to += step) std::memcpy(to, from, bytes);
}

void spread(const std::byte* from, std::size_t size, std::uint64_t count, std::byte* to, std::size_t step) {
  switch (size) {
    case 1:
      return spread<1>(from, size, count, to, step);
    case 2:
      return spread<2>(from, size, count, to, step);
    case 4:
      return spread<4>(from, size, count, to, step);
    case 8:
      return spread<8>(from, size, count, to, step);
    case 16:
      return spread<16>(from, size, count, to, step);
    default:
      return spread<0>(from, size, count, to, step);
  }
}

class Concatenate final : public Kernel {
 public:
  explicit Concatenate(KernelJob job) : job_(std::move(job)) {
    std::vector<OperandInfo> operands;
    for (const View& input : job_.inputs) operands.push_back({input.spec, input.label});
    joining_ = *join_operands(job_.operation.concatenate(), operands);  // checked by the plan
    size_ = itemsize(joining_.output.dtype);
    for (std::size_t i = 0; i < job_.inputs.size(); ++i) {
      const ArraySpec& spec = joining_.operands[i];
      const Loop cast = spec.dtype == joining_.output.dtype ? nullptr : find_cast(spec.dtype, joining_.output.dtype);
      sources_.push_back({&spec, job_.inputs[i].data, joining_.runs[i], cast == nullptr && is_c_contiguous(spec), cast});
    }
  }

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    const std::uint64_t total = byte_count(joining_.output);
    std::uint64_t at = std::min(total, blocks.first * kCopyBlockBytes) / size_;
    const std::uint64_t end = std::min(total, (blocks.first + blocks.count) * kCopyBlockBytes) / size_;
    std::byte* to = first_element(job_.outputs[0]) + at * size_;
    while (at < end) {
      const std::uint64_t row = at / joining_.row_elements, column = at % joining_.row_elements;
      const std::uint64_t whole_rows = column == 0 ? (end - at) / joining_.row_elements : 0;
      const std::uint64_t done = whole_rows > 1 && joining_.row_elements * size_ <= kShortRow
                                     ? join_rows(row, whole_rows, to)
                                     : copy_run(row, column, end - at, to);
      at += done;
      to += done * size_;
    }
    return {};
  }

 private:
  struct Source {
    const ArraySpec* spec;
    const std::byte* data;
    std::uint64_t run;  // elements in a row
    bool is_ready;  // its bytes are the result's, one behind the other
    Loop cast;      // null where it has the result's dtype
  };

  // From one place in a row to the end of the operand's run there, `most` elements at most. Answers how many.
  std::uint64_t copy_run(std::uint64_t row, std::uint64_t column, std::uint64_t most, std::byte* to) const {
    auto source = sources_.begin();
    for (; column >= source->run; ++source) column -= source->run;
    const std::uint64_t count = std::min(most, source->run - column);
    copy(*source, row * source->run + column, count, to);
    return count;
  }

  // Elements in the operand's C order.
  void copy(const Source& source, std::uint64_t first, std::uint64_t count, std::byte* to) const {
    if (source.is_ready)
      std::memcpy(to, first_element(*source.spec, source.data) + first * size_, count * size_);
    else
      fetch(source, first, count, to);
  }

  // Those that are not ready.
  void fetch(const Source& source, std::uint64_t first, std::uint64_t count, std::byte* to) const {
    if (source.cast == nullptr) return gather(*source.spec, source.data, first, count, to);
    alignas(64) std::byte raw[kCastStrip * kMostItemBytes];
    for (const std::uint64_t end = first + count; first < end;) {
      Strip strip;
      strip.count = std::min<std::uint64_t>(kCastStrip, end - first);
      gather(*source.spec, source.data, first, strip.count, raw);
      strip.in[0] = raw;
      strip.out = to;
      source.cast(strip);
      first += strip.count;
      to += strip.count * size_;
    }
  }

  // Some whole rows, `most` at most: operand by operand. Answers how many elements.
  std::uint64_t join_rows(std::uint64_t row, std::uint64_t most, std::byte* to) {
    const std::size_t row_bytes = joining_.row_elements * size_;
    const std::uint64_t rows = std::min<std::uint64_t>(most, kStripBytes / row_bytes);
    for (const Source& source : sources_) {
      if (source.run == 0) continue;
      const std::byte* runs = strip_.data();
      if (source.is_ready)
        runs = first_element(*source.spec, source.data) + row * source.run * size_;
      else
        fetch(source, row * source.run, rows * source.run, strip_.data());
      spread(runs, source.run * size_, rows, to, row_bytes);
      to += source.run * size_;
    }
    return rows * joining_.row_elements;
  }

  KernelJob job_;
  Joining joining_;
  std::vector<Source> sources_;
  std::size_t size_ = 0;
  alignas(64) std::array<std::byte, kStripBytes> strip_;
};

}  // namespace

std::unique_ptr<Kernel> make_concatenate(KernelJob job) {
  return std::make_unique<Concatenate>(std::move(job));
}

}  // namespace parcompute
