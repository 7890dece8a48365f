// Channel: packets and the descriptors that travel with them, over one SOCK_SEQPACKET socket.
//
// Every packet is whole or not there at all. A packet that was cut short, that lost descriptors (the table was full)
// or that is empty (which SEQPACKET cannot tell from the end) is an error of the sender; what came with it is closed.
// Sending never raises SIGPIPE. Received descriptors are close-on-exec.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

// What became of one attempt to send or receive.
enum class Transfer {
  kDone,
  kWouldBlock,  // nothing moved; wait for the socket
  kNoRoom,      // nothing moved: the kernel is short of memory, or too many descriptors are on their way; try again soon
  kClosed,      // the other side is gone
  kBroken,      // a packet against the rules (received), or one that the kernel refuses (sent): see errno
  kNoFds,       // received: the packet came, its descriptors did not fit into this process's table
};

struct Packet {
  std::span<const std::byte> bytes;  // in the caller's buffer
  std::vector<UniqueFd> fds;
  // What came against the rules (kBroken) or not as a whole (kNoFds). Closing what is a stranger's may take as long as he likes: it is
  // left to the caller, or to the next receive().
  std::vector<UniqueFd> unwanted;
};

class Channel {
 public:
  Channel() = default;
  // Takes the socket over; blocking or not, as it is.
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }
  explicit operator bool() const { return static_cast<bool>(socket_); }
  UniqueFd release() { return std::move(socket_); }
  void close() { socket_.reset(); }

  // One packet made of `parts`, with `fds`, of which the receiver gets its own copies.
  Transfer send(std::span<const std::span<const std::byte>> parts, std::span<const int> fds = {});
  Transfer send(std::span<const std::byte> bytes, std::span<const int> fds = {});

  // As send(), for who must not lose the packet and can wait on a socket that blocks: where there is no room it tries again for a
  // second.
  Transfer insist(std::span<const std::span<const std::byte>> parts, std::span<const int> fds = {});
  Transfer insist(std::span<const std::byte> bytes, std::span<const int> fds = {});

  // One packet into `buffer`, which is kMaxPacketBytes long. `flags` for recvmsg, MSG_DONTWAIT for instance.
  Transfer receive(std::span<std::byte> buffer, Packet& packet, int flags = 0);
  // To receive() what insist() is to send().
  Transfer receive_insisting(std::span<std::byte> buffer, Packet& packet);

 private:
  UniqueFd socket_;
};

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

}  // namespace parcompute
