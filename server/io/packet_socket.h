// PacketSocket: a Channel on the event loop.
//
// Reads packets as they come and hands them on; sends at once, or queues where the other side does not read. Nothing
// here waits. The queue is bounded: a peer that does not read is cut off and costs only itself.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/generic/seq_packet_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "common/os/unique_fd.h"
#include "proto/channel.h"
#include "server/io/closer.h"

namespace parcompute::server {

// Whose the other end is: a stranger's, whose descriptors may lie unread in the socket when it is closed, or one of the server's own
// processes'.
enum class Peer { kClient, kOwn };

class PacketSocket : public std::enable_shared_from_this<PacketSocket> {
 public:
  struct Handlers {
    // The packet's bytes are valid during the call; descriptors that are left in it are closed. `whole` is false where its descriptors did not fit into the table.
    std::function<void(Packet& packet, bool whole)> packet;
    // The peer has gone or broke the rules; called once, never after close().
    std::function<void()> ended;
  };

  // Takes a connected SEQPACKET socket over. Whatever a client had a hand in is closed by `closer`. `buffer` is kMaxPacketBytes long and shared by all sockets of the loop. An error where
  // the system has no room to watch one more; the socket is still the caller's then.
  static Result<std::shared_ptr<PacketSocket>> start(boost::asio::io_context& loop, Closer& closer, UniqueFd& socket, Peer peer, std::span<std::byte> buffer,
                                             std::size_t max_queued, Handlers handlers);
  ~PacketSocket();

  // One packet. False where the queue is full or the kernel refuses the packet: the caller gives the peer up. Where the kernel
  // is only short of memory, it is tried again until there is some.
  bool send(std::span<const std::span<const std::byte>> parts, std::span<const int> fds = {});

  // Takes what has arrived already; for the last words of a peer that is known to be dead.
  void drain();
  void close();
  // As close(), but for the descriptor, of which the other end sees no difference. Empty after either.
  UniqueFd part();
  bool is_open() const { return open_; }
  // Whether the kernel has all that was sent.
  bool is_idle() const { return queue_.empty(); }
  int fd() const { return channel_.fd(); }

 private:
  PacketSocket(boost::asio::io_context& loop, Closer& closer, UniqueFd socket, Peer peer, std::span<std::byte> buffer, std::size_t max_queued,
               Handlers handlers);
  void wait_readable();
  void wait_writable();
  // Where the kernel had no room: `step` is tried again after a pause.
  void wait_for_room(void (PacketSocket::*step)());
  void read();
  // Receives up to `limit` packets. False when the socket has ended.
  bool receive_some(std::size_t limit);
  void flush();
  void end();
  // Neither receives nor sends any more.
  void leave();
  void discard(std::vector<UniqueFd>& fds);

  struct Queued {
    std::vector<std::byte> bytes;
    std::vector<UniqueFd> fds;
  };

  Closer& closer_;
  Peer peer_;
  Channel channel_;
  boost::asio::generic::seq_packet_protocol::socket asio_;  // watches the channel's descriptor, does not own it
  std::span<std::byte> buffer_;
  std::size_t max_queued_;
  Handlers handlers_;
  std::size_t queued_bytes_ = 0;
  std::deque<Queued> queue_;
  bool open_ = true;
};

}  // namespace parcompute::server
