#include "tests/support/raw_client.h"

#include <sys/socket.h>

#include <chrono>
#include <stdexcept>

#include "common/os/unix_socket.h"
#include "proto/limits.h"
#include "proto/version.h"
#include "tests/support/raw_message.h"

namespace parcompute::testing {

RawClient::RawClient(const std::filesystem::path& socket) : buffer_(4 * kMaxPacketBytes) {
  auto connected = connect_to(socket, std::chrono::seconds(10));
  if (!connected) throw std::runtime_error(connected.error().message);
  channel_ = Channel(std::move(*connected));
}

bool RawClient::send(std::string_view bytes, std::span<const int> fds, int flags) {
  return send_raw_message(channel_.fd(), bytes, fds, flags) == static_cast<ssize_t>(bytes.size());
}

bool RawClient::send(std::string_view bytes, std::span<const int> fds) {
  return send(bytes, fds, 0);
}

bool RawClient::send(const wire::Request& request, std::span<const int> fds) {
  return send(request.SerializeAsString(), fds, 0);
}

bool RawClient::send_now(const wire::Request& request) {
  return send(request.SerializeAsString(), {}, MSG_DONTWAIT);
}

std::optional<wire::Reply> RawClient::receive() {
  Packet packet;
  if (channel_.receive(buffer_, packet) != Transfer::kDone) return std::nullopt;
  if (packet.bytes.size() > kMaxPacketBytes)
    throw std::runtime_error("the server's reply is longer than a packet may be");
  wire::Reply reply;
  if (!reply.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())))
    throw std::runtime_error("the server's reply is no Reply");
  return reply;
}

std::optional<wire::Reply> RawClient::ask(const wire::Request& request, std::span<const int> fds) {
  if (!send(request, fds)) return std::nullopt;
  return receive();
}

void RawClient::say_no_more() {
  if (::shutdown(channel_.fd(), SHUT_WR) != 0) throw std::runtime_error("a connection cannot be shut down");
}

void RawClient::greet() {
  const auto reply = ask(hello_request());
  if (!reply || !reply->has_welcome()) throw std::runtime_error("the server does not welcome a proper Hello");
}

wire::Request request(std::uint64_t id) {
  wire::Request made;
  made.set_id(id);
  return made;
}

wire::Request hello_request() {
  wire::Request made = request(1);
  made.mutable_hello()->set_min_version(kMinWireVersion);
  made.mutable_hello()->set_max_version(kWireVersion);
  made.mutable_hello()->set_client("raw client of a test");
  return made;
}

wire::Request status_request(std::uint64_t id) {
  wire::Request made = request(id);
  made.mutable_get_status();
  return made;
}

wire::Request endless_request(std::uint64_t id, bool detach) {
  wire::Request made = request(id);
  wire::SubmitJob& submit = *made.mutable_submit_job();
  submit.mutable_operation()->mutable_nop()->set_blocks(std::uint64_t{1} << 47);
  submit.set_chunk_blocks(1);
  submit.set_detach(detach);
  return made;
}

}  // namespace parcompute::testing
