#include "client/cpp/connection.h"

#include <poll.h>

#include <cerrno>
#include <new>

#include <fmt/format.h>

#include "client/cpp/failure.h"
#include "client/cpp/wire.h"
#include "common/os/system_error.h"
#include "proto/limits.h"

namespace parcompute {
namespace {

// Answers that nobody wants may pile up in the socket to this many; then they are fetched.
constexpr std::size_t kMaxUnwanted = 64;

[[noreturn]] void throw_gone() {
  throw Failure(ErrorCode::kNoServer, "the server has gone: jobs that ran are lost, named arrays stay for the next server on its socket (those of the "
                                     "system's service over a restart, not over a stop)");
}

[[noreturn]] void throw_ended() {
  throw Failure(ErrorCode::kNoServer, "this session ended when an answer of the server's found no memory in this program: connect again");
}

[[noreturn]] void throw_no_room(std::string_view what, int error_number) {
  throw Failure(ErrorCode::kOverBudget, fmt::format("{}: the system is short of memory, or too many open files are on their way between processes; try again", what),
                error_number);
}

}  // namespace

Connection::Connection(Channel channel) : channel_(std::move(channel)), buffer_(kMaxPacketBytes) {}

std::uint64_t Connection::send(wire::Request& request, std::optional<int> fd) {
  if (!channel_) throw_ended();
  request.set_id(++last_id_);
  request.SerializeToString(&bytes_);
  if (bytes_.size() > kMaxPacketBytes)
    throw Failure(ErrorCode::kInvalidArgument,
                  fmt::format("the request has {} bytes; a message holds at most {}", bytes_.size(), kMaxPacketBytes));
  const auto fds = fd ? std::span<const int>(&*fd, 1) : std::span<const int>();
  switch (channel_.insist(std::as_bytes(std::span(bytes_)), fds)) {
    case Transfer::kDone: return last_id_;
    case Transfer::kClosed: break;
    case Transfer::kNoRoom: throw_no_room("the request could not be sent to the server", errno);
    default: throw_failure(system_error("send a request to", "the server", errno));
  }
  // The server may have said why before it closed: a refusal has request id 0.
  while (true) next_reply(std::nullopt);  // throws that, or that the server has gone
}

std::optional<Connection::Received> Connection::next_reply(Deadline deadline) {
  if (!channel_) throw_ended();
  if (deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
    pollfd wait{channel_.fd(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) <= 0) return std::nullopt;
  }
  Packet packet;
  const Transfer outcome = channel_.receive_insisting(buffer_, packet);
  switch (outcome) {
    case Transfer::kDone:
    case Transfer::kNoFds: break;
    case Transfer::kNoRoom: throw_no_room("the server's answer could not be received", errno);
    case Transfer::kClosed: throw_gone();
    default: throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
  }
  return or_end([&] { return take(packet, outcome == Transfer::kNoFds); });
}

// What was received is in nobody's hands yet. If it were dropped, who asked for it would wait for ever: the session ends instead.
template <class Body>
auto Connection::or_end(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    channel_.close();
    throw;
  }
}

std::optional<Connection::Received> Connection::take(Packet& packet, bool lacks_descriptor) {
  std::optional<Received> received(std::in_place);
  if (!received->reply.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())))
    throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
  if (!packet.fds.empty()) received->fd = std::move(packet.fds.front());
  const std::uint64_t id = received->reply.request_id();
  if (id == 0 && received->reply.has_failed()) throw_failure(received->reply.failed());
  if (auto unwanted = unwanted_.extract(id); !unwanted.empty()) {
    discard(received->reply, unwanted.mapped());
    received.reset();
  } else if (lacks_descriptor) {
    // It may be another request's than the one that is waited for now: whoever asked is told. An output without a name is nobody's.
    discard(received->reply, true);
    wire::Failed& failed = *received->reply.mutable_failed();
    failed.set_code(static_cast<std::uint32_t>(ErrorCode::kOverBudget));
    failed.set_message("the server's answer came with a descriptor that this process has no room for: close files, or raise the limit (ulimit -n)");
  }
  return received;
}

std::optional<Connection::Received> Connection::receive(std::uint64_t id, Deadline deadline) {
  std::optional<Received> received;
  if (auto node = replies_.extract(id); !node.empty()) received = std::move(node.mapped());
  while (!received || received->reply.request_id() != id) {
    if (received) keep(std::move(*received));
    received = next_reply(deadline);
    if (!received && deadline) return std::nullopt;
  }
  if (received->reply.has_failed()) throw_failure(received->reply.failed());
  return received;
}

Connection::Received Connection::call(wire::Request& request, std::optional<int> fd) {
  return *receive(send(request, fd));
}

void Connection::keep(Received received) {
  or_end([&] { replies_[received.reply.request_id()] = std::move(received); });
}

const wire::Reply* Connection::arrived(std::uint64_t id) const {
  const auto found = replies_.find(id);
  return found == replies_.end() ? nullptr : &found->second.reply;
}

void Connection::send_and_forget(wire::Request& request) {
  unwanted_[send(request)] = false;
  while (unwanted_.size() > kMaxUnwanted)
    if (auto wanted = next_reply(std::nullopt)) keep(std::move(*wanted));
}

void Connection::forget(std::uint64_t id, bool owns_output) {
  auto arrived = replies_.extract(id);
  if (arrived.empty()) {
    unwanted_[id] = owns_output;
  } else {
    discard(arrived.mapped().reply, owns_output);
  }
}

void Connection::discard(const wire::Reply& reply, bool owns_output) {
  if (!owns_output || !reply.job_ended().has_output() || !reply.job_ended().output().name().empty()) return;
  wire::Request request;
  request.mutable_remove_array()->mutable_array()->set_id(reply.job_ended().output().id());
  try {
    unwanted_[send(request)] = false;
  } catch (const Failure&) {
    // The server has gone, and the array with it.
  }
}

void Connection::wait_for_end() {
  Packet packet;
  while (channel_.receive(buffer_, packet) == Transfer::kDone) {
  }
}

}  // namespace parcompute
