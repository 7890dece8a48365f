#include "client/cpp/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <new>

#include <fmt/format.h>

#include "client/cpp/failure.h"
#include "client/cpp/wire.h"
#include "common/base/utf8.h"
#include "common/os/child_process.h"
#include "common/os/socket_path.h"
#include "common/os/system_error.h"
#include "common/os/unix_socket.h"
#include "proto/limits.h"
#include "proto/version.h"

namespace parcompute {
namespace {

// Answers that nobody wants may pile up in the socket to this many; then they are fetched.
constexpr std::size_t kMaxUnwanted = 64;

// `is_known`: it has answered before.
[[noreturn]] void throw_gone(const std::filesystem::path& place, bool is_known) {
  if (!is_known)
    throw Failure(ErrorCode::kNoServer, fmt::format("the server at '{}' closed the connection before it answered: it was leaving, or could not start (a service's log, 'journalctl -u parcompute', says "
                                                    "why; or '{}.log'); try again",
                                                    place.native(), place.native()));
  throw Failure(ErrorCode::kNoServer, "the server has gone: jobs that ran are lost, named arrays stay for the next server on its socket (those of the "
                                     "system's service over a restart, not over a stop)");
}

[[noreturn]] void throw_no_room(std::string_view what, int error_number) {
  throw Failure(ErrorCode::kOverBudget, fmt::format("{}: the system is short of memory, or too many open files are on their way between processes; try again", what),
                error_number);
}

std::string silence_words(const std::filesystem::path& place, std::chrono::duration<double> silence) {
  // Who has the socket's lock is the server. Who listened there may be systemd, which is nobody to be ended.
  const pid_t pid = lock_holder(place).value_or(0);
  const std::string what = fmt::format("the server{} at '{}' does not answer: it has said nothing for {:.3g} s", pid == 0 ? "" : fmt::format(" with pid {}", pid), place.native(), silence.count());
  if (pid == 0) return what + "; it may be stopped, or have too much to do: try again, or ask who runs it";
  if (is_stopped_process(pid)) return fmt::format("{}, for it is stopped; 'kill -CONT {}' lets it go on", what, pid);
  return fmt::format("{}; it may have too much to do: try again, or end it with 'kill {}', which leaves its named arrays to the next one", what, pid);
}

}  // namespace

void throw_silence(const std::filesystem::path& place, std::chrono::duration<double> silence) {
  throw Failure(ErrorCode::kTimeout, silence_words(place, silence));
}

Connection::Connection(Channel channel, std::filesystem::path place, std::chrono::milliseconds patience)
    : channel_(std::move(channel)), place_(std::move(place)), buffer_(kMaxPacketBytes) {
  set_patience(patience);
}

// The kernel looks at the clock: a round trip costs two system calls still.
void Connection::set_patience(std::chrono::milliseconds patience) {
  patience_ = std::max(patience, std::chrono::milliseconds(1));  // 0 is for ever to the kernel
  const timeval value{static_cast<time_t>(patience_.count() / 1000), static_cast<suseconds_t>(patience_.count() % 1000 * 1000)};
  for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO})
    if (::setsockopt(channel_.fd(), SOL_SOCKET, direction, &value, sizeof value) != 0) throw_failure(system_error("set a time limit for", "the server's socket", errno));
}

void Connection::greet(const std::string& client_name) {
  wire::Request request;
  wire::Hello& hello = *request.mutable_hello();
  hello.set_min_version(kMinWireVersion);
  hello.set_max_version(kWireVersion);
  hello.set_client(fmt::format("{} {}", client_name, kProgramVersion));
  const wire::Reply reply = call(request).reply;
  if (!reply.has_welcome()) throw Failure(ErrorCode::kBadData, fmt::format("who listens at '{}' did not welcome this client: it is no parcompute-server", place_.native()));
  const wire::Welcome& welcome = reply.welcome();
  if (welcome.version() < kMinWireVersion || welcome.version() > kWireVersion)
    throw Failure(ErrorCode::kProtocolVersion,
                  fmt::format("the server at '{}' ({}) answered in protocol version {}, this client ({}) speaks {} to {}: upgrade the {}", place_.native(), to_utf8(welcome.server()),
                              welcome.version(), kProgramVersion, kMinWireVersion, kWireVersion, welcome.version() > kWireVersion ? "client" : "server"));
  server_id_ = welcome.server_id();
}

std::string Connection::describe_silence(std::chrono::duration<double> silence) const {
  return silence_words(place_, silence);
}

void Connection::throw_silence() {
  parcompute::throw_silence(place_, patience_);
}

void Connection::throw_cut_off() {
  has_ended_ = true;
  throw Failure(ErrorCode::kNoServer, "this connection ended when an answer of the server's found no memory in this program: try again");
}

std::uint64_t Connection::send(wire::Request& request, std::optional<int> fd) {
  while (!is_silent_ && !unsent_.empty()) {
    unwanted_[send_now(unsent_.front(), std::nullopt)] = false;
    unsent_.pop_front();
  }
  return send_now(request, fd);
}

std::uint64_t Connection::send_now(wire::Request& request, std::optional<int> fd) {
  if (!channel_) throw_cut_off();
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
    case Transfer::kWouldBlock:
      is_silent_ = true;
      throw_silence();
    default: throw_failure(system_error("send a request to", "the server", errno));
  }
  // What it said before it closed counts still, and it may have said why: a refusal has request id 0.
  for (std::optional<Received> received;; received.reset()) {
    next_reply(received);  // throws that, or that the server has gone
    if (received) keep(*std::move(received));
  }
}

bool Connection::next_reply(std::optional<Received>& received) {
  if (!channel_) throw_cut_off();
  Packet packet;
  const Transfer outcome = channel_.receive_insisting(buffer_, packet);
  switch (outcome) {
    case Transfer::kDone:
    case Transfer::kNoFds: break;
    case Transfer::kNoRoom: throw_no_room("the server's answer could not be received", errno);
    case Transfer::kClosed:
      has_ended_ = true;
      if (last_words_) throw_failure(*last_words_);
      throw_gone(place_, has_answered_);
    case Transfer::kWouldBlock: is_silent_ = true; return false;
    default: throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
  }
  is_silent_ = false;
  has_answered_ = true;
  received = or_end([&] { return take(packet, outcome == Transfer::kNoFds); });
  return true;
}

// What was received is in nobody's hands yet. If it were dropped, who asked for it would wait for ever: the session ends instead.
template <class Body>
auto Connection::or_end(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    channel_.close();
    has_ended_ = true;
    throw;
  }
}

std::optional<Connection::Received> Connection::take(Packet& packet, bool lacks_descriptor) {
  std::optional<Received> received(std::in_place);
  if (!received->reply.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size())))
    throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
  if (!packet.fds.empty()) received->fd = std::move(packet.fds.front());
  const std::uint64_t id = received->reply.request_id();
  if (id == 0 && received->reply.has_failed()) {
    has_ended_ = true;
    last_words_ = received->reply.failed();
    throw_failure(*last_words_);
  }
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

std::optional<Connection::Received> Connection::receive(std::uint64_t id) {
  std::optional<Received> received;
  if (auto node = replies_.extract(id); !node.empty()) received = std::move(node.mapped());
  while (!received || received->reply.request_id() != id) {
    if (received) keep(std::move(*received));
    if (!next_reply(received)) return std::nullopt;
  }
  if (received->reply.has_failed()) {
    refused_ = id;
    throw_failure(received->reply.failed());
  }
  return received;
}

Connection::Received Connection::answer_to(std::uint64_t id) {
  if (auto received = receive(id)) return *std::move(received);
  forget(id, false);
  throw_silence();
}

Connection::Received Connection::call(wire::Request& request, std::optional<int> fd) {
  return answer_to(send(request, fd));
}

bool Connection::gather(Instant deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd wait{channel_.fd(), POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) <= 0) return false;
  std::optional<Received> received;
  const bool is_word = next_reply(received);
  if (received) keep(*std::move(received));
  return is_word;
}

void Connection::keep(Received received) {
  or_end([&] { replies_[received.reply.request_id()] = std::move(received); });
}

const wire::Reply* Connection::arrived(std::uint64_t id) const {
  const auto found = replies_.find(id);
  return found == replies_.end() ? nullptr : &found->second.reply;
}

void Connection::send_and_forget(wire::Request& request) {
  if (is_silent_) return unsent_.push_back(std::move(request));
  const bool was_told = has_ended_;
  bool is_sent = false;
  try {
    unwanted_[send(request)] = false;
    is_sent = true;
    std::optional<Received> wanted;
    while (unwanted_.size() > kMaxUnwanted && next_reply(wanted))
      if (wanted) keep(*std::move(wanted));
  } catch (const Failure&) {
    // Nobody is told here: whoever asks next is.
    has_ended_ = was_told;
    if (!is_sent && is_silent_) unsent_.push_back(std::move(request));
  }
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
  send_and_forget(request);
}

void Connection::wait_for_end() {
  while (true) {
    Packet packet;
    switch (channel_.receive_insisting(buffer_, packet)) {
      case Transfer::kClosed: return;
      case Transfer::kDone:
      case Transfer::kNoFds: break;  // answers that nobody asks for any more
      case Transfer::kWouldBlock:
        // It may have much memory to free; one that is stopped frees none.
        if (const pid_t server = lock_holder(place_).value_or(0); server == 0 || is_stopped_process(server)) throw_silence();
        break;
      case Transfer::kNoRoom: throw_no_room("the end of the server could not be waited for", errno);
      default: throw Failure(ErrorCode::kBadData, "the server's answer is no message of this protocol");
    }
  }
}

}  // namespace parcompute
