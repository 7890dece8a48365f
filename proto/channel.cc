#include "proto/channel.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "common/base/invariant.h"
#include "proto/limits.h"

namespace parcompute {
namespace {

constexpr std::size_t kMaxParts = 4;
// The kernel's SCM_MAX_FD. There is room for all of them: those that have none the kernel closes in recvmsg(), which would wait as long
// as their sender likes. (So it does where this process's table is full.)
constexpr std::size_t kMostFdsOfKernel = 253;
// Nothing tells when a kernel that was short of memory has some again, or when descriptors on their way have arrived: poll() calls
// the socket writable all the while. So time is what there is to wait for.
constexpr int kInsistTimes = 100;
constexpr std::chrono::milliseconds kInsistPause{10};

template <class Attempt>
Transfer insist_on(Attempt attempt) {
  Transfer outcome = attempt();
  for (int tried = 0; outcome == Transfer::kNoRoom && tried < kInsistTimes; ++tried) {
    std::this_thread::sleep_for(kInsistPause);
    outcome = attempt();
  }
  return outcome;
}

// Received descriptors, before there is memory for them: not initialized, for nearly every packet has none.
struct Fds {
  Fds() {}
  Fds(const Fds&) = delete;
  Fds& operator=(const Fds&) = delete;
  ~Fds() {
    while (count > 0) UniqueFd(numbers[--count]).reset();
  }
  void move_to(std::vector<UniqueFd>& owners) {
    owners.reserve(count);
    for (std::size_t i = 0; i < count; ++i) owners.emplace_back(numbers[i]);
    count = 0;
  }
  std::size_t count = 0;
  std::array<int, kMostFdsOfKernel> numbers;
};

// A call that a signal interrupts begins anew, and so would its time limit (SO_RCVTIMEO, SO_SNDTIMEO): periodic signals would make it endless.
// It ends at most one limit after the first signal.
class Interruptions {
 public:
  Interruptions(int fd, int limit_option) : fd_(fd), limit_option_(limit_option) {}
  // Of one call, which failed with EINTR: whether it is to be made again.
  bool begins_anew() {
    const auto now = Clock::now();
    if (end_ == Clock::time_point::min()) end_ = now + limit();
    return now < end_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  Clock::duration limit() const {
    timeval limit{};
    socklen_t size = sizeof limit;
    const bool has_limit = ::getsockopt(fd_, SOL_SOCKET, limit_option_, &limit, &size) == 0 && (limit.tv_sec != 0 || limit.tv_usec != 0);
    return has_limit ? std::chrono::seconds(limit.tv_sec) + std::chrono::microseconds(limit.tv_usec) : std::chrono::hours(24 * 365);
  }

  int fd_;
  int limit_option_;
  Clock::time_point end_ = Clock::time_point::min();  // none yet
};

Transfer transfer_of_errno(int error_number) {
  switch (error_number) {
    case EAGAIN: return Transfer::kWouldBlock;
    case ENOMEM:
    case ENOBUFS:
    case ETOOMANYREFS: return Transfer::kNoRoom;
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
  Interruptions interruptions(socket_.get(), SO_SNDTIMEO);
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return transfer_of_errno(errno);
    if (!interruptions.begins_anew()) return Transfer::kWouldBlock;
  }
  return Transfer::kDone;
}

Transfer Channel::send(std::span<const std::byte> bytes, std::span<const int> fds) {
  return send(std::span<const std::span<const std::byte>>(&bytes, 1), fds);
}

Transfer Channel::insist(std::span<const std::span<const std::byte>> parts, std::span<const int> fds) {
  return insist_on([&] { return send(parts, fds); });
}

Transfer Channel::insist(std::span<const std::byte> bytes, std::span<const int> fds) {
  return insist(std::span<const std::span<const std::byte>>(&bytes, 1), fds);
}

Transfer Channel::receive_insisting(std::span<std::byte> buffer, Packet& packet) {
  return insist_on([&] { return receive(buffer, packet); });
}

Transfer Channel::receive(std::span<std::byte> buffer, Packet& packet, int flags) {
  packet.bytes = {};
  packet.fds.clear();
  packet.unwanted.clear();
  iovec vector{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFdsOfKernel * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();

  ssize_t received = 0;
  bool was_reset = false;
  Interruptions interruptions(socket_.get(), SO_RCVTIMEO);
  while ((received = ::recvmsg(socket_.get(), &message, flags | MSG_CMSG_CLOEXEC)) < 0) {
    // A peer that closed before it read all that we sent resets the socket, once; what it said before still waits, the
    // reason for its going for instance.
    const bool is_first_reset = errno == ECONNRESET && !std::exchange(was_reset, true);
    if (errno == EINTR && !interruptions.begins_anew()) return Transfer::kWouldBlock;
    if (errno != EINTR && !is_first_reset) return transfer_of_errno(errno);
  }
  // In somebody's hands before anything is allocated, which may fail.
  Fds fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && fds.count < kMostFdsOfKernel; ++i) std::memcpy(&fds.numbers[fds.count++], CMSG_DATA(header) + i * sizeof(int), sizeof(int));
  }
  const bool lost_some = (message.msg_flags & MSG_CTRUNC) != 0;
  if (received == 0 && fds.count == 0 && !lost_some) return Transfer::kClosed;
  const bool is_broken = received == 0 || (message.msg_flags & MSG_TRUNC) != 0;
  const bool is_complete = !is_broken && !lost_some && fds.count <= kMaxPacketFds;
  fds.move_to(is_complete ? packet.fds : packet.unwanted);
  if (is_broken) return Transfer::kBroken;
  packet.bytes = std::span<const std::byte>(buffer).first(static_cast<std::size_t>(received));
  return is_complete ? Transfer::kDone : Transfer::kNoFds;
}

}  // namespace parcompute
