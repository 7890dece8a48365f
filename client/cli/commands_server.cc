// start, stop, status, cpus, with-server.
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/flags.h"
#include "client/cli/modes.h"
#include "client/cli/number_text.h"
#include "client/cli/with_server.h"
#include "common/base/units.h"
#include "common/os/cpu_budget.h"
#include "common/os/read_topology.h"
#include "common/os/socket_path.h"

namespace parcompute::cli {
namespace {

struct PoolFlags {
  unsigned workers = 0;
  std::uint64_t memory = 0;
  bool hyperthreads = false, pin = false, no_pin = false;
};

void add_hyperthreads(CLI::App& app, bool& hyperthreads) {
  app.add_flag("--hyperthreads", hyperthreads, "a worker for each hardware thread, where cores have several");
}

void add_pool_flags(CLI::App& app, PoolFlags& args) {
  add_count(app, "--workers", args.workers, "worker processes, at most 4096 (default: one for each core allowed; see cpus)");
  add_bytes(app, "--memory", args.memory,
            "most that all arrays may hold, such as 8GiB (default: what the machine allows)");
  add_hyperthreads(app, args.hyperthreads);
  auto* pin = app.add_flag("--pin", args.pin, "pin each worker to a CPU (default: where the CPUs are the server's own)");
  app.add_flag("--no-pin", args.no_pin, "pin no worker")->excludes(pin);
}

ServerOptions server_options(const PoolFlags& args) {
  ServerOptions options;
  options.workers = args.workers;
  options.memory_bytes = args.memory;
  options.hyperthreads = args.hyperthreads;
  if (args.pin) options.pinning = ServerOptions::Pinning::kAlways;
  if (args.no_pin) options.pinning = ServerOptions::Pinning::kNever;
  return options;
}

// ---- start

// "2 workers", "2 workers, 1 of them starting", "2 workers starting".
std::string workers_of(const Status& status) {
  const std::size_t all = status.workers.size();
  const auto starting = static_cast<std::size_t>(
      std::count_if(status.workers.begin(), status.workers.end(), [](const WorkerInfo& worker) { return worker.state == WorkerInfo::State::kStarting; }));
  const std::string text = fmt::format("{} worker{}", all, all == 1 ? "" : "s");
  if (starting == 0) return text;
  return starting == all ? text + " starting" : fmt::format("{}, {} of them starting", text, starting);
}

Answer start(const Context& context, const PoolFlags& args) {
  ServerOptions options = server_options(args);
  options.socket = context.flags.socket.empty() ? own_socket_path() : std::filesystem::path(context.flags.socket);
  options.idle_seconds.reset();  // who starts a server by hand stops it by hand
  start_server(options);
  // This one, also where the system's own server would be found first.
  Context started = context;
  started.flags.socket = options.socket;
  const Status status = started.connect_running().status();
  context.note(fmt::format("server {} answers on {}: {}, {} for arrays", status.server_pid, status.socket, workers_of(status), format_bytes(status.memory_limit_bytes)));
  if (status.memory_used_bytes > status.memory_limit_bytes)
    context.note(fmt::format("arrays of an earlier server take {}, more than that: nothing new fits until some are removed ('parcompute-client array rm')",
                             format_bytes(status.memory_used_bytes)));
  return {.value = describe(status), .array = {}};
}

// ---- stop

struct StopFlags {
  bool drop_arrays = false;
};

void stop_flags(CLI::App& app, StopFlags& args) {
  app.add_flag("--drop-arrays", args.drop_arrays,
               "remove the named arrays too, instead of keeping them for the next server");
}

Answer stop(const Context& context, const StopFlags& args) {
  Session session = context.connect_running();
  const Status status = session.status();
  std::uint64_t in_memory = 0;
  std::uint64_t attached = 0;
  bool is_sealed = false;
  for (const ArrayInfo& array : session.list()) {
    if (array.name.empty() || (array.incomplete && array.path.empty())) continue;  // gone with its session, or its job
    ++(array.path.empty() ? in_memory : attached);
    is_sealed = is_sealed || array.segment_name.starts_with("memfd:");
  }
  const std::uint64_t jobs = status.jobs_running + status.jobs_queued;
  session.stop_server(args.drop_arrays);
  const auto count = [](std::uint64_t n, std::string_view what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
  std::string fate;
  if (jobs > 0) fate += fmt::format("; {} cancelled", count(jobs, "job"));
  if (in_memory > 0) fate += fmt::format("; {} {}", count(in_memory, "array"), args.drop_arrays ? "dropped"
                                                                      : is_sealed      ? "gone, unless the unit says FileDescriptorStorePreserve=yes"
                                                                                       : "kept in memory for the next server");
  if (attached > 0) fate += fmt::format("; {} no longer attached", count(attached, "file"));
  context.note(fmt::format("server {} stopped{}", status.server_pid, fate));
  return {.value = {{"stopped", true},
                    {"server_pid", status.server_pid},
                    {"arrays", in_memory},
                    {"attached", attached},
                    {"jobs_cancelled", jobs},
                    {"dropped", args.drop_arrays}},
          .array = {}};
}

// ---- status

Answer status(const Context& context, const NoFlags&) {
  return {.value = describe(context.connect_running().status()), .array = {}};
}

// "4 (limit: affinity)", "2 of 4 (cgroup v2 cpu.max allows 2 CPUs)"
std::string pool_of(const Value& status) {
  const std::size_t all = status["workers"].size();
  if (status["worker_limit"].is_null()) return fmt::format("{}", all);
  const auto limit = status["worker_limit"].get<std::size_t>();
  const auto source = status["worker_limit_source"].is_null() ? "" : status["worker_limit_source"].get<std::string>();
  if (limit < all) return fmt::format("{} of {} ({} allows {} CPU{})", limit, all, source, limit, limit == 1 ? "" : "s");
  return source.empty() ? fmt::format("{}", all) : fmt::format("{} (limit: {})", all, source);
}

std::string print_status(const Answer& answer) {
  const Value& v = answer.value;
  const auto text = [](const Value& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  const Value& jobs = v["jobs"];
  const Value& memory = v["memory"];
  const std::string source = text(memory["limit_source"]);
  const auto and_besides = [&](const char* key, const char* words) {
    const auto bytes = memory[key].get<std::uint64_t>();
    return bytes == 0 ? "" : fmt::format(", {} {}", format_bytes(bytes), words);
  };
  std::string out = table({
      {"server", fmt::format("pid {}, {}, up {}", text(v["server_pid"]), text(v["server"]),
                             format_seconds(v["uptime_seconds"].get<double>()))},
      {"forkserver", v["forkserver_pid"].is_null() ? "being started" : "pid " + text(v["forkserver_pid"])},
      {"socket", text(v["socket"])},
      {"workers", pool_of(v)},
      {"memory", fmt::format("{} of {} used{}{}{}{}", format_bytes(memory["used_bytes"].get<std::uint64_t>()),
                             format_bytes(memory["limit_bytes"].get<std::uint64_t>()),
                             source.empty() ? "" : fmt::format(" (limit: {})", source),
                             and_besides("spare_bytes", "kept for the next arrays"),
                             and_besides("held_bytes", "of removed arrays that programs still have open"),
                             and_besides("freeing_bytes", "being given back"))},
      {"arrays", text(v["arrays"])},
      {"jobs", fmt::format("{} queued, {} running, {} ended", text(jobs["queued"]), text(jobs["running"]),
                           text(jobs["ended"]))},
      {"sessions", text(v["sessions"])},
  });
  std::vector<std::vector<std::string>> rows{{"worker", "pid", "cpu", "state", "chunks", "replaced"}};
  for (const Value& worker : v["workers"])
    rows.push_back({text(worker["id"]), text(worker["pid"]),
                    worker["cpu"].is_null() ? "any" : text(worker["cpu"]), text(worker["state"]) + (worker["parked"].get<bool>() ? ", parked" : ""),
                    text(worker["chunks"]), text(worker["replaced"])});
  const bool has_worker = std::any_of(v["workers"].begin(), v["workers"].end(), [](const Value& worker) { return worker["state"] != "starting"; });
  const char* const remark = has_worker ? "" : "\nno worker is up: jobs wait for one, and fail where none comes for long; why stands in the server's log\n";
  out += "\n" + table(rows, {0, 1, 2, 4, 5}) + remark;
  // Who has a server alone has read it above.
  if (v["users"].size() < 2) return out;
  std::vector<std::vector<std::string>> users{{"user", "memory", "arrays", "jobs", "sessions"}};
  for (const Value& user : v["users"])
    users.push_back({user_name(user["uid"].get<std::uint32_t>()), format_bytes(user["memory_bytes"].get<std::uint64_t>()), text(user["arrays"]), text(user["jobs"]), text(user["sessions"])});
  return out + "\n" + table(users, {1, 2, 3, 4});
}

// ---- cpus

struct CpusFlags {
  bool hyperthreads = false;
};

void cpus_flags(CLI::App& app, CpusFlags& args) {
  add_hyperthreads(app, args.hyperthreads);
}

Answer cpus(const Context&, const CpusFlags& args) {
  CpuEnvironment environment = cpu_environment();
  environment.topology = read_topology();
  environment.hyperthreads = args.hyperthreads;
  const auto budget = decide_cpu_budget(environment);
  if (!budget) throw Failure(budget.error().code, budget.error().message, budget.error().system_errno);
  return {.value = describe(*budget), .array = {}};
}

std::string print_cpus(const Answer& answer) {
  std::vector<std::vector<std::string>> rows{{"source", "cpus", "", ""}};
  for (const Value& source : answer.value["sources"])
    rows.push_back({source["source"].get<std::string>(),
                    source["cpus"].is_null() ? "-" : source["cpus"].dump(),
                    source["decided"].get<bool>() ? "decides" : "",
                    source["detail"].is_null() ? "" : source["detail"].get<std::string>()});
  return fmt::format("{}\n\n{}", answer.value["cpus"].dump(), table(rows, {1}));
}

// ---- with-server

struct WithServerFlags {
  PoolFlags pool;
  std::vector<std::string> program;
};

void with_server_flags(CLI::App& app, WithServerFlags& args) {
  add_pool_flags(app, args.pool);
  app.add_option("PROGRAM", args.program, "the program and its arguments, after --")
      ->required()
      ->type_name("");
}

Answer with_server(const Context&, const WithServerFlags& args) {
  const PrivateServer server(server_options(args.pool));
  setenv("PARCOMPUTE_SOCKET", server.socket().c_str(), 1);
  // Standard output is the program's.
  return {.value = nullptr, .array = {}, .exit_code = run_program(args.program)};
}

const std::array kCommands{
    command<PoolFlags>("", "start", "start a server that stays until it is stopped",
                       "parcompute-client start --workers 4 --memory 8GiB", add_pool_flags, start, nullptr),
    command<StopFlags>("", "stop", "stop the server; named arrays stay for the next one, but for those of the system's service",
                       "parcompute-client stop --drop-arrays", stop_flags, stop, nullptr),
    command<NoFlags>("", "status", "show the server, its workers and its memory",
                     "parcompute-client status --json", no_flags, status, print_status),
    command<CpusFlags>("", "cpus", "show how many CPUs are allowed, and what decided it",
                       "parcompute-client cpus --hyperthreads", cpus_flags, cpus, print_cpus),
    command<WithServerFlags>("", "with-server",
                             "run a program with a server of its own, for as long as it runs",
                             "parcompute-client with-server --workers 8 -- python3 analysis.py input.npy",
                             with_server_flags, with_server, nullptr),
};

}  // namespace

std::span<const Command> server_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
