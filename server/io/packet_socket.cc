#include "server/io/packet_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "common/base/invariant.h"
#include "proto/limits.h"

namespace parcompute::server {
namespace {

// Packets taken in one turn of the loop. One: waiting again, which tells at once whether there is more, costs as much as
// finding out by a receive that fails, and a busy peer does not keep the others waiting.
constexpr std::size_t kPacketsPerTurn = 1;

}  // namespace

std::shared_ptr<PacketSocket> PacketSocket::start(boost::asio::io_context& loop, UniqueFd socket, std::span<std::byte> buffer,
                                                  std::size_t max_queued, Handlers handlers) {
  std::shared_ptr<PacketSocket> made(new PacketSocket(loop, std::move(socket), buffer, max_queued, std::move(handlers)));
  made->wait_readable();
  return made;
}

PacketSocket::PacketSocket(boost::asio::io_context& loop, UniqueFd socket, std::span<std::byte> buffer, std::size_t max_queued,
                           Handlers handlers)
    : channel_(std::move(socket)), asio_(loop), buffer_(buffer), max_queued_(max_queued), handlers_(std::move(handlers)) {
  const int flags = ::fcntl(channel_.fd(), F_GETFL);
  PARCOMPUTE_INVARIANT(flags >= 0 && ::fcntl(channel_.fd(), F_SETFL, flags | O_NONBLOCK) == 0);
  asio_.assign(boost::asio::generic::seq_packet_protocol(AF_UNIX, 0), channel_.fd());
}

PacketSocket::~PacketSocket() {
  close();
}

void PacketSocket::close() {
  if (!open_) return;
  open_ = false;
  // Asio lets go of the descriptor; the channel closes it.
  boost::system::error_code ignored;
  asio_.release(ignored);
  channel_.close();
  queue_.clear();
}

void PacketSocket::end() {
  if (!open_) return;
  const auto ended = handlers_.ended;
  close();
  ended();
}

void PacketSocket::wait_readable() {
  asio_.async_wait(boost::asio::socket_base::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    if (error || !self->open_) return;
    if (self->receive_some(kPacketsPerTurn) && self->open_) self->wait_readable();
  });
}

bool PacketSocket::receive_some(std::size_t limit) {
  for (std::size_t i = 0; i < limit && open_; ++i) {
    Packet packet;
    switch (channel_.receive(buffer_, packet, MSG_DONTWAIT)) {
      case Transfer::kDone: handlers_.packet(packet, true); break;
      case Transfer::kNoFds: handlers_.packet(packet, false); break;
      case Transfer::kWouldBlock: return true;
      case Transfer::kClosed:
      case Transfer::kBroken: end(); return false;
    }
  }
  return open_;
}

void PacketSocket::drain() {
  while (open_) {
    Packet packet;
    if (channel_.receive(buffer_, packet, MSG_DONTWAIT) != Transfer::kDone) return;
    handlers_.packet(packet, true);
  }
}

bool PacketSocket::send(std::span<const std::span<const std::byte>> parts, std::span<const int> fds) {
  if (!open_) return true;  // its end is on its way to the owner
  if (queue_.empty()) {
    switch (channel_.send(parts, fds)) {
      case Transfer::kDone:
      case Transfer::kClosed: return true;  // the end shows at the next read
      case Transfer::kWouldBlock: break;
      case Transfer::kBroken:
      case Transfer::kNoFds: return false;
    }
  }
  if (queue_.size() >= max_queued_ || queued_bytes_ >= kMaxQueuedBytes) return false;
  Queued queued;
  for (const auto part : parts) queued.bytes.insert(queued.bytes.end(), part.begin(), part.end());
  for (const int fd : fds) {
    queued.fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!queued.fds.back()) return false;
  }
  queued_bytes_ += queued.bytes.size();
  queue_.push_back(std::move(queued));
  if (queue_.size() == 1) wait_writable();
  return true;
}

void PacketSocket::wait_writable() {
  asio_.async_wait(boost::asio::socket_base::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->open_) self->flush();
  });
}

void PacketSocket::flush() {
  while (!queue_.empty()) {
    std::vector<int> fds;
    for (const UniqueFd& fd : queue_.front().fds) fds.push_back(fd.get());
    switch (channel_.send(queue_.front().bytes, fds)) {
      case Transfer::kDone:
        queued_bytes_ -= queue_.front().bytes.size();
        queue_.pop_front();
        break;
      case Transfer::kWouldBlock: return wait_writable();
      case Transfer::kClosed:
      case Transfer::kBroken:
      case Transfer::kNoFds: return end();
    }
  }
}

}  // namespace parcompute::server
