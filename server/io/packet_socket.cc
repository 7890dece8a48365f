#include "server/io/packet_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include <boost/asio/steady_timer.hpp>

#include "common/os/system_error.h"
#include "proto/limits.h"

namespace parcompute::server {
namespace {

// Packets taken in one turn of the loop. One: waiting again, which tells at once whether there is more, costs as much as
// finding out by a receive that fails, and a busy peer does not keep the others waiting.
constexpr std::size_t kPacketsPerTurn = 1;

constexpr std::chrono::milliseconds kRoomPause{10};

}  // namespace

Result<std::shared_ptr<PacketSocket>> PacketSocket::start(boost::asio::io_context& loop, Closer& closer, UniqueFd& socket, Peer peer,
                                                          std::span<std::byte> buffer, std::size_t max_queued, Handlers handlers) {
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) return fail(system_error("set", "a socket to non-blocking", errno));
  std::shared_ptr<PacketSocket> made(new PacketSocket(loop, closer, std::move(socket), peer, buffer, max_queued, std::move(handlers)));
  boost::system::error_code error;
  made->asio_.assign(boost::asio::generic::seq_packet_protocol(AF_UNIX, 0), made->channel_.fd(), error);
  if (error) {
    socket = made->channel_.release();
    return fail(system_error("watch", "one more socket", error.value()));
  }
  made->wait_readable();
  return made;
}

PacketSocket::PacketSocket(boost::asio::io_context& loop, Closer& closer, UniqueFd socket, Peer peer, std::span<std::byte> buffer,
                           std::size_t max_queued, Handlers handlers)
    : closer_(closer), peer_(peer), channel_(std::move(socket)), asio_(loop), buffer_(buffer), max_queued_(max_queued), handlers_(std::move(handlers)) {}

PacketSocket::~PacketSocket() {
  close();
}

void PacketSocket::close() {
  UniqueFd fd = part();
  if (peer_ == Peer::kClient) closer_.close(std::move(fd));
}

UniqueFd PacketSocket::part() {
  leave();
  return channel_.release();
}

void PacketSocket::leave() {
  if (!open_) return;
  open_ = false;
  // Asio lets go of the descriptor, which stays the channel's.
  boost::system::error_code ignored;
  asio_.release(ignored);
  // A client sees its end now, whenever it is closed.
  if (peer_ == Peer::kClient) ::shutdown(channel_.fd(), SHUT_RDWR);
  for (Queued& queued : queue_) discard(queued.fds);
  queue_.clear();
}

// Attached files are sent to workers, too; and closing any one of a file's descriptors may make its file system wait.
void PacketSocket::discard(std::vector<UniqueFd>& fds) {
  for (UniqueFd& fd : fds) closer_.close(std::move(fd));
  fds.clear();
}

void PacketSocket::end() {
  if (!open_) return;
  const auto ended = handlers_.ended;
  // A client's descriptor stays until close() or part(): in it may lie what the client has not read.
  peer_ == Peer::kClient ? leave() : close();
  ended();
}

void PacketSocket::wait_readable() {
  asio_.async_wait(boost::asio::socket_base::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    if (!self->open_) return;
    error ? self->end() : self->read();
  });
}

void PacketSocket::wait_for_room(void (PacketSocket::*step)()) {
  auto timer = std::make_shared<boost::asio::steady_timer>(asio_.get_executor(), kRoomPause);
  timer->async_wait([self = shared_from_this(), timer, step](const boost::system::error_code& error) {
    if (!error && self->open_) ((*self).*step)();
  });
}

void PacketSocket::read() {
  if (receive_some(kPacketsPerTurn) && open_) wait_readable();
}

bool PacketSocket::receive_some(std::size_t limit) {
  for (std::size_t i = 0; i < limit && open_; ++i) {
    Packet packet;
    const Transfer outcome = channel_.receive(buffer_, packet, MSG_DONTWAIT);
    discard(packet.unwanted);
    switch (outcome) {
      case Transfer::kDone:
      case Transfer::kNoFds:
        handlers_.packet(packet, outcome == Transfer::kDone);
        discard(packet.fds);
        break;
      case Transfer::kWouldBlock: return true;
      case Transfer::kNoRoom: wait_for_room(&PacketSocket::read); return false;
      case Transfer::kClosed:
      case Transfer::kBroken: end(); return false;
    }
  }
  return open_;
}

void PacketSocket::drain() {
  while (open_) {
    Packet packet;
    const Transfer outcome = channel_.receive(buffer_, packet, MSG_DONTWAIT);
    discard(packet.unwanted);
    if (outcome != Transfer::kDone) return;
    handlers_.packet(packet, true);
    discard(packet.fds);
  }
}

bool PacketSocket::send(std::span<const std::span<const std::byte>> parts, std::span<const int> fds) {
  if (!open_) return true;  // its end is on its way to the owner
  bool has_room = true;
  if (queue_.empty()) {
    switch (channel_.send(parts, fds)) {
      case Transfer::kDone:
      case Transfer::kClosed: return true;  // the end shows at the next read
      case Transfer::kWouldBlock: break;
      case Transfer::kNoRoom: has_room = false; break;
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
  if (queue_.size() == 1) has_room ? wait_writable() : wait_for_room(&PacketSocket::flush);
  return true;
}

void PacketSocket::wait_writable() {
  asio_.async_wait(boost::asio::socket_base::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
    if (!self->open_) return;
    error ? self->end() : self->flush();
  });
}

void PacketSocket::flush() {
  while (!queue_.empty()) {
    std::vector<int> fds;
    for (const UniqueFd& fd : queue_.front().fds) fds.push_back(fd.get());
    switch (channel_.send(queue_.front().bytes, fds)) {
      case Transfer::kDone:
        queued_bytes_ -= queue_.front().bytes.size();
        discard(queue_.front().fds);
        queue_.pop_front();
        break;
      case Transfer::kWouldBlock: return wait_writable();
      case Transfer::kNoRoom: return wait_for_room(&PacketSocket::flush);
      case Transfer::kClosed:
      case Transfer::kBroken:
      case Transfer::kNoFds: return end();
    }
  }
}

}  // namespace parcompute::server
