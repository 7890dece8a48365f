#include "tests/support/copy_message.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "common/base/invariant.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

// From this size on NumPy asks for huge pages; below, it is not worth the call.
constexpr std::size_t kHugeBytes = std::size_t{4} << 20;

constexpr std::size_t kMaxCopyDims = 4;

struct ArrayHead {
  std::uint32_t dtype = 0;
  std::uint32_t ndim = 0;
  std::int64_t shape[kMaxCopyDims] = {};
  std::uint64_t bytes = 0;
};

Result<void> read_all(int socket, std::span<std::byte> bytes, bool may_end) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::recv(socket, bytes.data() + done, bytes.size() - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(system_error("receive", "a message with arrays", errno));
    if (got == 0 && done == 0 && may_end)
      return fail(ErrorCode::kNoServer, "the other side has closed its socket");
    if (got == 0)
      return fail(ErrorCode::kBadData, "the other side closed its socket in the middle of a message");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace

FreshBytes::FreshBytes(std::size_t size) : size_(size) {
  memory_.reset(static_cast<std::byte*>(std::malloc(size == 0 ? 1 : size)));
  if (memory_ == nullptr) throw std::bad_alloc();
  if (size < kHugeBytes) return;
  // Only a wish: where the kernel has no huge pages, the memory comes in small ones.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory_.get()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory_.get()) + size) / page * page;
  static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
}

PlainArray make_array(DType dtype, Dims shape) {
  auto spec = make_spec(dtype, shape);
  PARCOMPUTE_INVARIANT(spec.has_value());
  FreshBytes data(byte_count(*spec));
  return {dtype, std::move(shape), std::move(data)};
}

FreshBytes serialize(MessageHead head, std::span<const ArrayRef> arrays) {
  head.array_count = static_cast<std::uint32_t>(arrays.size());
  head.message_bytes = sizeof(MessageHead);
  for (const ArrayRef& array : arrays) head.message_bytes += sizeof(ArrayHead) + array.bytes.size();

  FreshBytes message(head.message_bytes);
  std::byte* to = message.span().data();
  std::memcpy(to, &head, sizeof(head));
  to += sizeof(head);
  for (const ArrayRef& array : arrays) {
    PARCOMPUTE_INVARIANT(array.shape.size() <= kMaxCopyDims);
    ArrayHead array_head;
    array_head.dtype = static_cast<std::uint32_t>(array.dtype);
    array_head.ndim = static_cast<std::uint32_t>(array.shape.size());
    for (std::size_t d = 0; d < array.shape.size(); ++d) array_head.shape[d] = array.shape[d];
    array_head.bytes = array.bytes.size();
    std::memcpy(to, &array_head, sizeof(array_head));
    to += sizeof(array_head);
    if (!array.bytes.empty()) std::memcpy(to, array.bytes.data(), array.bytes.size());
    to += array.bytes.size();
  }
  return message;
}

Result<Message> deserialize(std::span<const std::byte> message) {
  Message result;
  PARCOMPUTE_INVARIANT(message.size() >= sizeof(MessageHead));
  std::memcpy(&result.head, message.data(), sizeof(MessageHead));
  auto rest = message.subspan(sizeof(MessageHead));
  for (std::uint32_t i = 0; i < result.head.array_count; ++i) {
    ArrayHead head;
    if (rest.size() < sizeof(head)) return fail(ErrorCode::kBadData, "a message ends before its arrays do");
    std::memcpy(&head, rest.data(), sizeof(head));
    rest = rest.subspan(sizeof(head));
    const auto dtype = dtype_from_number(head.dtype);
    if (!dtype || head.ndim > kMaxCopyDims)
      return fail(ErrorCode::kBadData, "a message holds no array where one is due");
    PlainArray array = make_array(*dtype, Dims(head.shape, head.shape + head.ndim));
    if (array.data.span().size() != head.bytes || rest.size() < head.bytes)
      return fail(ErrorCode::kBadData, "an array in a message is not as long as its shape says");
    if (head.bytes > 0) std::memcpy(array.data.span().data(), rest.data(), head.bytes);
    rest = rest.subspan(head.bytes);
    result.arrays.push_back(std::move(array));
  }
  return result;
}

Result<void> send_message(int socket, std::span<const std::byte> message) {
  while (!message.empty()) {
    const ssize_t sent = ::send(socket, message.data(), message.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail(system_error("send", "a message with arrays", errno));
    message = message.subspan(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<FreshBytes> receive_message(int socket) {
  MessageHead head;
  auto head_bytes = std::as_writable_bytes(std::span(&head, 1));
  if (auto got = read_all(socket, head_bytes, true); !got) return fail(got.error());
  if (head.message_bytes < sizeof(head))
    return fail(ErrorCode::kBadData, "a message is shorter than its head");
  FreshBytes message(head.message_bytes);
  std::memcpy(message.span().data(), &head, sizeof(head));
  if (auto got = read_all(socket, message.span().subspan(sizeof(head)), false); !got)
    return fail(got.error());
  return message;
}

}  // namespace parcompute
