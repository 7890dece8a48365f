// parcompute-server: the coordinator.
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/os/cpu_budget.h"
#include "common/os/memory_budget.h"
#include "common/os/socket_path.h"
#include "common/os/system_error.h"
#include "common/os/unix_socket.h"
#include "common/shm/segment.h"
#include "server/io/coordinator.h"
#include "server/io/systemd.h"
#include "server/options.h"

namespace parcompute::server {
namespace {

// An array costs a descriptor, so take as many as there may be.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
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

// The place where this server listens, locked for as long as it lives.
struct Place {
  std::filesystem::path socket;
  UniqueFd lock;
  UniqueFd listener;
  bool is_ours = false;  // not systemd's: taken away at the end
};

Result<Place> take_place(const Options& options) {
  Place place;
  if (options.systemd) {
    auto activated = activated_socket();
    if (!activated) return fail(activated.error());
    place.socket = activated->path;
    place.listener = std::move(activated->fd);
  } else {
    place.socket = options.socket.empty() ? own_socket_path() : options.socket;
    place.is_ours = true;
    if (auto ok = check_socket_path(place.socket); !ok) return fail(ok.error());
    if (auto made = make_socket_directory(place.socket.parent_path()); !made) return fail(made.error());
  }
  auto lock = lock_socket(place.socket);
  if (!lock) return fail(lock.error());
  if (!*lock)
    return fail(ErrorCode::kAlreadyExists,
                fmt::format("another server runs at '{}': use it, or stop it with 'parcompute-client stop'", place.socket.native()));
  place.lock = std::move(**lock);
  if (place.is_ours) {
    auto listener = listen_at(place.socket);
    if (!listener) return fail(listener.error());
    place.listener = std::move(*listener);
  }
  ::fcntl(place.listener.get(), F_SETFL, ::fcntl(place.listener.get(), F_GETFL) | O_NONBLOCK);
  return place;
}

Result<CoordinatorOptions> coordinator_options(const Options& options, Place& place) {
  const auto cpus = cpu_budget();
  if (!cpus) return fail(cpus.error());
  const parcompute::MemoryBudget memory = memory_budget(options.memory_bytes);

  CoordinatorOptions made;
  made.socket = place.socket;
  made.listener = std::move(place.listener);
  made.segment_prefix = segment_prefix(::geteuid(), instance_of(place.socket.native()));
  made.core.identity.pid = ::getpid();
  made.core.identity.uid = ::geteuid();
  made.core.identity.socket = place.socket.native();
  made.core.identity.instance = instance_of(place.socket.native());
  made.core.identity.started = std::chrono::steady_clock::now();
  made.core.workers = options.workers > 0 ? options.workers : cpus->count;
  // CPUs that somebody chose for this server are its own: one worker each. Others are shared, and workers float.
  const bool one_each = made.core.workers <= cpus->cpus.size();
  if (options.pin || (cpus->affinity_narrowed && one_each)) made.core.cpus = cpus->cpus;
  made.core.memory_limit_bytes = memory.limit_bytes;
  made.core.spare_limit_bytes = options.spare_bytes;
  made.core.memory_limit_source = memory.sources[memory.decided].name;
  if (!options.admit_group.empty()) {
    const auto group = group_by_name(options.admit_group);
    if (!group) return fail(group.error());
    made.admit_group = *group;
  }
  if (options.idle_seconds) made.idle = std::chrono::milliseconds(static_cast<std::int64_t>(*options.idle_seconds * 1000));
  if (options.lifeline_fd >= 0) made.lifeline = UniqueFd(options.lifeline_fd);
  made.drop_arrays_at_exit = options.drop_arrays_at_exit;
  return made;
}

// Tells whoever started this server that it serves, or why it does not. Once.
void say_ready(UniqueFd& fd, const std::string& words) {
  if (!fd) return;
  if (::write(fd.get(), words.data(), words.size()) < 0)
    log_warning("{}", system_error("write to", "--ready-fd", errno).message);
  fd.reset();
}

Result<void> serve(const Options& options, UniqueFd& ready_fd) {
  raise_descriptor_limit();
  auto place = take_place(options);
  if (!place) return fail(place.error());
  auto made = coordinator_options(options, *place);
  if (!made) return fail(made.error());
  const unsigned workers = made->core.workers;

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
    if (place->is_ours) ::unlink(place->socket.c_str());
    unlock_socket(place->socket, std::move(place->lock));
    // A private server's directory is made for it alone. It goes only if it is empty.
    if (options.lifeline_fd >= 0) ::rmdir(place->socket.parent_path().c_str());
  }
  return outcome;
}

}  // namespace
}  // namespace parcompute::server

int main(int argc, char** argv) {
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
  const auto served = server::serve(options, ready_fd);
  if (served) return EXIT_SUCCESS;
  log_error("{}", served.error().message);
  server::say_ready(ready_fd, fmt::format("{} {}", static_cast<std::uint32_t>(served.error().code), served.error().message));
  return served.error().code == ErrorCode::kInvalidArgument ? 64 : EXIT_FAILURE;  // 64: EX_USAGE
}
