#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "common/array/npy.h"
#include "common/base/units.h"
#include "common/os/atomic_file.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

// Strided elements are gathered in pieces of this size.
constexpr std::size_t kGatherBytes = kMiB;

tl::unexpected<Error> not_regular(std::string_view label) {
  return fail(ErrorCode::kBadData,
              fmt::format("'{}' is no regular file; a .npy file must be one, to be mapped", label));
}

Result<std::uint64_t> regular_file_size(int fd, std::string_view label) {
  struct stat stat;
  if (::fstat(fd, &stat) != 0) return fail(system_error("read", label, errno));
  if (!S_ISREG(stat.st_mode)) return not_regular(label);
  return static_cast<std::uint64_t>(stat.st_size);
}

// Packs strided elements; the size is a constant so that each copy is one move.
template <std::size_t kItemsize>
void gather(std::byte* to, const std::byte* from, std::int64_t count, std::int64_t stride) {
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * std::int64_t{kItemsize}, from + i * stride, kItemsize);
}

void gather(std::size_t itemsize, std::byte* to, const std::byte* from, std::int64_t count,
            std::int64_t stride) {
  switch (itemsize) {
    case 1:
      return gather<1>(to, from, count, stride);
    case 2:
      return gather<2>(to, from, count, stride);
    case 4:
      return gather<4>(to, from, count, stride);
    case 8:
      return gather<8>(to, from, count, stride);
    default:
      return gather<16>(to, from, count, stride);
  }
}

// Appends an array's elements in C order, row by row. The array has at least one dimension and one element.
class RowWriter {
 public:
  RowWriter(AtomicFile& file, const ArraySpec& spec)
      : file_(file),
        spec_(spec),
        itemsize_(static_cast<std::size_t>(itemsize(spec.dtype))),
        buffer_(kGatherBytes) {}

  Result<void> write(const std::byte* element0) {
    if (auto ok = write_axis(0, element0); !ok) return ok;
    return flush();
  }

 private:
  Result<void> write_axis(std::size_t axis, const std::byte* at) {
    const std::int64_t stride = spec_.strides[axis];
    if (axis + 1 == spec_.ndim()) return append(at, spec_.shape[axis], stride);
    for (std::int64_t i = 0; i < spec_.shape[axis]; ++i)
      if (auto ok = write_axis(axis + 1, at + i * stride); !ok) return ok;
    return {};
  }

  Result<void> append(const std::byte* at, std::int64_t count, std::int64_t stride) {
    const std::size_t room = buffer_.size() / itemsize_;
    for (std::int64_t done = 0; done < count;) {
      if (filled_ == room)
        if (auto ok = flush(); !ok) return ok;
      const auto piece = std::min(count - done, static_cast<std::int64_t>(room - filled_));
      gather(itemsize_, buffer_.data() + filled_ * itemsize_, at + done * stride, piece, stride);
      filled_ += static_cast<std::size_t>(piece);
      done += piece;
    }
    return {};
  }

  Result<void> flush() {
    const auto full = std::span<const std::byte>(buffer_).first(filled_ * itemsize_);
    filled_ = 0;
    return file_.write(full);
  }

  AtomicFile& file_;
  const ArraySpec& spec_;
  const std::size_t itemsize_;
  std::vector<std::byte> buffer_;
  std::size_t filled_ = 0;  // elements
};

}  // namespace

Result<UniqueFd> open_npy(const std::string& path, bool writable) {
  UniqueFd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    // A directory to be written, a socket.
    if (errno == EISDIR || errno == ENXIO) return not_regular(path);
    return fail(system_error(writable ? "open for writing" : "open", path, errno));
  }
  if (auto size = regular_file_size(fd.get(), path); !size) return fail(size.error());
  return fd;
}

Result<NpyHeader> read_npy_header(int fd, std::string_view label) {
  const auto size = regular_file_size(fd, label);
  if (!size) return fail(size.error());
  std::vector<std::byte> beginning(
      static_cast<std::size_t>(std::min<std::uint64_t>(*size, kMaxNpyHeaderBytes)));
  std::size_t filled = 0;
  while (filled < beginning.size()) {
    const ssize_t got =
        ::pread(fd, beginning.data() + filled, beginning.size() - filled, static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(system_error("read", label, errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  auto header = parse_npy_header(std::span<const std::byte>(beginning).first(filled), label);
  if (!header) return header;
  const std::uint64_t promised = byte_count(header->spec);
  const std::uint64_t there = *size - std::min(*size, header->data_offset);
  if (there < promised)
    return fail(
        ErrorCode::kBadData,
        fmt::format(
            "'{}' is truncated: its header promises {} bytes of data ({}), {} are there; copy it again, or "
            "save it again",
            label, promised, format_spec(header->spec), there));
  return header;
}

Result<void> write_npy(const std::string& path, const ArraySpec& spec, const std::byte* element0) {
  auto file = AtomicFile::create(path);
  if (!file) return fail(file.error());
  ArraySpec written = spec;
  written.offset = 0;
  const bool dense = is_dense(spec);
  if (!dense) written.strides = dense_strides(spec.dtype, spec.shape);
  const std::string header = format_npy_header(written);
  if (auto ok = file->write(std::as_bytes(std::span(header))); !ok) return ok;
  if (dense) {
    if (auto ok = file->write({element0, static_cast<std::size_t>(byte_count(spec))}); !ok) return ok;
  } else if (auto ok = RowWriter(*file, spec).write(element0); !ok) {
    return ok;
  }
  return file->commit();
}

}  // namespace parcompute
