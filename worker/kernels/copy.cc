// fill and read_file: kernels that write the output's bytes in order (plans: common/operation/copy_plans.cc).
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "common/operation/plans.h"
#include "common/os/system_error.h"
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

std::byte* element_bytes(const View& view) {
  return view.data + view.spec.offset;
}

// ---- fill ----

// Writes `count` elements first, first + 1, ... as NumPy's arange does: integers wrap, floats round.
template <class T>
void write_arange(std::uint64_t first, std::uint64_t count, std::byte* to) {
  for (std::uint64_t i = 0; i < count; ++i, to += sizeof(T)) {
    T x;
    if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
      x = T(static_cast<typename T::value_type>(first + i));
    else
      x = static_cast<T>(first + i);
    std::memcpy(to, &x, sizeof x);
  }
}

class Fill final : public Kernel {
 public:
  explicit Fill(KernelJob job) : job_(std::move(job)) {}

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    const wire::Fill& fill = job_.operation.fill();
    const View& output = job_.outputs[0];
    const std::size_t size = itemsize(output.spec.dtype);
    const ByteRange range = bytes_of_blocks(blocks, byte_count(output.spec));
    std::byte* to = element_bytes(output) + range.first;
    if (fill.how() == wire::Fill::ARANGE) {
      visit_dtype(output.spec.dtype,
                  [&](auto x) { write_arange<decltype(x)>(range.first / size, range.count / size, to); });
    } else {
      write_value(fill.value(), to, range.count);
    }
    return {};
  }

 private:
  // The first copy by hand, then what is there doubles. In steps that stay in the cache.
  static void write_value(const std::string& value, std::byte* to, std::uint64_t count) {
    if (count == 0) return;
    constexpr std::uint64_t kStep = 16 * 1024;
    std::memcpy(to, value.data(), value.size());
    for (std::uint64_t done = value.size(); done < count;) {
      const std::uint64_t run = std::min({done, kStep, count - done});
      std::memcpy(to + done, to, run);
      done += run;
    }
  }

  KernelJob job_;
};

// ---- read_file ----

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
    std::byte* to = element_bytes(output) + range.first;
    if (auto ok = read_range(range, to); !ok) return ok;
    if (job_.operation.read_file().swap_bytes()) swap_components(output.spec.dtype, to, range.count);
    return {};
  }

 private:
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
};

}  // namespace

std::unique_ptr<Kernel> make_fill(KernelJob job) {
  return std::make_unique<Fill>(std::move(job));
}
std::unique_ptr<Kernel> make_read_file(KernelJob job) {
  return std::make_unique<ReadFile>(std::move(job));
}

}  // namespace parcompute
