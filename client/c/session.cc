// Sessions, servers, and what they tell.
#include <new>

#include "client/c/arguments.h"
#include "client/c/error.h"
#include "client/c/handles.h"
#include "client/json/describe.h"
#include "common/os/cpu_budget.h"
#include "common/os/read_topology.h"

using namespace parcompute;
using namespace parcompute::c;

struct parcompute_server {
  PrivateServer server;
  unsigned generation;
};

namespace {

std::string dumped(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

template <class Row>
std::string described(const std::vector<Row>& rows) {
  auto list = nlohmann::ordered_json::array();
  for (const Row& row : rows) list.push_back(describe(row));
  return dumped(list);
}

// A text that the session tells.
template <class Ask>
std::int32_t told(parcompute_session* session, char** json, Ask ask) {
  return guarded([&] {
    *json = nullptr;
    LockedSession locked(owner_of(session));
    *json = new_text(ask(locked.session()));
  });
}

std::chrono::milliseconds milliseconds(double seconds) {
  if (!(seconds > 0 && seconds < 1e9)) throw Failure(ErrorCode::kInvalidArgument, "the patience is no number of seconds above 0");
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

}  // namespace

extern "C" {

std::int32_t parcompute_connect(const parcompute_argument* arguments, std::size_t count, parcompute_session** session) {
  return guarded([&] {
    *session = nullptr;
    Arguments a("connect", arguments, count);
    std::string started;
    ConnectOptions options;
    options.socket = a.text_or("socket", "");
    options.start_embedded = a.integer_or("start", 1, 0, 1) == 1;
    options.client_name = a.text_or("client", "C client");
    const double patience = a.real_or("patience", 30);
    options.patience = milliseconds(patience);
    a.finish();
    // Not in the options that are kept: a later start has nobody to tell.
    auto why = std::make_shared<std::string>();
    options.on_start = [why](const std::string& reason) { *why = reason; };
    Session connected = Session::connect(options);
    auto shared = std::make_shared<SharedSession>(std::move(connected), *why);
    shared->patience = patience;
    *session = new parcompute_session{std::move(shared)};
  });
}

void parcompute_session_free(parcompute_session* session) {
  if (session == nullptr || !session->shared->is_of_this_process()) return;
  session->shared->close();
  delete session;
}

const char* parcompute_session_started(const parcompute_session* session) {
  return session->shared->started().c_str();
}

std::int32_t parcompute_status(parcompute_session* session, char** json) {
  return told(session, json, [](Session& s) { return dumped(describe(s.status())); });
}

std::int32_t parcompute_list(parcompute_session* session, char** json) {
  return told(session, json, [](Session& s) { return described(s.list()); });
}

std::int32_t parcompute_jobs(parcompute_session* session, char** json) {
  return told(session, json, [](Session& s) { return described(s.jobs()); });
}

std::int32_t parcompute_cpus(std::int32_t hyperthreads, char** json) {
  return guarded([&] {
    *json = nullptr;
    CpuEnvironment environment = cpu_environment();
    environment.topology = read_topology();
    environment.hyperthreads = hyperthreads != 0;
    const auto budget = decide_cpu_budget(environment);
    if (!budget) throw Failure(budget.error().code, budget.error().message, budget.error().system_errno);
    *json = new_text(dumped(describe(*budget)));
  });
}

std::int32_t parcompute_set_patience(parcompute_session* session, double seconds) {
  return guarded([&] {
    const auto patience = milliseconds(seconds);
    LockedSession locked(owner_of(session));
    locked.session().set_patience(patience);
    session->shared->patience = seconds;
  });
}

std::int32_t parcompute_stop_server(parcompute_session* session, std::int32_t drop_arrays) {
  return guarded([&] {
    LockedSession locked(owner_of(session));
    locked.session().stop_server(drop_arrays != 0);
  });
}

std::int32_t parcompute_private_server(const parcompute_argument* arguments, std::size_t count, parcompute_server** server) {
  return guarded([&] {
    *server = nullptr;
    Arguments a("private_server", arguments, count);
    ServerOptions options;
    options.workers = static_cast<unsigned>(a.integer_or("workers", 0, 0, 4096));
    options.memory_bytes = static_cast<std::uint64_t>(a.integer_or("memory", 0, 0, std::int64_t{1} << 62));
    options.hyperthreads = a.integer_or("hyperthreads", 0, 0, 1) == 1;
    a.finish();
    *server = new parcompute_server{PrivateServer(options), fork_generation()};
  });
}

const char* parcompute_server_socket(const parcompute_server* server) {
  return server == nullptr ? "" : server->server.socket().c_str();
}

// Its parent's server is not a child's to end.
void parcompute_server_free(parcompute_server* server) {
  if (server == nullptr || server->generation != fork_generation()) return;
  delete server;
}

std::int32_t parcompute_remove(parcompute_session* session, const char* name) {
  return guarded([&] {
    LockedSession locked(owner_of(session));
    locked.session().remove(given(name, "the name"));
  });
}

std::int32_t parcompute_set_mode(parcompute_session* session, const char* name, const char* mode) {
  return guarded([&] {
    const auto parsed = parse_array_mode(given(mode, "the mode"));
    if (!parsed) throw Failure(parsed.error().code, parsed.error().message);
    LockedSession locked(owner_of(session));
    locked.session().set_mode(given(name, "the name"), *parsed);
  });
}

std::int32_t parcompute_accept(parcompute_session* session, const char* name, std::int32_t* was_incomplete) {
  return guarded([&] {
    LockedSession locked(owner_of(session));
    const bool was = locked.session().accept(given(name, "the name"));
    if (was_incomplete != nullptr) *was_incomplete = was ? 1 : 0;
  });
}
}
