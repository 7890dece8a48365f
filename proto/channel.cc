#include "proto/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/invariant.h"
#include "proto/limits.h"

namespace parcompute {
namespace {

constexpr std::size_t kMaxParts = 4;

Transfer transfer_of_errno(int error_number) {
  switch (error_number) {
    case EAGAIN: return Transfer::kWouldBlock;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN: return Transfer::kClosed;
    default: return Transfer::kBroken;
  }
}

}  // namespace

Transfer Channel::send(std::span<const std::span<const std::byte>> parts, std::span<const int> fds) {
  PARCOMPUTE_INVARIANT(parts.size() <= kMaxParts && fds.size() <= kMaxPacketFds);
  std::array<iovec, kMaxParts> vectors{};
  for (std::size_t i = 0; i < parts.size(); ++i)
    vectors[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};  // sendmsg only reads

  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPacketFds * sizeof(int))> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return transfer_of_errno(errno);
  }
  return Transfer::kDone;
}

Transfer Channel::send(std::span<const std::byte> bytes, std::span<const int> fds) {
  return send(std::span<const std::span<const std::byte>>(&bytes, 1), fds);
}

Transfer Channel::receive(std::span<std::byte> buffer, Packet& packet, int flags) {
  packet.bytes = {};
  packet.fds.clear();
  iovec vector{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxPacketFds * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();

  ssize_t received = 0;
  bool was_reset = false;
  while ((received = ::recvmsg(socket_.get(), &message, flags | MSG_CMSG_CLOEXEC)) < 0) {
    // A peer that closed before it read all that we sent resets the socket, once; what it said before still waits, the
    // reason for its going for instance.
    const bool is_first_reset = errno == ECONNRESET && !std::exchange(was_reset, true);
    if (errno != EINTR && !is_first_reset) return transfer_of_errno(errno);
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      packet.fds.emplace_back(fd);
    }
  }
  if (received == 0 && packet.fds.empty() && (message.msg_flags & MSG_CTRUNC) == 0) return Transfer::kClosed;
  if (received == 0 || (message.msg_flags & MSG_TRUNC) != 0) {
    packet.fds.clear();
    return Transfer::kBroken;
  }
  packet.bytes = std::span<const std::byte>(buffer).first(static_cast<std::size_t>(received));
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    packet.fds.clear();
    return Transfer::kNoFds;
  }
  return Transfer::kDone;
}

}  // namespace parcompute
