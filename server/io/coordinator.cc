#include "server/io/coordinator.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <google/protobuf/arena.h>
#include <google/protobuf/stubs/logging.h>

#include "common/base/log.h"
#include "common/os/system_error.h"
#include "proto/limits.h"
#include "server/core/replies.h"
#include "server/io/systemd.h"

namespace parcompute::server {
namespace {

using namespace std::chrono_literals;

// Where the descriptor table is full, accepting again at once would only spin.
// A tiny chunk's answer takes a third of that where the worker is awake.
constexpr auto kLookOut = 30us;
constexpr auto kAcceptPause = 100ms;
constexpr int kAcceptsPerTurn = 16;
// Room for nearly every request; a larger one takes more from the heap.
constexpr std::size_t kArenaBlockBytes = 8 * 1024;
// Many times what one event takes, with the largest packet there may be.
constexpr std::size_t kReserveBytes = 4 * 1024 * 1024;

constexpr std::string_view kShortOfMemory = "the server itself is out of memory";

// So many may look and tidy up when memory is short.
constexpr std::size_t kSessionsWhenShort = 64;

// Whose process it was cannot be told: it has gone already.
constexpr uid_t kNobody = static_cast<uid_t>(-1);

// Of what the kernel allows this server to have open, which is also what it allows to be on its way.
std::size_t most_unread_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = 1024;
  return std::max<std::size_t>(limit.rlim_cur / 8, 16);
}

// All others leave nothing behind, or take something away.
bool begins_something(const wire::Request& request) {
  return request.has_submit_job() || request.has_wait_job() || request.has_attach_array();
}

// What the server before left, for the log.
struct FoundArrays {
  static constexpr std::size_t kMostNames = 20;
  std::size_t count = 0, incomplete = 0;
  std::string names;

  void add(const std::string& name, bool is_complete) {
    if (!is_complete) ++incomplete;
    if (count++ >= kMostNames) return;
    names += fmt::format("{}'{}'{}", names.empty() ? "" : ", ", name, is_complete ? "" : " (incomplete)");
  }
  std::string line() const {
    return fmt::format("found {} array{} of an earlier server{}: {}{}", count, count == 1 ? "" : "s",
                       incomplete == 0 ? "" : fmt::format(", {} of them incomplete, which jobs were writing when it ended", incomplete), names,
                       count > kMostNames ? fmt::format(" and {} more", count - kMostNames) : "");
  }
};

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options)
    : reserve_(kReserveBytes),
      options_(std::move(options)),
      buffer_(kMaxPacketBytes),
      arena_block_(kArenaBlockBytes),
      segments_(std::move(options_.backing), !options_.drop_arrays_at_exit),
      pool_(loop_, closers_.of(::geteuid()), buffer_, options_.core.placement, options_.placing.most, *this),
      core_(options_.core, *this),
      unread_(closers_, most_unread_descriptors()),
      listener_(loop_, options_.listener.release()),
      lifeline_(loop_),
      signals_(loop_),
      accept_timer_(loop_),
      wake_timer_(loop_),
      second_timer_(loop_),
      idle_timer_(loop_),
      watchdog_timer_(loop_) {
  // Of a packet that is no request the log has one line, with its session, not the library's besides.
  google::protobuf::SetLogHandler(nullptr);
}

Coordinator::~Coordinator() = default;

Result<void> Coordinator::start() {
  const auto left = segments_.take_over();
  if (!left) return fail(left.error());
  if (auto started = pool_.start(); !started) return started;
  core_.start_workers();
  FoundArrays found_arrays;
  const auto adopt = [&](const SegmentStore::Found& found) {
    const std::string name = core_.adopt_array(found.header, found.segment);
    if (name != found.header.name) log_warning("there are two arrays '{}'; the one in segment '{}' is called '{}' now", found.header.name, found.segment.name, name);
    found_arrays.add(name, found.header.complete);
  };
  // Those that must get another name come last, so that they take nobody's.
  std::vector<const SegmentStore::Found*> doubles;
  std::set<std::string_view> names;
  for (const SegmentStore::Found& found : *left)
    if (names.insert(found.header.name).second) adopt(found);
    else doubles.push_back(&found);
  for (const SegmentStore::Found* found : doubles) adopt(*found);
  if (found_arrays.count > 0) log_info("{}", found_arrays.line());
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
      if (errno == EAGAIN) break;
      // Of one client, which has gone, or nothing at all; whatever else it is will not pass at once.
      if (errno != EINTR && errno != ECONNABORTED) {
        log_error("{}; clients have to wait", system_error("accept", "a client", errno).message);
        core_.drop_spares();  // each holds a descriptor
        accept_timer_.expires_after(kAcceptPause);
        accept_timer_.async_wait([this](const boost::system::error_code& cancelled) {
          if (!cancelled) accept_clients();
        });
        return;
      }
    }
    accept_clients();
  });
}

void Coordinator::admit(UniqueFd socket) {
  Closer* closer = nullptr;
  const auto refuse = [&](ErrorCode code, std::string message) {
    wire::Reply reply;
    reply.mutable_failed()->set_code(static_cast<std::uint32_t>(code));
    reply.mutable_failed()->set_message(std::move(message));
    reply.SerializeToString(&reply_bytes_);
    Channel channel(std::move(socket));
    channel.send(std::as_bytes(std::span(reply_bytes_)));
    ::shutdown(channel.fd(), SHUT_RDWR);
    closer->close(channel.release());
  };
  const auto peer = peer_credentials(socket.get());
  if (!peer) {
    log_error("{}", peer.error().message);
    return closers_.of(kNobody).close(std::move(socket));
  }
  closer = &closers_.of(peer->uid);
  const uid_t own = options_.core.identity.uid;
  const auto is_member = [&](gid_t group) {
    return peer->gid == group || std::find(peer->groups.begin(), peer->groups.end(), group) != peer->groups.end();
  };
  if (peer->uid != own && peer->uid != 0 && !(options_.admit_group && is_member(*options_.admit_group)))
    return refuse(ErrorCode::kNotPermitted,
                  fmt::format("this server serves uid {}{}, and you are uid {}", own, options_.admit_group ? " and a group that you are not in" : " alone",
                              peer->uid));
  if (is_short_of_memory() && clients_.size() >= kSessionsWhenShort)
    return refuse(ErrorCode::kOverBudget, std::string(kShortOfMemory) + ": try again later");
  if (clients_.size() >= kMaxSessions)
    return refuse(ErrorCode::kOverBudget, fmt::format("the server has {} sessions, the most there may be: try again later", kMaxSessions));

  if (auto ok = core_.check_session(peer->uid); !ok) return refuse(ok.error().code, ok.error().message);

  const SessionId id{++last_session_};
  auto started = PacketSocket::start(loop_, *closer, socket, Peer::kClient, buffer_, kMaxQueuedReplies,
                                     {[this, id](Packet& packet, bool whole) { on_client_packet(id, packet, whole); },
                                      [this, id] { end_session(id); }});
  if (!started) {
    log_error("{}; a client is turned away", started.error().message);
    return refuse(ErrorCode::kOverBudget, started.error().message + ": try again later");
  }
  core_.on_session_opened(id, peer->pid, peer->uid);
  clients_[id] = {peer->uid, *std::move(started)};
}

void Coordinator::end_session(SessionId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  // The socket may be the one whose handler is running: it goes when that has returned.
  const Client client = found->second;
  clients_.erase(found);
  unread_.on_session_ended(client.uid, id, *client.socket);
  core_.on_session_closed(id);
}

void Coordinator::on_client_packet(SessionId id, Packet& packet, bool whole) {
  if (leaving_) return;
  segments_.keep_headroom();
  const uid_t uid = clients_.at(id).uid;
  const Closer& closer = closers_.of(uid);
  google::protobuf::ArenaOptions arena_options;
  arena_options.initial_block = arena_block_.data();
  arena_options.initial_block_size = arena_block_.size();
  google::protobuf::Arena arena(arena_options);
  wire::Request& request = *google::protobuf::Arena::CreateMessage<wire::Request>(&arena);
  if (!request.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    log_warning("session {} sent a packet that is no request; it is closed", id.value);
    refuse(id, 0, ErrorCode::kBadData, "the packet is no request of this protocol; the session is closed");
    return end_session(id);
  }
  if ((!whole || !packet.fds.empty()) && closer.is_behind()) {
    log_warning("session {} sent a descriptor while {} wait to be closed; it is closed", id.value, closer.waiting());
    refuse(id, request.id(), ErrorCode::kOverBudget,
           fmt::format("the server takes no more descriptors: it is closing {} that clients of uid {} sent, and one of them does not end (a socket that lingers, a file "
                       "whose file system does not answer); attach files later. This session is closed",
                       closer.waiting(), uid));
    return end_session(id);
  }
  if (!whole)
    return refuse(id, request.id(), ErrorCode::kOverBudget,
                  "the descriptors of the request did not arrive: too many, or the server's table of open files is full; remove arrays, or raise its "
                  "limit (LimitNOFILE=, ulimit -n)");
  if (is_short_of_memory() && begins_something(request))
    return refuse(id, request.id(), ErrorCode::kOverBudget,
                  fmt::format("{}: wait for jobs to end, cancel some, or remove arrays; its limits are 'ulimit -v' and vm.overcommit_memory", kShortOfMemory));
  std::vector<ReceivedFile> files;
  for (UniqueFd& fd : packet.fds) files.push_back(segments_.add_file(std::move(fd), uid));
  core_.on_request(id, request, files);
}

void Coordinator::refuse(SessionId id, std::uint64_t request, ErrorCode code, std::string message) {
  wire::Reply refusal;
  refusal.set_request_id(request);
  refusal.mutable_failed()->set_code(static_cast<std::uint32_t>(code));
  refusal.mutable_failed()->set_message(std::move(message));
  reply(id, refusal, {});
}

// What is under way is finished from the reserve; nothing that lasts is begun until it is whole again.
bool Coordinator::is_short_of_memory() {
  if (!reserve_.is_spent()) return false;
  core_.drop_spares();
  const bool is_short = !reserve_.refill();
  if (is_short != std::exchange(was_short_, is_short)) {
    if (is_short) log_error("{}; new jobs are refused until it has some", kShortOfMemory);
    else log_info("there is memory for new jobs again");
  }
  return is_short;
}

void Coordinator::reply(SessionId session, const wire::Reply& reply, HandedSegment handed) {
  const auto found = clients_.find(session);
  if (found == clients_.end()) return;
  const Client client = found->second;
  const auto refuse_with = [&](const Error& error) {
    wire::Reply refusal;
    refusal.set_request_id(reply.request_id());
    describe(error, *refusal.mutable_failed());
    Coordinator::reply(session, refusal, {});
  };
  UniqueFd own;
  if (handed.id) {
    if (!unread_.may_send(client.uid))
      return refuse_with({ErrorCode::kOverBudget, fmt::format("uid {} has {} descriptors of arrays unread in its connections to the server, the most there may be: read the "
                                                              "answers, then ask again",
                                                              client.uid, unread_.of(client.uid))});
    auto opened = segments_.open_for_client(handed.id, handed.writable);
    if (!opened) return refuse_with(opened.error());
    own = std::move(*opened);
  }
  reply.SerializeToString(&reply_bytes_);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(reply_bytes_));
  const int fd = own || !handed.id ? own.get() : segments_.fd(handed.id);
  if (handed.id) unread_.on_sent(client.uid, session, client.socket);
  if (client.socket->send(std::span(&bytes, 1), handed.id ? std::span(&fd, 1) : std::span<const int>())) {
    own.reset();
    return segments_.keep_headroom();
  }
  log_warning("session {} does not read its replies; it is closed", session.value);
  drop_session(session);
}

void Coordinator::drop_session(SessionId session) {
  // Not from within the core, which is at work.
  boost::asio::post(loop_, [this, session] { end_session(session); });
}

// ---- segments ------------------------------------------------------------------------------------------------

Result<CreatedSegment> Coordinator::create_segment(const SegmentHeader& header, bool reserve) {
  return segments_.create(header, reserve);
}

void Coordinator::rewrite_header(SegmentId segment, const SegmentHeader& header) {
  if (auto written = segments_.write_header(segment, header); !written)
    log_error("{}; after a crash the array '{}' would be found as it was before, or not at all", written.error().message, header.name);
}

void Coordinator::drop_segment(SegmentId segment, SegmentName name, std::optional<WorkerIndex> closer) {
  SegmentStore::Dropped dropped = segments_.drop(segment, name);
  if (dropped.sender) return closers_.of(*dropped.sender).close(std::move(dropped.fd));
  const int number = dropped.fd.get();
  if (closer) send_forget(*closer, std::span(&segment, 1), std::span(&number, 1));
}

// ---- workers -------------------------------------------------------------------------------------------------

void Coordinator::send_work(WorkerIndex worker, const WorkPacket& packet) {
  const WorkHeader header{WorkKind::kWork, static_cast<std::uint32_t>(packet.chunks.size()),
                          static_cast<std::uint32_t>(packet.description.size()), packet.slot, static_cast<std::uint32_t>(packet.limit.count())};
  std::array<int, kMaxPacketFds> fds{};
  std::size_t count = 0;
  for (const SegmentId segment : packet.new_segments) fds[count++] = segments_.fd(segment);
  const std::array<std::span<const std::byte>, 3> parts{bytes_of(header), std::as_bytes(packet.chunks),
                                                        std::as_bytes(std::span(packet.description))};
  pool_.send(worker, parts, std::span(fds).first(count));
  if (packet.is_answered_soon && look_out_.begin()) look_out_until(std::chrono::steady_clock::now() + kLookOut);
}

// While something is posted the loop asks for events, and does not sleep until one comes.
void Coordinator::look_out_until(std::chrono::steady_clock::time_point end) {
  boost::asio::post(loop_, [this, end] {
    if (!look_out_.is_on()) return;
    if (std::chrono::steady_clock::now() < end) look_out_until(end);
    else look_out_.end_in_vain();
  });
}

void Coordinator::send_forget(WorkerIndex worker, std::span<const SegmentId> segments) {
  send_forget(worker, segments, {});
}

void Coordinator::send_forget(WorkerIndex worker, std::span<const SegmentId> segments, std::span<const int> fds) {
  const WorkHeader header{WorkKind::kForget, static_cast<std::uint32_t>(segments.size()), 0, 0, 0};
  const std::array<std::span<const std::byte>, 2> parts{bytes_of(header), std::as_bytes(segments)};
  pool_.send(worker, parts, fds);
}

void Coordinator::warn(std::string_view line) {
  log_warning("{}", line);
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

void Coordinator::watch(bool on) {
  second_timer_.cancel();
  if (!on) return;
  // Not before what is under way has been handed out: it reads some files.
  boost::asio::post(loop_, [this] {
    pool_.begin_watch();
    look_at_cpus();
  });
  wait_a_second();
}

void Coordinator::wait_a_second() {
  second_timer_.expires_after(std::chrono::seconds(1));
  second_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || leaving_) return;
    wait_a_second();
    pool_.on_second();
    look_at_cpus();
    is_short_of_memory();  // and if it was, perhaps it is no more
    core_.on_second();
  });
}

// Nobody tells of a new affinity mask or quota. A server that nobody uses does not look: it does when somebody comes.
void Coordinator::look_at_cpus() {
  const auto budget = options_.cpus.look();
  if (leaving_ || !budget) return;  // what could be wrong was, at the start
  Placement placement = place_workers(*budget, options_.placing);
  const Placement& before = core_.state().placement;
  if (placement == before) return;
  if (placement.workers != before.workers)
    log_info("the number of workers that are given work is {} from now on, not {}: {} allows so many", placement.workers, before.workers, placement.limit_source);
  pool_.place(placement);
  core_.on_placement(std::move(placement));
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
