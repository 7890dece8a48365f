// read_file: a file's bytes in order, as this machine's elements (plan: common/operation/copy_plans.cc).
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "common/operation/plans.h"
#include "common/os/system_error.h"
#include "worker/kernels/half.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

// The bytes of the output that a run of blocks covers.
struct ByteRange {
  std::uint64_t first;
  std::uint64_t count;
};
ByteRange bytes_of_blocks(BlockRange blocks, std::uint64_t total) {
  const std::uint64_t first = std::min(total, blocks.first * kCopyBlockBytes);
  return {first, std::min(total - first, blocks.count * kCopyBlockBytes)};
}

template <class T>
void swap_each(std::byte* bytes, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; i += sizeof(T), bytes += sizeof(T)) {
    T x;
    std::memcpy(&x, bytes, sizeof x);
    if constexpr (sizeof(T) == 2)
      x = __builtin_bswap16(x);
    else if constexpr (sizeof(T) == 4)
      x = __builtin_bswap32(x);
    else
      x = __builtin_bswap64(x);
    std::memcpy(bytes, &x, sizeof x);
  }
}

// Complex numbers are two components, each swapped in its place.
void swap_components(DType dtype, std::byte* bytes, std::uint64_t count) {
  const std::uint64_t size = info(dtype).kind == Kind::kComplex ? itemsize(dtype) / 2 : itemsize(dtype);
  if (size == 2)
    swap_each<std::uint16_t>(bytes, count);
  else if (size == 4)
    swap_each<std::uint32_t>(bytes, count);
  else if (size == 8)
    swap_each<std::uint64_t>(bytes, count);
}

class ReadFile final : public Kernel {
 public:
  explicit ReadFile(KernelJob job) : job_(std::move(job)) {}

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    const View& output = job_.outputs[0];
    const ByteRange range = bytes_of_blocks(blocks, byte_count(output.spec));
    std::byte* to = first_element(output) + range.first;
    if (job_.operation.read_file().is_half()) return read_halves(range, to);
    if (auto ok = read_range(range, to); !ok) return ok;
    if (job_.operation.read_file().swap_bytes()) swap_components(output.spec.dtype, to, range.count);
    return {};
  }

 private:
  // float16 elements of half the output's size, through a buffer that stays in the cache.
  Result<void> read_halves(ByteRange range, std::byte* to) {
    for (std::uint64_t done = 0; done < range.count;) {
      const std::uint64_t run = std::min<std::uint64_t>(range.count - done, 2 * halves_.size());
      if (auto ok = read_range({(range.first + done) / 2, run / 2}, halves_.data()); !ok) return ok;
      widen_halves(halves_.data(), static_cast<std::size_t>(run / 4), job_.operation.read_file().swap_bytes(), to + done);
      done += run;
    }
    return {};
  }

  // With pread, not through a mapping: a file that shrinks is an answer here, and a signal there.
  Result<void> read_range(ByteRange range, std::byte* to) const {
    const View& input = job_.inputs[0];
    const std::uint64_t from = input.data_offset + input.spec.offset + range.first;
    for (std::uint64_t done = 0; done < range.count;) {
      const ssize_t got = ::pread(input.fd, to + done, range.count - done, static_cast<off_t>(from + done));
      if (got > 0) {
        done += static_cast<std::uint64_t>(got);
      } else if (got == 0) {
        return fail(
            ErrorCode::kBadData,
            fmt::format(
                "the file of '{}' ended at byte {} while its {} data bytes from byte {} on were read; "
                "has it been shortened?",
                input.label, from + done, byte_count(input.spec), input.data_offset + input.spec.offset));
      } else if (errno != EINTR) {
        return fail(system_error("cannot read the file of", input.label, errno));
      }
    }
    return {};
  }

  KernelJob job_;
  std::array<std::byte, 32 * 1024> halves_;
};

}  // namespace

std::unique_ptr<Kernel> make_read_file(KernelJob job) {
  return std::make_unique<ReadFile>(std::move(job));
}

}  // namespace parcompute
