#include "server/core/requests.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "common/base/utf8.h"
#include "common/operation/operation.h"
#include "proto/limits.h"
#include "proto/version.h"
#include "server/core/explanation.h"
#include "server/core/job_options.h"
#include "server/core/replies.h"

namespace parcompute::server {

std::span<const Requests::Row> Requests::table() {
  using B = wire::Request::BodyCase;
  using R = Requests;
  constexpr auto kNew = SessionState::kNew;
  constexpr auto kGreeted = SessionState::kGreeted;
  static constexpr std::array<Row, 15> kTable{{
      // message            name            session   file   handler
      {B::kHello, "Hello", kNew, false, &R::hello},
      {B::kSubmitJob, "SubmitJob", kGreeted, false, &R::submit_job},
      {B::kWaitJob, "WaitJob", kGreeted, false, &R::wait_job},
      {B::kGetJob, "GetJob", kGreeted, false, &R::get_job},
      {B::kListJobs, "ListJobs", kGreeted, false, &R::list_jobs},
      {B::kCancelJob, "CancelJob", kGreeted, false, &R::cancel_job},
      {B::kExplainJob, "ExplainJob", kGreeted, false, &R::explain_job},
      {B::kFindArray, "FindArray", kGreeted, false, &R::find_array},
      {B::kListArrays, "ListArrays", kGreeted, false, &R::list_arrays},
      {B::kAttachArray, "AttachArray", kGreeted, true, &R::attach_array},
      {B::kRemoveArray, "RemoveArray", kGreeted, false, &R::remove_array},
      {B::kAcceptArray, "AcceptArray", kGreeted, false, &R::accept_array},
      {B::kSetMode, "SetMode", kGreeted, false, &R::set_mode},
      {B::kGetStatus, "GetStatus", kGreeted, false, &R::get_status},
      {B::kStop, "Stop", kGreeted, false, &R::stop},
  }};
  return kTable;
}

void Requests::serve(Session& session, const wire::Request& request, std::span<const ReceivedFile> files) {
  auto served = dispatch(session, request, files);
  if (served) return;
  for (const ReceivedFile& file : files) effects_.drop_segment(file.segment, SegmentName::kKeep, std::nullopt);
  wire::Reply refusal;
  refusal.set_request_id(request.id());
  describe(served.error(), *refusal.mutable_failed());
  effects_.reply(session.id, refusal, {});
}

Result<void> Requests::dispatch(Session& session, const wire::Request& request, std::span<const ReceivedFile> files) {
  const auto rows = table();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& candidate) { return candidate.body == request.body_case(); });
  if (row == rows.end())
    return fail(ErrorCode::kUnsupported, "the request is unknown to this server: is the client newer than it?");
  if (row->state != session.state)
    return fail(ErrorCode::kInvalidArgument,
                session.state == SessionState::kNew ? fmt::format("{} came before Hello, which opens a session", row->name)
                                                    : fmt::format("{} came twice in a session", row->name));
  if (files.size() != std::size_t{row->takes_file})
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} carries {} descriptors, not {}", row->name, int{row->takes_file}, files.size()));
  if (session.pending_waits >= kMaxPendingRequests)
    return fail(ErrorCode::kOverBudget, fmt::format("this session waits for {} jobs, the most there may be: wait for some to end", kMaxPendingRequests));
  return (this->*row->serve)({session, request, files.empty() ? nullptr : &files.front()});
}

void Requests::reply(const Call& call, wire::Reply& reply, HandedSegment handed) {
  reply.set_request_id(call.request.id());
  effects_.reply(call.session.id, reply, handed);
}

Result<void> Requests::hello(const Call& call) {
  const wire::Hello& hello = call.request.hello();
  if (hello.max_version() < kMinWireVersion || hello.min_version() > kWireVersion) {
    const auto client = clip_utf8(hello.client(), kMaxNameBytes);
    const bool client_is_old = hello.max_version() < kMinWireVersion;
    return fail(ErrorCode::kProtocolVersion,
                fmt::format("the client ({}) speaks protocol versions {} to {}, this server ({}) {} to {}: upgrade the {}", client,
                            hello.min_version(), hello.max_version(), kProgramVersion, kMinWireVersion, kWireVersion,
                            client_is_old ? "client" : "server (then 'parcompute-client stop' for your own one, 'systemctl restart parcompute' for the system's: named arrays stay)"));
  }
  kSessionLife.apply(call.session.state, SessionEvent::kHello);
  call.session.client = clip_utf8(hello.client(), kMaxNameBytes);
  wire::Reply answer;
  wire::Welcome& welcome = *answer.mutable_welcome();
  welcome.set_version(std::min(hello.max_version(), kWireVersion));
  welcome.set_server(fmt::format("parcompute-server {}", kProgramVersion));
  welcome.set_workers(state_.placement.workers);
  welcome.set_server_id(state_.identity.id);
  reply(call, answer);
  return {};
}

Result<void> Requests::submit_job(const Call& call) {
  const wire::SubmitJob& submit = call.request.submit_job();
  const auto id = jobs_.submit(call.session, call.request.id(), submit);
  if (!id) return fail(id.error());
  if (submit.detach()) {
    wire::Reply answer;
    answer.mutable_job_submitted()->set_job_id(id->value);
    reply(call, answer);
  }
  return {};
}

Result<const JobSummary*> Requests::find_job(const Session& session, const wire::JobRef& reference) const {
  if (reference.which_case() != wire::JobRef::kRequest) return server::find_job(state_, session, JobId{reference.id()});
  for (const JobId id : session.jobs) {
    const Job& live = *state_.jobs.live().at(id);
    for (const Waiter waiter : live.waiters)
      if (waiter.session == session.id && waiter.request == reference.request()) return &live.summary;
  }
  return fail(ErrorCode::kNotFound, fmt::format("there is no job of this session's request {}, or it has ended: its answer was sent", reference.request()));
}

Result<void> Requests::wait_job(const Call& call) {
  const auto job = find_job(call.session, call.request.wait_job().job());
  if (!job) return fail(job.error());
  jobs_.wait(call.session, call.request.id(), (*job)->id);
  return {};
}

Result<void> Requests::get_job(const Call& call) {
  const auto summary = find_job(call.session, call.request.get_job().job());
  if (!summary) return fail(summary.error());
  wire::Reply answer;
  wire::JobInfo& info = *answer.mutable_job_described()->mutable_job();
  describe_with_expression(**summary, effects_.now(), info);
  if ((*summary)->certificate) describe(*(*summary)->certificate, *info.mutable_certificate());
  if (const Job* job = state_.jobs.find((*summary)->id)) info.set_waiting_for(waiting_for(state_, *job));
  reply(call, answer);
  return {};
}

Result<void> Requests::list_jobs(const Call& call) {
  wire::Reply answer;
  wire::JobsListed& listed = *answer.mutable_jobs_listed();
  const Instant now = effects_.now();
  std::size_t bytes = 0;
  const auto add = [&](const JobSummary& job) {
    if (listed.more() || !may_do_all(state_, call.session, job.owner_uid)) return;
    wire::JobInfo& info = *listed.add_jobs();
    describe_with_expression(job, now, info);
    bytes += info.ByteSizeLong() + 4;
    if (bytes <= kListingBytes) return;
    listed.mutable_jobs()->RemoveLast();
    listed.set_more(true);
  };
  // Newest first. Live jobs may be older than ended ones: merge the two by id.
  const JobId before{call.request.list_jobs().before_id() != 0 ? call.request.list_jobs().before_id() : std::numeric_limits<std::uint64_t>::max()};
  const auto& all = state_.jobs.live();
  auto live = std::make_reverse_iterator(all.lower_bound(before));
  std::vector<const JobSummary*> ended;
  for (const JobSummary& job : state_.jobs.ended())
    if (job.id < before) ended.push_back(&job);
  std::sort(ended.begin(), ended.end(), [](auto* a, auto* b) { return a->id > b->id; });
  for (auto old = ended.begin(); !listed.more() && (live != all.rend() || old != ended.end());) {
    const bool from_live = old == ended.end() || (live != all.rend() && live->first > (*old)->id);
    add(from_live ? (live++)->second->summary : **old++);
  }
  reply(call, answer);
  return {};
}

Result<void> Requests::cancel_job(const Call& call) {
  const auto summary = find_job(call.session, call.request.cancel_job().job());
  if (!summary) return fail(summary.error());
  const JobId id = (*summary)->id;
  if (Job* job = state_.jobs.find(id)) jobs_.cancel(*job, "");
  wire::Reply answer;
  describe_with_expression(*state_.jobs.find_summary(id), effects_.now(), *answer.mutable_job_described()->mutable_job());
  reply(call, answer);
  return {};
}

Result<void> Requests::explain_job(const Call& call) {
  const auto summary = find_job(call.session, call.request.explain_job().job());
  if (!summary) return fail(summary.error());
  wire::Reply answer;
  wire::JobExplained& explained = *answer.mutable_job_explained();
  wire::JobInfo& info = *explained.mutable_job();
  describe_with_expression(**summary, effects_.now(), info);
  if ((*summary)->certificate) describe(*(*summary)->certificate, *info.mutable_certificate());
  if (const Job* job = state_.jobs.find((*summary)->id)) {
    info.set_waiting_for(waiting_for(state_, *job));
    explain(state_, *job, explained);
  }
  reply(call, answer);
  return {};
}

// As the one who asks may use it.
void Requests::describe_for(const Session& session, const Array& array, wire::ArrayInfo& message) const {
  describe(array, message);
  if (!may_use(state_, session, array, Right::kWrite)) message.set_writable(false);
}

Result<void> Requests::find_array(const Call& call) {
  const auto array = server::find_array(state_, call.session, call.request.find_array().array(), Right::kRead);
  if (!array) return fail(array.error());
  wire::Reply answer;
  describe_for(call.session, **array, *answer.mutable_array_found()->mutable_array());
  reply(call, answer, {(*array)->segment, may_use(state_, call.session, **array, Right::kWrite)});
  return {};
}

Result<void> Requests::list_arrays(const Call& call) {
  wire::Reply answer;
  wire::ArraysListed& listed = *answer.mutable_arrays_listed();
  const auto& all = state_.arrays.all();
  std::size_t bytes = 0;
  for (auto it = all.upper_bound(ArrayId{call.request.list_arrays().after_id()}); it != all.end(); ++it) {
    const Array& array = it->second;
    if (array.removed || !may_use(state_, call.session, array, Right::kRead)) continue;
    wire::ArrayInfo& info = *listed.add_arrays();
    describe_for(call.session, array, info);
    bytes += info.ByteSizeLong() + 4;
    if (bytes <= kListingBytes) continue;
    listed.mutable_arrays()->RemoveLast();
    listed.set_more(true);
    break;
  }
  reply(call, answer);
  return {};
}

Result<void> Requests::attach_array(const Call& call) {
  const wire::AttachArray& attach = call.request.attach_array();
  const ReceivedFile& file = *call.file;
  const std::string path(clip_utf8(attach.path(), 4096));
  if (!file.is_regular || !file.is_readable)
    return fail(ErrorCode::kBadData, fmt::format("'{}' cannot be attached: its descriptor is no regular file that may be read", path));
  if (attach.writable() && !file.is_writable)
    return fail(ErrorCode::kNotPermitted, fmt::format("'{}' was opened for reading alone and cannot be attached writable", path));
  if (attach.data_offset() > file.size)
    return fail(ErrorCode::kBadData, fmt::format("'{}' is truncated: its data begin at byte {}, it has {}", path, attach.data_offset(), file.size));
  auto spec = from_wire(attach.spec());
  if (!spec) return fail(spec.error());
  const std::uint64_t data_bytes = file.size - attach.data_offset();
  if (auto inside = check_spec(*spec, data_bytes); !inside) return inside;
  // Kernels write aligned elements (and read them from anywhere). Whether a view's are is told by its offset in the data: so
  // these have to be aligned themselves.
  ArraySpec data = *spec;
  data.offset = attach.data_offset();
  if (attach.writable() && !is_aligned(data))
    return fail(ErrorCode::kBadData, fmt::format("'{}' cannot be attached writable: its data begin at byte {}, which is not aligned for {}; import it instead, which copies them",
                                                 path, attach.data_offset(), name(spec->dtype)));
  if (!attach.name().empty()) {
    if (auto ok = check_new_array_name(attach.name()); !ok) return ok;
    if (auto ok = check_free(state_, call.session, attach.name()); !ok) return ok;
  }
  if (auto ok = arrays_.check_one_more(call.session.uid); !ok) return ok;
  // Jobs take turns by array: two arrays over one file, of which one may be written, would know nothing of each other.
  for (const auto& [id, other] : state_.arrays.all()) {
    if (!other.is_file() || other.removed || other.file != file.identity || !(other.writable || attach.writable()) || !may_do_all(state_, call.session, other.owner_uid)) continue;
    return fail(ErrorCode::kAlreadyExists, fmt::format("'{}' is attached already, as array '{}'{}: use that one, or remove it first", path, other.label(),
                                                       other.writable ? ", which may be written to" : ""));
  }
  Array array;
  array.file = file.identity;
  array.name = attach.name();
  array.spec = std::move(*spec);
  array.state = ArrayState::kWhole;
  array.segment = file.segment;
  array.path = path;
  array.data_offset = attach.data_offset();
  array.data_bytes = data_bytes;
  array.writable = attach.writable();
  array.owner_uid = call.session.uid;
  if (array.name.empty()) array.session = call.session.id;
  const Array& added = state_.arrays.add(std::move(array));
  if (added.name.empty()) call.session.arrays.insert(added.id);
  wire::Reply answer;
  describe(added, *answer.mutable_array_found()->mutable_array());
  reply(call, answer);
  return {};
}

Result<void> Requests::remove_array(const Call& call) {
  const auto array = server::find_array(state_, call.session, call.request.remove_array().array(), Right::kOwn);
  if (!array) return fail(array.error());
  arrays_.remove(**array);
  wire::Reply answer;
  answer.mutable_done();
  reply(call, answer);
  return {};
}

Result<void> Requests::accept_array(const Call& call) {
  const auto found = server::find_array(state_, call.session, call.request.accept_array().array(), Right::kWrite);
  if (!found) return fail(found.error());
  Array& array = **found;
  // What a job is writing, or will be, nobody can judge yet.
  if (!array.writers.empty()) {
    const std::uint64_t last = array.writers.rbegin()->value;
    return fail(ErrorCode::kBadData, fmt::format("array '{0}' cannot be accepted while job {1} is writing it: wait for the job ('parcompute-client job wait {1}'), and accept "
                                                 "what it leaves if the array is incomplete then", array.label(), last));
  }
  if (auto as_attached = jobs_.check_file(array); !as_attached) return as_attached;
  wire::Reply answer;
  wire::ArrayFound& reported = *answer.mutable_array_found();
  reported.set_was_incomplete(array.state == ArrayState::kIncomplete);
  if (reported.was_incomplete()) arrays_.accept(array);
  describe(array, *reported.mutable_array());
  reply(call, answer);
  return {};
}

Result<void> Requests::set_mode(const Call& call) {
  const wire::SetMode& wanted = call.request.set_mode();
  const auto mode = array_mode_from_number(static_cast<std::uint32_t>(wanted.mode()));
  if (!mode) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is no mode of an array to this server: is the client newer than it?", int{wanted.mode()}));
  const auto array = server::find_array(state_, call.session, wanted.array(), Right::kOwn);
  if (!array) return fail(array.error());
  if ((*array)->is_file())
    return fail(ErrorCode::kUnsupported, fmt::format("array '{}' is the attached file '{}', whose own mode says who may use it: change that, and let others attach it themselves",
                                                     (*array)->label(), (*array)->path));
  arrays_.set_mode(**array, *mode);
  wire::Reply answer;
  answer.mutable_done();
  reply(call, answer);
  return {};
}

Result<void> Requests::get_status(const Call& call) {
  wire::Reply answer;
  describe(state_, effects_.now(), call.request.get_status().first_worker(), *answer.mutable_status_reported());
  reply(call, answer);
  return {};
}

Result<void> Requests::stop(const Call& call) {
  if (!may_do_all(state_, call.session, state_.identity.uid))
    return fail(ErrorCode::kNotPermitted, fmt::format("the server belongs to uid {}: only that user or root may stop it", state_.identity.uid));
  state_.stopping = true;
  // A server that leaves no arrays behind in any case was told so when it was started.
  state_.drop_arrays = state_.drop_arrays || call.request.stop().drop_arrays();
  wire::Reply answer;
  answer.mutable_done();
  reply(call, answer);
  effects_.stop();
  return {};
}

}  // namespace parcompute::server
