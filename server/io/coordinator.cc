#include "server/io/coordinator.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include "common/base/log.h"
#include "common/os/memory_budget.h"
#include "common/os/system_error.h"
#include "proto/limits.h"
#include "server/io/systemd.h"

namespace parcompute::server {
namespace {

using namespace std::chrono_literals;

// Where the descriptor table is full, accepting again at once would only spin.
constexpr auto kAcceptPause = 100ms;
constexpr int kAcceptsPerTurn = 16;
// Room for nearly every request; a larger one takes more from the heap.
constexpr std::size_t kArenaBlockBytes = 8 * 1024;
// Memory of a dropped segment above this is freed by a worker, not by the loop: it takes 0.1 s a GiB.
constexpr std::uint64_t kFreeInLoopBytes = 1024 * 1024;

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options)
    : options_(std::move(options)),
      buffer_(kMaxPacketBytes),
      arena_block_(kArenaBlockBytes),
      segments_(options_.segment_prefix),
      pool_(loop_, buffer_, options_.core.workers, options_.core.cpus, *this),
      core_(options_.core, *this),
      listener_(loop_, options_.listener.release()),
      lifeline_(loop_),
      signals_(loop_),
      accept_timer_(loop_),
      wake_timer_(loop_),
      idle_timer_(loop_),
      watchdog_timer_(loop_) {}

Coordinator::~Coordinator() = default;

Result<void> Coordinator::start() {
  if (auto started = pool_.start(); !started) return started;
  core_.start_workers();
  for (const SegmentStore::Found& found : segments_.take_over())
    if (!core_.adopt_array(found.header, found.segment))
      log_warning("segment '{}' holds another array '{}': removed", found.segment.name, found.header.name);
  if (options_.drop_arrays_at_exit) core_.drop_arrays_at_exit();
  accept_clients();
  watch_signals();
  if (options_.lifeline) watch_lifeline();
  if (options_.idle) watch_idleness();
  if (const auto interval = watchdog_interval()) feed_watchdog(*interval);
  return {};
}

Result<void> Coordinator::run() {
  loop_.run();
  if (failure_) return fail(*failure_);
  return {};
}

// ---- clients -------------------------------------------------------------------------------------------------

void Coordinator::accept_clients() {
  listener_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      UniqueFd socket(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (socket) {
        admit(std::move(socket));
        continue;
      }
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        log_error("{}; clients have to wait", system_error("accept", "a client", errno).message);
        core_.drop_spares();  // each holds a descriptor
        accept_timer_.expires_after(kAcceptPause);
        accept_timer_.async_wait([this](const boost::system::error_code& cancelled) {
          if (!cancelled) accept_clients();
        });
        return;
      }
      if (errno == EAGAIN) break;
    }
    accept_clients();
  });
}

void Coordinator::admit(UniqueFd socket) {
  const auto refuse = [&](ErrorCode code, std::string message) {
    wire::Reply reply;
    reply.mutable_failed()->set_code(static_cast<std::uint32_t>(code));
    reply.mutable_failed()->set_message(std::move(message));
    reply.SerializeToString(&reply_bytes_);
    Channel(std::move(socket)).send(std::as_bytes(std::span(reply_bytes_)));
  };
  const auto peer = peer_credentials(socket.get());
  if (!peer) return log_error("{}", peer.error().message);
  const uid_t own = options_.core.identity.uid;
  const auto is_member = [&](gid_t group) {
    return peer->gid == group || std::find(peer->groups.begin(), peer->groups.end(), group) != peer->groups.end();
  };
  if (peer->uid != own && peer->uid != 0 && !(options_.admit_group && is_member(*options_.admit_group)))
    return refuse(ErrorCode::kNotPermitted,
                  fmt::format("this server serves uid {}{}, and you are uid {}", own, options_.admit_group ? " and a group that you are not in" : " alone",
                              peer->uid));
  if (clients_.size() >= kMaxSessions)
    return refuse(ErrorCode::kOverBudget, fmt::format("the server has {} sessions, the most there may be: try again later", kMaxSessions));

  const SessionId id{++last_session_};
  core_.on_session_opened(id, peer->pid, peer->uid);
  clients_[id] = PacketSocket::start(loop_, std::move(socket), buffer_, kMaxQueuedReplies,
                                     {[this, id](Packet& packet, bool whole) { on_client_packet(id, packet, whole); },
                                      [this, id] { end_session(id); }});
}

void Coordinator::end_session(SessionId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  // The socket may be the one whose handler is running: it goes when that has returned.
  const auto socket = found->second;
  clients_.erase(found);
  socket->close();
  core_.on_session_closed(id);
}

void Coordinator::on_client_packet(SessionId id, Packet& packet, bool whole) {
  if (leaving_) return;
  google::protobuf::ArenaOptions arena_options;
  arena_options.initial_block = arena_block_.data();
  arena_options.initial_block_size = arena_block_.size();
  google::protobuf::Arena arena(arena_options);
  wire::Request& request = *google::protobuf::Arena::CreateMessage<wire::Request>(&arena);
  if (!request.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    log_warning("session {} sent a packet that is no request; it is closed", id.value);
    wire::Reply refusal;
    refusal.mutable_failed()->set_code(static_cast<std::uint32_t>(ErrorCode::kBadData));
    refusal.mutable_failed()->set_message("the packet is no request of this protocol; the session is closed");
    reply(id, refusal, {});
    return end_session(id);
  }
  if (!whole) {
    wire::Reply refusal;
    refusal.set_request_id(request.id());
    refusal.mutable_failed()->set_code(static_cast<std::uint32_t>(ErrorCode::kOverBudget));
    refusal.mutable_failed()->set_message(
        "the descriptors of the request did not arrive: too many, or the server's table of open files is full; remove arrays, or raise its "
        "limit (LimitNOFILE=, ulimit -n)");
    return reply(id, refusal, {});
  }
  std::vector<ReceivedFile> files;
  for (UniqueFd& fd : packet.fds) files.push_back(segments_.add_file(std::move(fd)));
  core_.on_request(id, request, files);
}

void Coordinator::reply(SessionId session, const wire::Reply& reply, SegmentId descriptor) {
  const auto found = clients_.find(session);
  if (found == clients_.end()) return;
  reply.SerializeToString(&reply_bytes_);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(reply_bytes_));
  const UniqueFd own = descriptor ? segments_.open_for_client(descriptor) : UniqueFd();
  const int fd = own || !descriptor ? own.get() : segments_.fd(descriptor);
  const auto socket = found->second;
  if (socket->send(std::span(&bytes, 1), descriptor ? std::span(&fd, 1) : std::span<const int>())) return;
  log_warning("session {} does not read its replies; it is closed", session.value);
  // Not from within the core, which is at work.
  boost::asio::post(loop_, [this, session] { end_session(session); });
}

// ---- segments ------------------------------------------------------------------------------------------------

Result<CreatedSegment> Coordinator::create_segment(const SegmentHeader& header, bool reserve) {
  return segments_.create(header, reserve);
}

void Coordinator::rewrite_header(SegmentId segment, const SegmentHeader& header) {
  if (auto written = segments_.write_header(segment, header); !written)
    log_error("{}; after a crash the array '{}' would be marked incomplete", written.error().message, header.name);
}

void Coordinator::drop_segment(SegmentId segment, SegmentName name, std::span<const WorkerIndex> holders) {
  const UniqueFd fd = segments_.drop(segment, name);
  const int number = fd.get();
  for (const WorkerIndex holder : holders) send_forget(holder, std::span(&segment, 1), {});
  // Whoever closes the last descriptor frees the memory: let it be a worker.
  struct stat status {};
  const bool is_large = ::fstat(number, &status) == 0 && static_cast<std::uint64_t>(status.st_blocks) * 512 > kFreeInLoopBytes;
  if (is_large && !leaving_) send_forget(holders.empty() ? 0 : holders.front(), {}, std::span(&number, 1));
}

std::uint64_t Coordinator::shm_free_bytes() {
  return parcompute::shm_free_bytes();
}

// ---- workers -------------------------------------------------------------------------------------------------

void Coordinator::send_work(WorkerIndex worker, const WorkPacket& packet) {
  const WorkHeader header{WorkKind::kWork, static_cast<std::uint32_t>(packet.chunks.size()),
                          static_cast<std::uint32_t>(packet.description.size()), packet.slot};
  std::array<int, kMaxPacketFds> fds{};
  std::size_t count = 0;
  for (const SegmentId segment : packet.new_segments) fds[count++] = segments_.fd(segment);
  const std::array<std::span<const std::byte>, 3> parts{bytes_of(header), std::as_bytes(packet.chunks),
                                                        std::as_bytes(std::span(packet.description))};
  pool_.send(worker, parts, std::span(fds).first(count));
}

void Coordinator::send_forget(WorkerIndex worker, std::span<const SegmentId> segments) {
  send_forget(worker, segments, {});
}

void Coordinator::send_forget(WorkerIndex worker, std::span<const SegmentId> segments, std::span<const int> fds) {
  const WorkHeader header{WorkKind::kForget, static_cast<std::uint32_t>(segments.size()), 0, 0};
  const std::array<std::span<const std::byte>, 2> parts{bytes_of(header), std::as_bytes(segments)};
  pool_.send(worker, parts, fds);
}

void Coordinator::on_pool_failed(const Error& error) {
  log_error("{}", error.message);
  failure_ = error;
  stop();
}

void Coordinator::wake_at(Instant when) {
  wake_timer_.expires_at(when);
  wake_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !leaving_) core_.on_wake();
  });
}

// ---- the end -------------------------------------------------------------------------------------------------

void Coordinator::watch_signals() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    log_info("signal {}: leaving", number);
    stop();
  });
}

void Coordinator::watch_lifeline() {
  lifeline_.assign(options_.lifeline.release());
  lifeline_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    log_info("the program that this server is for has gone: leaving");
    core_.drop_arrays_at_exit();
    stop();
  });
}

void Coordinator::watch_idleness() {
  const auto turn = std::max<std::chrono::milliseconds>(*options_.idle / 4, 10ms);
  idle_timer_.expires_after(turn);
  idle_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (!core_.is_idle()) {
      idle_since_ = {};
    } else if (idle_since_ == Instant{}) {
      idle_since_ = now();
    } else if (now() - idle_since_ >= *options_.idle) {
      log_info("nothing to do: leaving");
      return stop();
    }
    watch_idleness();
  });
}

void Coordinator::feed_watchdog(std::chrono::microseconds interval) {
  watchdog_timer_.expires_after(interval);
  watchdog_timer_.async_wait([this, interval](const boost::system::error_code& error) {
    if (error) return;
    notify_systemd("WATCHDOG=1");
    feed_watchdog(interval);
  });
}

void Coordinator::stop() {
  // Not from within the core, which is at work.
  boost::asio::post(loop_, [this] { leave(); });
}

void Coordinator::leave() {
  if (leaving_) return;
  leaving_ = true;
  notify_systemd("STOPPING=1");
  core_.shut_down(failure_ ? &*failure_ : nullptr);
  pool_.stop();
  loop_.stop();
}

}  // namespace parcompute::server
