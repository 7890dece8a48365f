// parcompute-server: the coordinator.
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>

#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "common/base/log.h"
#include "common/os/affinity.h"
#include "common/os/child_process.h"
#include "common/os/cpu_watch.h"
#include "common/os/memory_budget.h"
#include "common/os/random_word.h"
#include "common/os/read_topology.h"
#include "common/os/socket_path.h"
#include "common/os/system_error.h"
#include "common/os/unix_socket.h"
#include "common/shm/segment.h"
#include "proto/limits.h"
#include "server/io/backing.h"
#include "server/io/coordinator.h"
#include "server/io/systemd.h"
#include "server/options.h"

namespace parcompute::server {
namespace {

// For what a dead server left in the way. One that lives is told from it at once.
constexpr std::chrono::seconds kLockPatience{3};

// An array costs a descriptor, so take as many as there may be.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// So many arrays that their descriptors leave some for sessions and workers.
std::size_t max_arrays(unsigned workers) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<std::size_t>::max();
  const std::size_t all = limit.rlim_cur;
  const std::size_t others = kMaxSessions + std::size_t{4} * workers + 64;
  return all - std::min(others, all / 2);
}

Result<gid_t> group_by_name(const std::string& name) {
  errno = 0;
  if (const group* entry = ::getgrnam(name.c_str())) return entry->gr_gid;
  return fail(ErrorCode::kInvalidArgument, fmt::format("--admit-group: there is no group '{}'", name));
}

// A server outlives the program that started it, and must not hold that one's pipes and files open. systemd passes only
// what is meant for it.
void close_strangers(const Options& options) {
  if (options.systemd) return;
  std::array<int, 2> kept{options.lifeline_fd, options.ready_fd};
  std::sort(kept.begin(), kept.end());
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    if (fd < static_cast<int>(next)) continue;
    if (fd > static_cast<int>(next)) ::close_range(next, static_cast<unsigned>(fd) - 1, 0);
    next = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(next, ~0U, 0);
}

// Why this server cannot have the place.
std::string describe_other_server(const std::filesystem::path& socket) {
  const pid_t pid = lock_holder(socket).value_or(0);
  const std::string who = pid == 0 ? "" : fmt::format(" (pid {})", pid);
  if (std::error_code ignored; std::filesystem::exists(socket, ignored))
    return fmt::format("another server{} runs at '{}': use it, or stop it with 'parcompute-client stop'", who, socket.native());
  return fmt::format("another server{} holds '{}.lock', but '{}' is gone (was it removed by hand?), so that nobody reaches it: end it with 'kill {}', which leaves its named "
                     "arrays to the next one, and try again",
                     who, socket.native(), socket.native(), pid == 0 ? "PID" : fmt::format("{}", pid));
}

// The place where this server listens, locked for as long as it lives.
struct Place {
  std::filesystem::path socket;
  UniqueFd lock;
  UniqueFd listener;
  std::vector<StoredDescriptor> stored;  // that systemd kept
  bool is_ours = false;  // not systemd's: taken away at the end
};

Result<Place> take_place(const Options& options) {
  Place place;
  if (options.systemd) {
    auto taken = take_from_systemd();
    if (!taken) return fail(taken.error());
    place.socket = taken->socket.path;
    place.listener = std::move(taken->socket.fd);
    place.stored = std::move(taken->stored);
  } else {
    place.socket = options.socket.empty() ? own_socket_path() : options.socket;
    place.is_ours = true;
    if (auto ok = check_socket_path(place.socket); !ok) return fail(ok.error());
    if (auto made = make_socket_directory(place.socket.parent_path()); !made) return fail(made.error());
  }
  auto lock = lock_socket(place.socket, kLockPatience, place.is_ours);
  if (!lock) return fail(lock.error());
  if (!*lock)
    return fail(ErrorCode::kAlreadyExists,
                describe_other_server(place.socket));
  place.lock = std::move(**lock);
  if (place.is_ours) {
    auto listener = listen_at(place.socket);
    if (!listener) return fail(listener.error());
    place.listener = std::move(*listener);
  }
  ::fcntl(place.listener.get(), F_SETFL, ::fcntl(place.listener.get(), F_GETFL) | O_NONBLOCK);
  return place;
}

// Where a system call filter, say, lets nobody choose CPUs, workers float; each would find that out by itself, and say so.
bool may_pin(const std::vector<int>& cpus) {
  auto pinned = set_affinity(0, {cpus.front()});
  if (pinned) pinned = set_affinity(0, cpus);
  if (!pinned) log_warning("{}: workers float", pinned.error().message);
  return pinned.has_value();
}

PlacementOptions placement_options(const Options& options, const CpuBudget& budget, Topology topology) {
  PlacementOptions made{.workers = options.workers, .pinning = options.pinning, .topology = std::move(topology)};
  made.most = options.workers > 0 ? options.workers : std::max({budget.count, static_cast<unsigned>(budget.online), static_cast<unsigned>(budget.cpus.size())});
  if (!place_workers(budget, made).pins.empty() && !may_pin(budget.cpus)) made.pinning = Pinning::kNever;
  return made;
}

Result<CoordinatorOptions> coordinator_options(const Options& options, Place& place) {
  CpuEnvironment environment = cpu_environment();
  environment.topology = read_topology();
  environment.hyperthreads = options.hyperthreads;
  CpuWatch cpus(environment);
  const auto budget = cpus.look();
  if (!budget) return fail(budget.error());
  const BackingWords words = words_of(options.backing);
  const parcompute::MemoryBudget memory = memory_budget(options.memory_bytes, words.in_dev_shm);

  CoordinatorOptions made(std::move(cpus));
  made.socket = place.socket;
  made.listener = std::move(place.listener);
  // Only who takes the socket from systemd takes what it keeps.
  const std::size_t store_room = options.systemd ? descriptor_store_room() : 0;
  auto backing = make_backing(options.backing, segment_prefix(::geteuid(), instance_of(place.socket.native())), std::move(place.stored), store_room);
  if (!backing) return fail(backing.error());
  made.backing = std::move(*backing);
  const auto id = random_word();
  if (!id) return fail(id.error());
  made.core.identity.id = *id;
  made.core.identity.pid = ::getpid();
  made.core.identity.uid = ::geteuid();
  made.core.identity.socket = place.socket.native();
  made.core.identity.instance = instance_of(place.socket.native());
  made.core.identity.started = std::chrono::steady_clock::now();
  made.placing = placement_options(options, *budget, std::move(environment.topology));
  made.core.placement = place_workers(*budget, made.placing);
  made.core.memory_limit_bytes = memory.limit_bytes;
  made.core.spare_limit_bytes = options.spare_bytes;
  made.core.segments_shrink = options.backing == BackingKind::kNamed;
  made.core.max_arrays = max_arrays(made.placing.most);
  made.core.share_limits = options.share_limits;
  made.core.memory_limit_source = memory.sources[memory.decided].name;
  made.core.memory_place = words.place;
  made.core.memory_remedy = words.remedy;
  if (!options.admit_group.empty()) {
    const auto group = group_by_name(options.admit_group);
    if (!group) return fail(group.error());
    made.admit_group = *group;
    if (options.backing == BackingKind::kNamed)
      log_warning("--backing named with --admit-group: members can write the pages by which the next server finds arrays, and truncate arrays that others use; '--backing sealed' is for them");
  }
  if (options.idle_seconds) made.idle = std::chrono::milliseconds(static_cast<std::int64_t>(*options.idle_seconds * 1000));
  if (options.lifeline_fd >= 0) made.lifeline = UniqueFd(options.lifeline_fd);
  made.drop_arrays_at_exit = options.drop_arrays_at_exit;
  return made;
}

// Tells whoever started this server that it serves, or why it does not. Once.
void say_ready(UniqueFd& fd, const std::string& words) {
  if (!fd) return;
  ssize_t written = 0;
  do {
    written = ::write(fd.get(), words.data(), words.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0)
    log_warning("{}", system_error("write to", "--ready-fd", errno).message);
  fd.reset();
}

Result<void> serve(const Options& options, UniqueFd& ready_fd) {
  raise_descriptor_limit();
  auto place = take_place(options);
  if (!place) return fail(place.error());
  auto made = coordinator_options(options, *place);
  if (!made) return fail(made.error());
  const unsigned workers = made->core.placement.workers;

  Result<void> outcome;
  {
    Coordinator coordinator(std::move(*made));
    outcome = coordinator.start();
    if (outcome) {
      say_ready(ready_fd, "ready");
      notify_systemd(fmt::format("READY=1\nSTATUS=Serving {} with {} workers", place->socket.native(), workers));
      log_info("serving {} with {} workers", place->socket.native(), workers);
      outcome = coordinator.run();
    }
    // The socket's path goes before the sessions do: a client that sees its session end may start a server at once.
    // (Where somebody removed the lock file, both may be another server's by now.)
    if (place->is_ours && holds_lock(place->socket, place->lock.get())) ::unlink(place->socket.c_str());
    unlock_socket(place->socket, std::move(place->lock));
    // A private server's directory is made for it alone. It goes only if it is empty.
    if (options.lifeline_fd >= 0) ::rmdir(place->socket.parent_path().c_str());
  }
  return outcome;
}

}  // namespace
}  // namespace parcompute::server

namespace {

int run(int argc, char** argv) {
  using namespace parcompute;
  const server::Options options = server::parse_options(argc, argv);
  server::close_strangers(options);
  for (const int fd : {options.lifeline_fd, options.ready_fd})
    if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  UniqueFd ready_fd(options.ready_fd);
  // A server for one program writes to that program's terminal.
  log_start("server", options.lifeline_fd >= 0 ? LogLevel::kWarning : LogLevel::kInfo);
  // A client that goes, a file limit and a closed terminal are told by errno, not by death; somebody who opens a segment
  // while SegmentStore asks for a lease on it, not at all.
  for (const int number : {SIGPIPE, SIGXFSZ, SIGHUP, SIGIO}) ::signal(number, SIG_IGN);
  // Where whoever started this program ignores it, the kernel would reap our children, and give their numbers away while we use them.
  ::signal(SIGCHLD, SIG_DFL);
  const auto served = [&]() -> Result<void> {
    try {
      return server::serve(options, ready_fd);
      // Nothing of our own throws; libraries do where they are refused something. Named arrays stay for the next server.
    } catch (const boost::system::system_error& refused) {
      return fail(system_error("run", "the event loop", refused.code().value()));
    } catch (const std::bad_alloc&) {
      return fail(ErrorCode::kOverBudget, "the server finds no memory for itself: its limits are 'ulimit -v' and vm.overcommit_memory");
    } catch (const std::exception& exception) {
      return fail(ErrorCode::kSystem, fmt::format("the server cannot go on: {}", exception.what()));
    }
  }();
  if (served) return EXIT_SUCCESS;
  log_error("{}", served.error().message);
  server::say_ready(ready_fd, fmt::format("{} {}", static_cast<std::uint32_t>(served.error().code), served.error().message));
  return served.error().code == ErrorCode::kInvalidArgument ? 64 : EXIT_FAILURE;  // 64: EX_USAGE
}

}  // namespace

int main(int argc, char** argv) {
  parcompute::occupy_standard_streams();
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    // Before anybody could be told in another way, or while telling.
    std::fputs("parcompute-server finds no memory for itself: its limits are 'ulimit -v' and vm.overcommit_memory\n", stderr);
    return EXIT_FAILURE;
  }
}
