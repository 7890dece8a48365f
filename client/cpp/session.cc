#include "client/cpp/session.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "client/cpp/array_state.h"
#include "client/cpp/connection.h"
#include "client/cpp/job_state.h"
#include "client/cpp/server_process.h"
#include "client/cpp/wire.h"
#include "common/array/npy.h"
#include "common/base/suggestion.h"
#include "common/base/utf8.h"
#include "common/expression/program.h"
#include "common/expression/syntax.h"
#include "common/operation/operation.h"
#include "common/os/socket_path.h"
#include "common/os/unix_socket.h"

namespace parcompute {
namespace {

using namespace std::chrono_literals;
// Most of the patience that it takes to be let in: a server that lives does so at once.
constexpr auto kConnectPatience = 5000ms;

// A connected socket, and where it is.
struct Found {
  UniqueFd socket;
  std::filesystem::path place;
};

Found value_or_throw_silence(Result<UniqueFd> connected, const std::filesystem::path& place, std::chrono::milliseconds patience) {
  if (!connected && connected.error().code == ErrorCode::kTimeout) throw_silence(place, patience);
  return {value_or_throw(std::move(connected)), place};
}

// The first server that answers; nothing where none does.
std::optional<Found> find_server(const std::vector<std::filesystem::path>& candidates, std::chrono::milliseconds patience) {
  for (const auto& candidate : candidates) {
    // Where others may put a socket, one of them may be the server.
    if (std::error_code missing; std::filesystem::exists(candidate, missing))
      value_or_throw(check_socket_directory(candidate.parent_path()));
    auto connected = connect_to(candidate, patience);
    if (!connected && connected.error().code == ErrorCode::kNoServer) continue;
    return value_or_throw_silence(std::move(connected), candidate, patience);
  }
  return std::nullopt;
}

// Why a private server is started. A service whose socket lies there and that nobody answers for is worth a word.
std::string why_private(const std::vector<std::filesystem::path>& candidates) {
  for (const auto& candidate : candidates)
    if (std::error_code missing; std::filesystem::is_socket(candidate, missing))
      return fmt::format("nobody answers at '{}', though its socket is there (is the service down?)", candidate.native());
  std::string places;
  for (const auto& candidate : candidates) places += fmt::format("{}'{}'", places.empty() ? "" : " or ", candidate.native());
  return fmt::format("there is no server at {}", places);
}

Found connect_or_start(const ConnectOptions& options) {
  const auto patience = std::clamp(options.patience, 1ms, kConnectPatience);
  const auto candidates = options.socket.empty() ? socket_candidates() : std::vector{options.socket};
  if (auto found = find_server(candidates, patience)) return std::move(*found);
  const auto own = options.socket.empty() ? own_socket_path() : options.socket;
  if (!options.start_embedded) {
    if (const auto pid = lock_holder(own); pid && *pid != 0)
      throw Failure(ErrorCode::kNoServer, fmt::format("the server with pid {} has no socket at '{}': it is only just starting, or the socket was removed by hand. "
                                                      "If it stays so, end it with 'kill {}', which leaves its named arrays to the next one",
                                                      *pid, own.native(), *pid));
    throw Failure(ErrorCode::kNoServer,
                  fmt::format("no server answers at '{}': start one with 'parcompute-client start'", candidates.size() == 1 ? candidates.front().native() : own.native()));
  }
  // Whoever has the lock is starting one at this moment, or has.
  if (options.on_start && !lock_holder(own)) options.on_start(why_private(candidates));
  try {
    ServerOptions own_server;
    own_server.socket = own;
    start_server(own_server);
  } catch (const Failure& failure) {
    if (failure.code() != ErrorCode::kAlreadyExists) throw;
  }
  // Another client may be starting the server at the same moment: it then has the lock and will listen soon.
  return value_or_throw_silence(connect_when_listening(own, patience), own, patience);
}

std::string name_text(std::string_view name) {
  if (!is_utf8(name))
    throw Failure(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot name an array: it is not UTF-8", to_utf8(name)));
  return std::string(name);
}

void set_output(std::string_view name, wire::SubmitJob& submit) {
  if (name.empty()) {
    submit.set_anonymous_output(true);
  } else {
    submit.set_output_name(name_text(name));
  }
}

Job submit_request(const std::shared_ptr<Connection>& server, wire::Request& request) {
  auto state = std::make_shared<Job::State>();
  state->server = server;
  const std::uint64_t id = server->send(request);
  if (request.submit_job().detach()) {
    state->id = server->answer_to(id).reply.job_submitted().job_id();
  } else {
    state->request = id;
    state->is_submitters = true;
  }
  return Job(std::move(state));
}

wire::Fill& fill_request(std::string_view name, DType dtype, std::vector<std::int64_t> shape, wire::Request& request) {
  wire::SubmitJob& submit = *request.mutable_submit_job();
  set_output(name, submit);
  wire::Fill& fill = *submit.mutable_operation()->mutable_fill();
  to_wire(value_or_throw(make_spec(dtype, std::move(shape))), *fill.mutable_spec());
  return fill;
}

struct NpyFile {
  UniqueFd fd;
  NpyHeader header;
};

NpyFile open_file(const std::filesystem::path& path, bool writable) {
  NpyFile file;
  file.fd = value_or_throw(open_npy(path.native(), writable));
  file.header = value_or_throw(read_npy_header(file.fd.get(), path.native()));
  return file;
}

wire::ArrayInfo attach_file(Connection& server, std::string_view name, const std::filesystem::path& path, const NpyFile& file, bool writable) {
  wire::Request request;
  wire::AttachArray& attach = *request.mutable_attach_array();
  attach.set_name(name_text(name));
  to_wire(file.header.spec, *attach.mutable_spec());
  attach.set_data_offset(file.header.data_offset);
  attach.set_writable(writable);
  attach.set_path(to_utf8(std::filesystem::absolute(path).native()));  // a file may have any bytes for a name
  return server.call(request, file.fd.get()).reply.array_found().array();
}

bool is_truth(std::string_view name) {
  return name == "True" || name == "False";
}

// An expression takes 'run-7' for a subtraction, and says that there is no 'run'.
std::string binding_hint(std::string_view expression, const std::vector<std::string>& names) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  for (const std::string& name : names)
    if (!std::all_of(name.begin(), name.end(), is_plain) && expression.find(name) != std::string_view::npos)
      return fmt::format("; an array is named '{0}', which an expression takes for more than a name: bind it, {1}={0}, and write {1}", name,
                         name[0] >= 'a' && name[0] <= 'z' && name[0] != 'e' ? name.substr(0, 1) : "x");
  return {};
}

// Compiles the expression for its error alone: it tells where a name stands, and what it may have meant.
void refuse_unknown_name(std::string_view expression, const std::vector<Evaluate::Operand>& operands, const std::vector<ArrayInfo>& arrays) {
  std::vector<ExpressionOperand> specs;
  for (const Evaluate::Operand& operand : operands)
    if (operand.array) specs.push_back({operand.name, ArraySpec{operand.array.dtype(), operand.array.shape(), operand.array.info().strides, 0}});
  std::vector<std::string> names;
  for (const ArrayInfo& array : arrays)
    if (!array.name.empty()) names.push_back(array.name);
  const auto evaluation = compile_expression(expression, specs, std::nullopt, names);
  if (evaluation || evaluation.error().code != ErrorCode::kNotFound) return;  // what else is wrong the server tells
  const std::string& sentence = evaluation.error().message;
  const std::string binding = binding_hint(expression, names);
  if (!binding.empty()) throw Failure(ErrorCode::kNotFound, sentence + binding);
  throw Failure(ErrorCode::kNotFound, fmt::format("{}{} 'parcompute-client array list' shows the arrays there are", sentence, sentence.ends_with('?') ? "" : ";"));
}

wire::Number wire_number(const Number& number) {
  wire::Number message;
  if (!number.is_integer) message.set_real(number.real);
  else if (number.integer < 0) message.set_integer(static_cast<std::int64_t>(number.integer));
  else message.set_natural(static_cast<std::uint64_t>(number.integer));
  if (number.is_complex) message.set_imaginary(number.imaginary);
  return message;
}

}  // namespace

struct Session::State {
  ConnectOptions options;
  std::filesystem::path place;  // of the first server; empty: there was none yet
  std::shared_ptr<Connection> connection;

  // Other servers than the first one's followers have other arrays, other users and other rights.
  ConnectOptions where() const {
    ConnectOptions here = options;
    if (place.empty() || !options.socket.empty()) return here;
    here.socket = place;
    here.start_embedded = options.start_embedded && place == own_socket_path();
    return here;
  }

  // The connection; a new one where somebody was told of the last one's end. What was in flight stays lost: who heard of the end decides
  // what is asked again.
  const std::shared_ptr<Connection>& server() {
    // An older server does not say which one it is: what this program knows of it could be taken for another's. So there is none after it.
    if (connection && (!connection->has_ended() || connection->server_id() == 0)) return connection;
    Found found = connect_or_start(where());
    place = found.place;
    auto made = std::make_shared<Connection>(Channel(std::move(found.socket)), std::move(found.place), options.patience);
    made->greet(options.client_name);
    return connection = std::move(made);
  }
};

Session Session::connect(const ConnectOptions& options) {
  auto state = std::make_shared<State>();
  state->options = options;
  state->server();
  return Session(std::move(state));
}

Array Session::create(std::string_view name, DType dtype, std::vector<std::int64_t> shape) {
  wire::Request request;
  fill_request(name, dtype, std::move(shape), request).set_how(wire::Fill::ZEROS);
  return submit_request(state_->server(), request).wait().output;
}

Array Session::create_full(std::string_view name, const Scalar& value, std::vector<std::int64_t> shape) {
  wire::Request request;
  wire::Fill& fill = fill_request(name, value.dtype, std::move(shape), request);
  fill.set_how(wire::Fill::VALUE);
  fill.set_value(value.bytes.data(), itemsize(value.dtype));
  return submit_request(state_->server(), request).wait().output;
}

Array Session::create_arange(std::string_view name, DType dtype, std::vector<std::int64_t> shape) {
  wire::Request request;
  fill_request(name, dtype, std::move(shape), request).set_how(wire::Fill::ARANGE);
  return submit_request(state_->server(), request).wait().output;
}

Array Session::create_arange(std::string_view name, DType dtype, const Number& start, const Number& stop, const Number& step) {
  wire::Request request;
  const auto length = static_cast<std::int64_t>(value_or_throw(arange_length(start, stop, step)));
  wire::Fill& fill = fill_request(name, dtype, {length}, request);
  fill.set_how(wire::Fill::ARANGE);
  *fill.mutable_start() = wire_number(start);
  *fill.mutable_step() = wire_number(step);
  return submit_request(state_->server(), request).wait().output;
}

Array Session::create_linspace(std::string_view name, DType dtype, const Number& start, const Number& stop, std::uint64_t count, bool endpoint) {
  wire::Request request;
  wire::Fill& fill = fill_request(name, dtype, {static_cast<std::int64_t>(count)}, request);
  fill.set_how(wire::Fill::LINSPACE);
  *fill.mutable_start() = wire_number(start);
  *fill.mutable_stop() = wire_number(stop);
  fill.set_excludes_stop(!endpoint);
  return submit_request(state_->server(), request).wait().output;
}

Array Session::create_eye(std::string_view name, DType dtype, std::uint64_t rows, std::uint64_t columns, std::int64_t diagonal) {
  wire::Request request;
  wire::Fill& fill = fill_request(name, dtype, {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)}, request);
  fill.set_how(wire::Fill::EYE);
  fill.set_diagonal(diagonal);
  return submit_request(state_->server(), request).wait().output;
}

Evaluate Session::evaluate(std::string_view expression, std::vector<Evaluate::Operand> operands) {
  const auto names = names_in(value_or_throw(parse_expression(expression)));
  for (const Evaluate::Operand& operand : operands)
    if (std::find(names.begin(), names.end(), operand.name) == names.end())
      throw Failure(ErrorCode::kInvalidArgument, fmt::format("'{}' is bound, but the expression does not use it{}", operand.name, suggestion(operand.name, names)));
  const auto constants = constant_names();
  bool all_found = true;
  for (const std::string& name : names) {
    const bool given = std::any_of(operands.begin(), operands.end(), [&](const Evaluate::Operand& operand) { return operand.name == name; });
    if (given) continue;
    const bool is_constant = std::find(constants.begin(), constants.end(), name) != constants.end();
    if (is_reserved_name(name) && (!is_constant || is_truth(name))) continue;
    try {
      Array found = find(name);
      if (is_constant) throw Failure(ErrorCode::kInvalidArgument, fmt::format("'{0}' is the constant and an array's name: bind it, {0}={0}", name));
      operands.push_back({name, std::move(found)});
    } catch (const Failure& failure) {
      // Another user's array of a constant's name cannot be meant.
      const bool is_hidden = is_constant && failure.code() == ErrorCode::kNotPermitted;
      if (failure.code() != ErrorCode::kNotFound && !is_hidden) throw;
      all_found = all_found && is_constant;
    }
  }
  if (!all_found) refuse_unknown_name(expression, operands, list());
  return Evaluate{std::string(expression), std::move(operands), {}};
}

Array Session::import_npy(std::string_view name, const std::filesystem::path& file, const Job::Progress& progress) {
  const NpyFile source = open_file(file, false);
  const auto server = state_->server();
  // The file is an anonymous array for as long as the job reads it.
  const Array attached = make_array(attach_file(*server, "", file, source, false), UniqueFd(), server);
  wire::Request request;
  wire::SubmitJob& submit = *request.mutable_submit_job();
  set_output(name, submit);
  wire::ReadFile& read = *submit.mutable_operation()->mutable_read_file();
  read.set_swap_bytes(source.header.swapped);
  read.set_is_half(source.header.is_half);
  submit.add_inputs()->set_id(attached.info().id);
  return submit_request(server, request).wait(progress).output;
}

Array Session::attach_npy(std::string_view name, const std::filesystem::path& file, bool writable) {
  NpyFile source = open_file(file, writable);
  if (source.header.swapped || source.header.is_half)
    throw Failure(ErrorCode::kBadData,
                  fmt::format("'{}' holds {} and cannot be used in place; import it instead, which converts them: 'parcompute-client array import'",
                              file.native(), source.header.is_half ? "float16 elements" : "elements in the other byte order"));
  ArraySpec in_file = source.header.spec;
  in_file.offset = source.header.data_offset;
  if (!is_aligned(in_file))
    throw Failure(ErrorCode::kBadData,
                  fmt::format("the data of '{}' begin at byte {}, which is not aligned for {}; import it instead, which copies them: 'parcompute-client array import'", file.native(),
                              source.header.data_offset, parcompute::name(in_file.dtype)));
  const auto server = state_->server();
  const wire::ArrayInfo info = attach_file(*server, name, file, source, writable);
  return make_array(info, std::move(source.fd), server);
}

void Session::export_npy(Array array, const std::filesystem::path& file) {
  const ArrayInfo& info = array.info();
  value_or_throw(write_npy(file.native(), ArraySpec{info.dtype, info.shape, info.strides, 0}, array.data()));
}

Array Session::find(std::string_view name) {
  wire::Request request;
  request.mutable_find_array()->mutable_array()->set_name(name_text(name));
  const auto server = state_->server();
  auto received = server->call(request);
  return make_array(received.reply.array_found().array(), std::move(received.fd), server);
}

std::vector<ArrayInfo> Session::list() {
  const auto server = state_->server();
  std::vector<ArrayInfo> arrays;
  bool more = true;
  while (more) {
    wire::Request request;
    request.mutable_list_arrays()->set_after_id(arrays.empty() ? 0 : arrays.back().id);
    const wire::Reply reply = server->call(request).reply;
    for (const wire::ArrayInfo& array : reply.arrays_listed().arrays()) arrays.push_back(array_info(array));
    more = reply.arrays_listed().more() && reply.arrays_listed().arrays_size() > 0;
  }
  return arrays;
}

void Session::set_mode(std::string_view name, ArrayMode mode) {
  wire::Request request;
  request.mutable_set_mode()->mutable_array()->set_name(name_text(name));
  request.mutable_set_mode()->set_mode(static_cast<wire::ArrayInfo::Mode>(mode));
  state_->server()->call(request);
}

void Session::remove(std::string_view name) {
  wire::Request request;
  request.mutable_remove_array()->mutable_array()->set_name(name_text(name));
  state_->server()->call(request);
}

bool Session::accept(std::string_view name) {
  wire::Request request;
  request.mutable_accept_array()->mutable_array()->set_name(name_text(name));
  return state_->server()->call(request).reply.array_found().was_incomplete();
}

Job Session::submit(const Operation& operation, const SubmitOptions& options) {
  const auto server = state_->server();
  wire::Request request;
  wire::SubmitJob& submit = *request.mutable_submit_job();
  to_wire(operation, *server, submit);
  if (options.into && !options.output.empty())
    throw Failure(ErrorCode::kInvalidArgument, "a job's result goes to a new array or into one that exists, not to both");
  if (options.into) {
    refer(options.into, *server, *submit.mutable_existing_output());
  } else if (!options.output.empty()) {
    set_output(options.output, submit);
  }
  submit.set_chunk_blocks(options.chunk_blocks);
  submit.set_max_workers(options.max_workers);
  submit.set_detach(options.detach);
  submit.set_priority(options.priority);
  submit.set_background(options.background);
  for (const std::uint64_t job : options.after) submit.add_after(job);
  if (options.time_limit) {
    // To the server 0 is none.
    if (!(options.time_limit->count() > 0)) throw Failure(ErrorCode::kInvalidArgument, fmt::format("{} s are no time limit: give seconds above 0", options.time_limit->count()));
    submit.set_time_limit_seconds(options.time_limit->count());
  }
  return submit_request(server, request);
}

Job Session::find_job(std::uint64_t id) {
  auto state = std::make_shared<Job::State>();
  state->server = state_->server();
  state->id = id;
  Job job(std::move(state));
  job.info();  // throws where there is none
  return job;
}

std::vector<JobInfo> Session::jobs() {
  const auto server = state_->server();
  std::vector<JobInfo> jobs;
  bool more = true;
  while (more) {
    wire::Request request;
    request.mutable_list_jobs()->set_before_id(jobs.empty() ? 0 : jobs.back().id);
    const wire::Reply reply = server->call(request).reply;
    for (const wire::JobInfo& job : reply.jobs_listed().jobs()) jobs.push_back(job_info(job));
    more = reply.jobs_listed().more() && reply.jobs_listed().jobs_size() > 0;
  }
  return jobs;
}

int Session::descriptor() const {
  return state_->connection->descriptor();
}

void Session::set_patience(std::chrono::milliseconds patience) {
  state_->options.patience = patience;
  if (!state_->connection->has_ended()) state_->connection->set_patience(patience);
}

Status Session::status() {
  const auto server = state_->server();
  Status status;
  for (bool more = true; more;) {
    wire::Request request;
    request.mutable_get_status()->set_first_worker(static_cast<std::uint32_t>(status.workers.size()));
    const wire::Reply reply = server->call(request).reply;
    Status part = status_of(reply.status_reported());
    more = reply.status_reported().more() && !part.workers.empty();
    part.workers.insert(part.workers.begin(), status.workers.begin(), status.workers.end());
    if (part.users.empty()) part.users = std::move(status.users);
    status = std::move(part);
  }
  return status;
}

void Session::stop_server(bool drop_arrays) {
  const auto server = state_->connection;  // one that has gone needs no end, and none is started for it
  wire::Request request;
  request.mutable_stop()->set_drop_arrays(drop_arrays);
  server->call(request);
  server->wait_for_end();
}

}  // namespace parcompute
