#include "server/core/reactor.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/core/replies.h"
#include "server/core/shares.h"

namespace parcompute::server {
namespace {

// Memory that waits for the next array takes at most one part in so many of the memory that arrays may take.
constexpr std::uint64_t kSpareShare = 4;
// Counted as the server sees them, so that one that was stopped itself reads what has come before it judges.
constexpr unsigned kGreetingSeconds = 5;

}  // namespace

Reactor::Reactor(ReactorOptions options, Effects& effects)
    : effects_(effects),
      arrays_(state_, effects),
      dispatcher_(state_, effects),
      jobs_(state_, effects, arrays_, dispatcher_),
      requests_(state_, effects, arrays_, jobs_) {
  state_.identity = std::move(options.identity);
  state_.memory.set_limits({options.memory_limit_bytes, std::move(options.memory_limit_source), options.memory_place, options.memory_remedy,
                            options.spare_limit_bytes.value_or(options.memory_limit_bytes / kSpareShare), options.segments_shrink});
  state_.max_arrays = options.max_arrays;
  state_.share_limits = options.share_limits;
  state_.placement = std::move(options.placement);
  add_workers();
}

// As many as the placement has room for; none is taken away.
void Reactor::add_workers() {
  while (state_.workers.size() < state_.placement.workers) {
    const auto index = static_cast<WorkerIndex>(state_.workers.size());
    state_.workers.emplace_back().index = index;
  }
}

void Reactor::on_placement(Placement placement) {
  const std::size_t had = state_.workers.size();
  state_.placement = std::move(placement);
  add_workers();
  for (Worker& worker : state_.workers) worker.is_parked = worker.index >= state_.placement.workers;
  if (has_worker()) state_.births.end();
  else begin_births();
  for (std::size_t index = had; index < state_.workers.size(); ++index) effects_.fork_worker(static_cast<WorkerIndex>(index));
  dispatcher_.feed_all();
}

std::string Reactor::adopt_array(SegmentHeader header, const CreatedSegment& segment) {
  if (std::string name = state_.arrays.free_name_like(header.name); name != header.name) {
    header.name = std::move(name);
    effects_.rewrite_header(segment.id, header);
  }
  Array array;
  array.name = header.name;
  array.spec = header.spec;
  array.state = header.complete ? ArrayState::kWhole : ArrayState::kIncomplete;
  array.segment = segment.id;
  array.segment_name = segment.name;
  array.data_offset = header.data_offset;
  array.data_bytes = header.data_bytes;
  array.owner_uid = header.owner_uid;
  array.mode = header.mode;
  array.was_lent = header.mode != ArrayMode::kPrivate;  // to whom the server before may have
  state_.memory.add(array.segment, array.owner_uid, segment_memory(array.data_bytes));
  state_.arrays.add(std::move(array));
  return std::move(header.name);
}

void Reactor::start_workers() {
  begin_births();
  for (const Worker& worker : state_.workers) effects_.fork_worker(worker.index);
}

bool Reactor::has_worker() const {
  return std::any_of(state_.workers.begin(), state_.workers.end(), [](const Worker& worker) { return worker.takes_work(); });
}

// Where no worker is up.
void Reactor::begin_births() {
  if (state_.births.has_begun() || has_worker()) return;
  state_.births.begin();
  begin_watch(state_, effects_);
}

Result<void> Reactor::check_session(uid_t uid) const {
  return check_session_share(state_, uid);
}

void Reactor::on_session_opened(SessionId id, pid_t pid, uid_t uid) {
  Session session;
  session.id = id;
  session.pid = pid;
  session.uid = uid;
  state_.sessions.emplace(id, std::move(session));
  state_.sessions_of.add(uid);
  begin_watch(state_, effects_);
}

void Reactor::on_request(SessionId id, const wire::Request& request, std::span<const ReceivedFile> files) {
  requests_.serve(state_.sessions.at(id), request, files);
  dispatcher_.feed_all();
}

void Reactor::on_session_closed(SessionId id) {
  const auto found = state_.sessions.find(id);
  if (found == state_.sessions.end()) return;
  const Session session = std::move(found->second);
  state_.sessions.erase(found);  // from here on nothing is sent to it
  state_.sessions_of.remove(session.uid);
  for (const JobId job : session.jobs)
    if (Job* live = state_.jobs.find(job)) jobs_.cancel(*live, ": its client has gone");
  for (const ArrayId array : session.arrays)
    if (Array* alive = state_.arrays.find(array)) arrays_.remove(*alive);
  dispatcher_.feed_all();
}

void Reactor::on_worker_forked(WorkerIndex index, pid_t pid) {
  state_.workers[index].pid = pid;
}

void Reactor::on_worker_ready(WorkerIndex index) {
  Worker& worker = state_.workers[index];
  kWorkerLife.apply(worker.state, WorkerEvent::kReady);
  if (!worker.is_parked) state_.births.end();
  dispatcher_.feed_all();
}

void Reactor::on_fork_failed(WorkerIndex index, const Error& error) {
  if (state_.workers[index].state == WorkerState::kStarting) state_.births.on_failed(error.message);
}

void Reactor::settle(const Dispatcher::Settled& settled) {
  if (settled.empty()) return;
  for (const JobId id : settled)
    if (Job* job = state_.jobs.find(id)) jobs_.settle(*job);
  dispatcher_.feed_all();  // a next phase, or a job that waited
}

void Reactor::on_completions(WorkerIndex index, std::span<const ChunkCompletion> completions) {
  Worker& worker = state_.workers[index];
  Dispatcher::Settled settled;
  const bool by_the_rules = dispatcher_.on_completions(worker, completions, settled);
  settle(settled);
  if (!by_the_rules) return effects_.kill_worker(index);
  dispatcher_.feed_after(worker);
}

void Reactor::on_chunk_failed(WorkerIndex index, const ChunkCompletion& completion, std::string_view text) {
  Worker& worker = state_.workers[index];
  Dispatcher::Settled settled;
  const bool by_the_rules = dispatcher_.on_chunk_failed(worker, completion, text, settled);
  settle(settled);
  if (!by_the_rules) return effects_.kill_worker(index);
  dispatcher_.feed_after(worker);
}

void Reactor::on_forgotten(WorkerIndex index, std::size_t count) {
  std::deque<SegmentId>& forgetting = state_.workers[index].forgetting;
  if (count > forgetting.size()) return effects_.kill_worker(index);
  for (; count > 0; --count) {
    state_.memory.on_answer(forgetting.front());
    forgetting.pop_front();
  }
  dispatcher_.feed_all();
}

void Reactor::on_wake() {
  state_.alarm.reset();
  arrays_.tidy();
  jobs_.cancel_overdue();
  dispatcher_.feed_all();
}

void Reactor::on_second() {
  // What jobs that end here leave to be looked at is seen by the last of these.
  const bool waits_for_worker = watch_births();
  const bool waits_for_hello = watch_greetings();
  state_.is_watched = dispatcher_.watch_workers() || waits_for_worker || waits_for_hello;
  if (!state_.is_watched) effects_.watch(false);
}

bool Reactor::watch_births() {
  state_.births.on_second();
  if (const auto hopeless = state_.births.hopeless()) jobs_.fail_all(*hopeless);
  return state_.births.has_begun();
}

// Whoever connects says Hello at once, or is no client: it would keep a place, and an idle server, for ever.
bool Reactor::watch_greetings() {
  bool has_new = false;
  for (auto& [id, session] : state_.sessions) {
    if (session.state != SessionState::kNew) continue;
    has_new = true;
    if (++session.seconds_new != kGreetingSeconds) continue;
    wire::Reply reply;
    describe(Error{ErrorCode::kTimeout, fmt::format("no Hello came within {} s of connecting; the session is closed", kGreetingSeconds), 0}, *reply.mutable_failed());
    effects_.reply(id, reply, {});
    effects_.drop_session(id);
  }
  return has_new;
}

void Reactor::on_worker_leaving(WorkerIndex index) {
  kWorkerLife.apply(state_.workers[index].state, WorkerEvent::kLeave);
}

void Reactor::on_last_words(WorkerIndex index, const ChunkCompletion& completion, std::string_view text) {
  on_worker_leaving(index);
  state_.workers[index].named_its_chunk = true;
  on_chunk_failed(index, completion, text);
}

void Reactor::on_fault(WorkerIndex index, std::string_view text) {
  on_worker_leaving(index);
  state_.workers[index].fault = text;
}

void Reactor::on_worker_lost(WorkerIndex index, std::string_view how) {
  const LostWorker lost{index, std::string(how), 0, false};
  on_workers_lost(std::span(&lost, 1));
}

void Reactor::on_workers_lost(std::span<const LostWorker> lost) {
  // Those that fail together, as when the forkserver ends, fail for one cause, once.
  const auto unborn = std::find_if(lost.begin(), lost.end(), [&](const LostWorker& one) { return state_.workers[one.index].state == WorkerState::kStarting; });
  if (unborn != lost.end()) state_.births.on_failed(fmt::format("worker {} {}", unborn->index, unborn->how));
  Dispatcher::Settled settled;
  for (const LostWorker& one : lost) dispatcher_.on_worker_lost(state_.workers[one.index], one, settled);
  begin_births();
  for (const LostWorker& one : lost) effects_.fork_worker(one.index);
  settle(settled);
  dispatcher_.feed_all();
}

void Reactor::shut_down(const Error* failure) {
  state_.stopping = true;
  // No answer is waited for: the workers end with the server.
  for (Worker& worker : state_.workers) worker.leases.clear();
  std::vector<JobId> live;
  for (const auto& [id, job] : state_.jobs.live()) {
    job->leases = 0;
    live.push_back(id);
  }
  for (const JobId id : live)
    if (Job* job = state_.jobs.find(id)) {
      if (failure != nullptr) job->summary.error = Error{failure->code, fmt::format("job {} ({}) could not go on, for the server is stopping: {}", id.value, job->summary.operation, failure->message), 0};
      jobs_.cancel(*job, ": the server is stopping");
    }

  std::vector<ArrayId> all;
  for (const auto& [id, array] : state_.arrays.all()) all.push_back(id);
  for (const ArrayId id : all) {
    Array* array = state_.arrays.find(id);
    const bool stays = array != nullptr && !array->name.empty() && !array->is_file() && !state_.drop_arrays;
    if (array != nullptr && !stays) arrays_.remove(*array);
  }
  arrays_.drop_everything();
}

bool Reactor::is_idle() const {
  return state_.sessions.empty() && state_.arrays.size() == 0 && state_.jobs.live().empty();
}

}  // namespace parcompute::server
