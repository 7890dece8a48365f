#include "server/options.h"

#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/memory_limit.h"
#include "common/base/units.h"
#include "proto/version.h"

namespace parcompute::server {

Options parse_options(int argc, char** argv) {
  Options options;
  std::string memory;
  std::string spare;
  std::string socket;
  std::string backing;
  double idle = 0;
  CLI::App app("parcompute-server owns arrays in shared memory and computes on them with a pool of worker processes.\n"
               "People usually let parcompute-client start it; administrators run it as a systemd service.");
  auto* socket_option = app.add_option("--socket", socket, "Unix socket to listen at (default: the user's own)")->type_name("PATH");
  app.add_option("--workers", options.workers, "worker processes (default: one per core allowed; see 'parcompute-client cpus')")
      ->check(CLI::Range(1, 4096))->type_name("N");
  app.add_option("--memory", memory, "most shared memory to use, such as 8GiB (default: what the machine allows)")->type_name("SIZE");
  app.add_option("--spare-memory", spare,
                 "most memory of removed arrays to keep for a few seconds for the next ones; 0 for none (default: a quarter of --memory)")
      ->type_name("SIZE");
  auto* idle_option = app.add_option("--idle-timeout", idle, "leave after so many seconds without arrays, jobs and clients")
                          ->check(CLI::Range(0.01, 1e9))->type_name("SECONDS");
  app.add_option("--admit-group", options.admit_group, "admit this group's members, besides the server's own user")->type_name("GROUP");
  std::string user_memory;
  auto* user_memory_option = app.add_option("--user-memory", user_memory, "most memory for each of the group's members (default: half of what the others leave)")->type_name("SIZE");
  auto* user_arrays_option = app.add_option("--user-arrays", options.share_limits.arrays, "most arrays for each of them (default: likewise)")->type_name("N");
  auto* user_jobs_option = app.add_option("--user-jobs", options.share_limits.jobs, "most jobs waiting or running for each of them (default: likewise)")->type_name("N");
  auto* user_sessions_option = app.add_option("--user-sessions", options.share_limits.sessions, "most sessions for each of them (default: likewise)")->type_name("N");
  app.add_option("--backing", backing, "where arrays lie: named (in /dev/shm) or sealed (memory that no client can truncate; default with --admit-group)")
      ->check(CLI::IsMember({"named", "sealed"}))->type_name("named|sealed");
  app.add_option("--lifeline-fd", options.lifeline_fd, "leave, with all arrays, when the other end of this descriptor closes")->type_name("FD");
  app.add_option("--ready-fd", options.ready_fd, "write 'ready' or what went wrong to this descriptor")->type_name("FD");
  app.add_flag("--systemd", options.systemd, "take the listening socket from systemd");
  app.add_flag("--drop-arrays-at-exit", options.drop_arrays_at_exit, "leave no arrays behind for the next server");
  app.add_flag("--hyperthreads", options.hyperthreads, "a worker for each hardware thread, where cores have several");
  bool pin = false, no_pin = false;
  auto* pin_option = app.add_flag("--pin", pin, "pin each worker to a CPU, also where other programs share the CPUs");
  app.add_flag("--no-pin", no_pin, "pin no worker, also where the CPUs are the server's own")->excludes(pin_option);
  app.set_version_flag("--version", fmt::format("parcompute-server {}", kProgramVersion));
  try {
    app.parse(argc, argv);
    if (socket_option->count() > 0 && socket.empty()) throw CLI::ValidationError("--socket", "the path is empty");
    for (const auto& [name, fd] : {std::pair{"--lifeline-fd", options.lifeline_fd}, {"--ready-fd", options.ready_fd}})
      if (fd != -1 && ::fcntl(fd, F_GETFD) < 0) throw CLI::ValidationError(name, fmt::format("{} is no open descriptor", fd));
    if (pin) options.pinning = Pinning::kAlways;
    if (no_pin) options.pinning = Pinning::kNever;
    if (!options.admit_group.empty() && !options.systemd)
      throw CLI::ValidationError("--admit-group", "only a socket that systemd made (--systemd, SocketGroup=, SocketMode=0660) lets a group in");
    for (const CLI::Option* option : {user_memory_option, user_arrays_option, user_jobs_option, user_sessions_option})
      if (option->count() > 0 && options.admit_group.empty()) throw CLI::ValidationError(option->get_name(), "only a server with --admit-group has users besides its own");
    const bool is_sealed = backing.empty() ? !options.admit_group.empty() : backing == "sealed";
    options.backing = is_sealed ? BackingKind::kSealed : BackingKind::kNamed;
    const auto size_of = [](const char* option, const std::string& text, auto parse) {
      const auto bytes = parse(text);
      if (!bytes) throw CLI::ValidationError(option, bytes.error().message);
      return *bytes;
    };
    if (!memory.empty()) options.memory_bytes = size_of("--memory", memory, parse_memory_limit);
    if (!user_memory.empty()) options.share_limits.bytes = size_of("--user-memory", user_memory, parse_memory_limit);
    if (!spare.empty()) options.spare_bytes = size_of("--spare-memory", spare, parse_size);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) std::exit(app.exit(error));  // --help, --version
    fmt::print(stderr, "parcompute-server: {}; see 'parcompute-server --help'\n", error.what());
    std::exit(64);  // EX_USAGE
  }
  options.socket = socket;
  if (idle_option->count() > 0) options.idle_seconds = idle;
  return options;
}

}  // namespace parcompute::server
