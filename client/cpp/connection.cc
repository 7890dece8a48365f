#include "client/cpp/connection.h"

#include <poll.h>

#include <cerrno>

#include <fmt/format.h>

#include "client/cpp/failure.h"
#include "client/cpp/wire.h"
#include "proto/limits.h"

namespace parcompute {
namespace {

// Answers that nobody wants may pile up in the socket to this many; then they are fetched.
constexpr std::size_t kMaxUnwanted = 64;

[[noreturn]] void throw_gone() {
  throw Failure(ErrorCode::kNoServer, "the server has gone: jobs that ran are lost, named arrays stay for the next server on its socket");
}

}  // namespace

Connection::Connection(Channel channel) : channel_(std::move(channel)), buffer_(kMaxPacketBytes) {}

std::uint64_t Connection::send(wire::Request& request, std::optional<int> fd) {
  request.set_id(++last_id_);
  request.SerializeToString(&bytes_);
  if (bytes_.size() > kMaxPacketBytes)
    throw Failure(ErrorCode::kInvalidArgument,
                  fmt::format("the request has {} bytes; a message holds at most {}", bytes_.size(), kMaxPacketBytes));
  const auto fds = fd ? std::span<const int>(&*fd, 1) : std::span<const int>();
  switch (channel_.send(std::as_bytes(std::span(bytes_)), fds)) {
    case Transfer::kDone: return last_id_;
    case Transfer::kClosed: break;
    default: throw Failure(ErrorCode::kSystem, "the request could not be sent to the server: too many open files on their way?", errno);
  }
  // The server may have said why before it closed: a refusal has request id 0.
  while (true) next_reply(std::nullopt);  // throws that, or that the server has gone
}

std::optional<Connection::Received> Connection::next_reply(Deadline deadline) {
  if (deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
    pollfd wait{channel_.fd(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) <= 0) return std::nullopt;
  }
  Packet packet;
  switch (channel_.receive(buffer_, packet)) {
    case Transfer::kDone: break;
    case Transfer::kClosed: throw_gone();
    case Transfer::kNoFds:
      throw Failure(ErrorCode::kOverBudget, "the server's answer came with a descriptor that this process has no room for: close files, or "
                                            "raise the limit (ulimit -n)");
    default: throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
  }
  std::optional<Received> received(std::in_place);
  if (!received->reply.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())))
    throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
  if (!packet.fds.empty()) received->fd = std::move(packet.fds.front());
  const std::uint64_t id = received->reply.request_id();
  if (id == 0 && received->reply.has_failed()) throw_failure(received->reply.failed());
  if (auto unwanted = unwanted_.extract(id); !unwanted.empty()) {
    discard(received->reply, unwanted.mapped());
    received.reset();
  }
  return received;
}

std::optional<Connection::Received> Connection::receive(std::uint64_t id, Deadline deadline) {
  std::optional<Received> received;
  if (auto node = replies_.extract(id); !node.empty()) received = std::move(node.mapped());
  while (!received || received->reply.request_id() != id) {
    if (received) replies_[received->reply.request_id()] = std::move(*received);
    received = next_reply(deadline);
    if (!received && deadline) return std::nullopt;
  }
  if (received->reply.has_failed()) throw_failure(received->reply.failed());
  return received;
}

Connection::Received Connection::call(wire::Request& request, std::optional<int> fd) {
  return *receive(send(request, fd));
}

const wire::Reply* Connection::arrived(std::uint64_t id) const {
  const auto found = replies_.find(id);
  return found == replies_.end() ? nullptr : &found->second.reply;
}

void Connection::send_and_forget(wire::Request& request) {
  unwanted_[send(request)] = false;
  while (unwanted_.size() > kMaxUnwanted)
    if (auto wanted = next_reply(std::nullopt)) replies_[wanted->reply.request_id()] = std::move(*wanted);
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
