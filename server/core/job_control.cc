#include "server/core/job_control.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include "common/base/utf8.h"
#include "common/operation/operation.h"
#include "common/operation/reserve.h"
#include "common/os/file_facts.h"
#include "proto/field_writer.h"
#include "proto/limits.h"
#include "server/core/job_options.h"
#include "server/core/replies.h"
#include "server/core/shares.h"
#include "server/core/turns.h"

namespace parcompute::server {
namespace {

// The answer to a tiny job is built without the heap.
constexpr std::size_t kReplyRoom = 2048;

// Of an incomplete array: what makes it whole.
std::string way_out(const Array& array) {
  if (array.writers.empty()) return fmt::format("write all of it anew, take it as it is with 'parcompute-client array accept {}', or remove it", array.label());
  return fmt::format("job {0} is to write it: wait for that with 'parcompute-client job wait {0}'", array.writers.rbegin()->value);
}

}  // namespace

Result<Array*> find_array(State& state, const Session& session, const wire::ArrayRef& reference, Right right) {
  const bool by_name = reference.which_case() == wire::ArrayRef::kName;
  const auto called = [&] { return by_name ? fmt::format("'{}'", clip_utf8(reference.name(), kMaxNameBytes)) : fmt::format("number {}", reference.id()); };
  Array* array = by_name ? state.arrays.find(reference.name()) : state.arrays.find(ArrayId{reference.id()});
  if (array == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("there is no array {}: 'parcompute-client array list' shows those there are", called()));
  if (auto ok = check_right(state, session, *array, right); !ok) return fail(ok.error());
  array->was_lent = array->was_lent || !may_do_all(state, session, array->owner_uid);
  return array;
}

Result<JobControl::Used> JobControl::find_used(const Session& session, const wire::ArrayRef& reference, Right right) {
  const auto array = find_array(state_, session, reference, right);
  if (!array) return fail(array.error());
  if ((*array)->length_is_open)
    return fail(ErrorCode::kBadData, fmt::format("array '{}' is being made, and how long it is shows at the end: wait for job {}", (*array)->label(),
                                                 (*array)->writers.begin()->value));
  if (auto as_attached = check_file(**array); !as_attached) return fail(as_attached.error());
  Used used{*array, (*array)->spec, true};
  if (!reference.has_view()) return used;
  auto view = from_wire(reference.view());
  if (view)
    if (auto inside = check_spec(*view, (*array)->data_bytes); !inside) view = fail(inside.error());
  if (!view) return fail(view.error().code, fmt::format("a view of '{}' ({}): {}", (*array)->label(), format_spec((*array)->spec), view.error().message));
  if (view->dtype != (*array)->spec.dtype)
    return fail(ErrorCode::kInvalidArgument, fmt::format("a view of '{}' ({}) has the same dtype, not {}", (*array)->label(), format_spec((*array)->spec), name(view->dtype)));
  used.is_whole = *view == (*array)->spec;
  used.view = *std::move(view);
  return used;
}

// What lies behind the end of a file that was cut short reads as zeros, up to the end of its last page. Workers look again.
Result<void> JobControl::check_file(const Array& array) {
  if (!array.is_file()) return {};
  const auto size = effects_.file_size(array.segment);
  if (!size) return fail(size.error());
  const std::uint64_t needed = array.data_offset + array.data_bytes;
  if (*size < needed) return fail(shortened_file(array.name.empty() ? fmt::format("'{}'", array.path) : fmt::format("'{}', the file of array '{}',", array.path, array.name), needed, *size));
  return {};
}

Result<std::vector<JobControl::Used>> JobControl::find_inputs(const Session& session, const wire::SubmitJob& message) {
  if (message.inputs_size() > static_cast<int>(kMaxInputs))
    return fail(ErrorCode::kInvalidArgument, fmt::format("a job has at most {} operands, not {}", kMaxInputs, message.inputs_size()));
  std::vector<Used> inputs;
  for (const wire::ArrayRef& reference : message.inputs()) {
    auto used = find_used(session, reference, Right::kRead);
    if (!used) return fail(used.error());
    if (used->array->state == ArrayState::kIncomplete)
      return fail(ErrorCode::kBadData, fmt::format("array '{}' is incomplete: the job that was writing it was cancelled, failed, or was cut off when its server ended; {}",
                                                   used->array->label(), way_out(*used->array)));
    inputs.push_back(*std::move(used));
  }
  return inputs;
}

Result<std::optional<JobControl::Used>> JobControl::find_output(const Session& session, const wire::SubmitJob& message) {
  if (message.output_case() != wire::SubmitJob::kExistingOutput) return std::nullopt;
  auto used = find_used(session, message.existing_output(), Right::kWrite);
  if (!used) return fail(used.error());
  if (!used->array->writable)
    return fail(ErrorCode::kNotPermitted, fmt::format("array '{}' is read-only: attach it writable, or choose another output", used->array->label()));
  return *std::move(used);
}

Result<JobId> JobControl::submit(Session& session, std::uint64_t request, const wire::SubmitJob& message) {
  if (state_.stopping) return fail(ErrorCode::kNoServer, "the server is stopping and takes no new jobs");
  if (const auto hopeless = state_.births.hopeless()) return fail(*hopeless);
  if (state_.jobs.live().size() >= kMaxLiveJobs)
    return fail(ErrorCode::kOverBudget, fmt::format("{} jobs are waiting or running, the most there may be: wait for some to end", kMaxLiveJobs));
  if (auto ok = check_job_share(state_, session.uid); !ok) return fail(ok.error());
  if (auto ok = check_waits_share(state_, session.uid); !ok) return fail(ok.error());
  if (const std::size_t bytes = message.operation().ByteSizeLong(); bytes > kMaxOperationBytes)
    return fail(ErrorCode::kInvalidArgument, fmt::format("the operation's message has {} bytes; at most {} are allowed", bytes, kMaxOperationBytes));

  Job job;
  if (auto taken = take_options(state_, session, message, job); !taken) return fail(taken.error());
  const auto inputs = find_inputs(session, message);
  if (!inputs) return fail(inputs.error());
  const auto existing = find_output(session, message);
  if (!existing) return fail(existing.error());
  std::vector<OperandInfo> operands;
  for (const Used& input : *inputs) operands.push_back(input.operand());
  const auto into = *existing ? std::optional((*existing)->operand()) : std::nullopt;
  auto plan = plans_.plan(message.operation(), operands, into ? &*into : nullptr);
  if (!plan) return fail(plan.error());

  job.plan = std::move(*plan);
  job.session = session.id;
  job.summary.operation = operation_word(message.operation());
  if (message.operation().has_evaluate()) job.summary.expression = message.operation().evaluate().expression();
  job.summary.owner_uid = session.uid;
  job.summary.bytes_read = job.plan.bytes_read;
  job.summary.bytes_written = job.plan.bytes_written;
  job.summary.scalar_dtype = job.plan.scalar;
  if (auto made = make_memory(session, message, *existing, job); !made) return fail(made.error());

  Job& added = state_.jobs.add(std::move(job));
  dispatcher_.admit(added);
  hold_arrays(added, *inputs);
  describe_to_workers(added, message.operation(), *inputs, *existing);
  const JobId id = added.id();
  if (!message.detach()) {
    added.waiters.push_back({session.id, request});
    ++session.pending_waits;
    session.jobs.insert(id);
  }
  if (added.waits_for.empty()) start_or_cancel(added);
  return id;
}

void JobControl::hold_arrays(Job& job, const std::vector<Used>& inputs) {
  for (const Used& input : inputs) {
    arrays_.add_user(*input.array);
    job.inputs.push_back({input.array->id, input.view});
    job.segments.push_back(input.array->segment);
  }
  if (job.summary.output) arrays_.add_user(state_.arrays.get(job.summary.output));
  std::sort(job.segments.begin(), job.segments.end());
  job.segments.erase(std::unique(job.segments.begin(), job.segments.end()), job.segments.end());
  job.waits_for.insert(job.after.begin(), job.after.end());
  job.makers.insert(job.after.begin(), job.after.end());
  take_turns(state_, job);
  job.waits = job.waits_for.size();
  state_.waits += job.waits;
  state_.waits_of.add(job.summary.owner_uid, job.waits);
}

void JobControl::leave_arrays(Job& job) {
  leave_turns(state_, job);
  for (const UsedView& input : job.inputs) arrays_.drop_user(state_.arrays.get(input.array));
}

// The output array and the scratch area, with the phases that follow from their sizes.
Result<void> JobControl::make_memory(Session& session, const wire::SubmitJob& message, const std::optional<Used>& existing, Job& job) {
  const std::string& operation = job.summary.operation;
  const bool is_asked_for = message.output_case() != wire::SubmitJob::OUTPUT_NOT_SET;
  if (is_asked_for && !job.plan.output)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} makes no array: leave its output away", operation));
  const bool wants_output = is_asked_for || (job.plan.output && !job.plan.scalar);

  const std::uint64_t output_bytes = wants_output && !existing ? byte_count(*job.plan.output) : 0;
  const std::uint64_t scratch_bytes = job.plan.scratch_bytes;
  job.reserve_blocks = reserve_blocks(output_bytes, scratch_bytes);
  const bool reserve_now = job.reserve_blocks.all() == 0;

  if (existing) {
    job.writes_existing = job.summary.output_existed = true;
    // No two of a view's elements lie in the same place: as many as fill the memory are all of it.
    job.writes_all = existing->is_whole || byte_count(existing->view) == existing->array->data_bytes;
    job.summary.output = existing->array->id;
    job.output_view = existing->view;
    job.segments.push_back(existing->array->segment);
  } else if (wants_output) {
    const std::string& name = message.output_name();
    const bool anonymous = message.output_case() != wire::SubmitJob::kOutputName;
    if (!anonymous) {
      if (auto ok = check_new_array_name(name); !ok) return ok;
      if (auto ok = check_free(state_, session, name); !ok) return ok;
    } else if (message.detach()) {
      return fail(ErrorCode::kInvalidArgument, "a detached job's output needs a name: an anonymous array goes with its session");
    }
    auto output = arrays_.make_array({*job.plan.output, anonymous ? "" : name, session.uid, anonymous ? session.id : SessionId{}, job.plan.output_is_zeroed},
                                     reserve_now);
    if (!output) return fail(output.error());
    if (!output->has_pages) job.promised_bytes += output_bytes;
    if (anonymous) session.arrays.insert(output->array->id);
    output->array->length_is_open = job.plan.answers_length;
    job.summary.output = output->array->id;
    job.segments.push_back(output->array->segment);
  }
  if (scratch_bytes > 0) {
    auto scratch = arrays_.make_scratch(session.uid, scratch_bytes, reserve_now);
    if (!scratch) {
      state_.memory.settle(job.promised_bytes, job.promised_bytes);
      if (job.summary.output && !existing) arrays_.remove(state_.arrays.get(job.summary.output));
      return fail(scratch.error());
    }
    if (!scratch->has_pages) job.promised_bytes += scratch_bytes;
    job.segments.push_back(scratch->segment.id);
    job.scratch = std::move(*scratch);
  }

  job.phase_blocks.push_back(job.promised_bytes > 0 ? job.reserve_blocks.all() : 0);
  for (const Phase& phase : job.plan.phases) job.phase_blocks.push_back(phase.blocks);
  // To people a job is its operation's blocks; making room for them counts where there is nothing else to do.
  job.counts_from = job.plan.phases.empty() ? 0 : 1;
  for (std::size_t phase = job.counts_from; phase < job.phase_blocks.size(); ++phase) job.summary.blocks_total += job.phase_blocks[phase];
  return {};
}

void JobControl::describe_to_workers(Job& job, const wire::Operation& operation, const std::vector<Used>& inputs, const std::optional<Used>& existing) {
  using D = wire::JobDescription;
  std::string& description = job.description;
  description.reserve(256);
  append_number_field(D::kJobFieldNumber, job.id().value, description);
  append_bytes_field(D::kOperationFieldNumber, operation.SerializeAsString(), {}, description);
  for (const Used& input : inputs) append_bytes_field(D::kInputsFieldNumber, input.is_whole ? input.array->operand : input.array->operand_of(input.view), {}, description);
  if (job.summary.output) {
    std::string writable;
    append_number_field(wire::Operand::kWritableFieldNumber, true, writable);
    const Array& output = state_.arrays.get(job.summary.output);
    append_bytes_field(D::kOutputsFieldNumber, existing && !existing->is_whole ? output.operand_of(existing->view) : output.operand, writable, description);
    if (existing) append_number_field(D::kOutputExistsFieldNumber, true, description);
  }
  if (job.scratch) {
    using O = wire::Operand;
    std::string scratch;
    append_number_field(O::kSegmentFieldNumber, job.scratch->segment.id.value, scratch);
    append_number_field(O::kDataOffsetFieldNumber, job.scratch->data_offset, scratch);
    append_number_field(O::kDataBytesFieldNumber, job.plan.scratch_bytes, scratch);
    append_number_field(O::kWritableFieldNumber, true, scratch);
    append_bytes_field(O::kLabelFieldNumber, "the job's scratch area", {}, scratch);
    append_bytes_field(D::kScratchFieldNumber, scratch, {}, description);
  }
}

void JobControl::start_or_cancel(Job& job) {
  const Array* cut = incomplete_input(job);
  if (cut == nullptr) return start(job);
  cancel(job, fmt::format(": array '{0}' is incomplete still, for a part of it alone was written ('parcompute-client array accept {0}' takes it as it is)", cut->label()));
}

void JobControl::start(Job& job) {
  kJobLife.apply(job.summary.state, JobEvent::kStart);
  job.summary.started = effects_.now();
  if (job.summary.time_limit.count() > 0) {
    const Instant deadline = job.summary.started + job.summary.time_limit;
    state_.deadlines.insert({deadline, job.id()});
    state_.alarm.ring_by(deadline, effects_);
  }
  enter_phase(job, 0);
}

void JobControl::begin_writing(Job& job) {
  if (!job.writes_existing || job.has_begun_writing) return;
  Array& output = state_.arrays.get(job.summary.output);
  job.has_begun_writing = true;
  // Another job may be writing another part of it.
  if (output.writing++ > 0) return;
  output.is_cut = output.state == ArrayState::kIncomplete;
  arrays_.mark_writing(output);
}

void JobControl::enter_phase(Job& job, std::size_t phase) {
  while (phase < job.phase_blocks.size() && job.phase_blocks[phase] == 0) ++phase;
  if (phase > 0) state_.memory.settle(job.promised_bytes, job.promised_bytes);
  if (phase >= job.writing_phase()) begin_writing(job);
  if (phase == job.phase_blocks.size()) {
    kJobLife.apply(job.summary.state, JobEvent::kLastPhaseDone);
    return end(job);
  }
  job.phase = phase;
  const std::array areas{phase == 0 ? job.reserve_blocks.output : job.phase_blocks[phase], phase == 0 ? job.reserve_blocks.scratch : 0};
  job.fresh = FreshBlocks(areas, state_.placement.node_workers);
  job.phase_blocks_done = 0;
  job.block_ns = phase == 0 ? kReserveBlockNs : job.plan.phases[phase - 1].block_ns;
  // What takes the place of memory that is still being given back comes after it: both at once are more than there may be.
  const MemoryLedger& memory = state_.memory;
  if (phase == 0 && !memory.fits() && memory.bytes(MemoryState::kFreeing) > 0) return dispatcher_.wait_for_memory(job);
  dispatcher_.enqueue(job);
}

void JobControl::settle(Job& job) {
  if (job.state() == JobState::kRunning) return enter_phase(job, job.phase + 1);
  kJobLife.apply(job.summary.state, JobEvent::kDrained);
  end(job);
}

void JobControl::cancel(Job& job, std::string_view why) {
  if (has_ended(job.state())) return;
  if (!job.summary.error) job.summary.error = Error{ErrorCode::kCancelled, fmt::format("job {} ({}) was cancelled{}", job.id().value, job.summary.operation, why), 0};
  kJobLife.apply(job.summary.state, JobEvent::kCancel);
  if (job.leases == 0) settle(job);
}

void JobControl::cancel_overdue() {
  auto& deadlines = state_.deadlines;
  while (!deadlines.empty() && deadlines.begin()->first <= effects_.now()) {
    Job& job = *state_.jobs.find(deadlines.begin()->second);
    deadlines.erase(deadlines.begin());
    cancel(job, fmt::format(": it had run for its time limit of {} s", std::chrono::duration<double>(job.summary.time_limit).count()));
  }
  if (!deadlines.empty()) state_.alarm.ring_by(deadlines.begin()->first, effects_);
}

// Later ones first: they wait for earlier ones, never the other way round, and shall end for this reason and not for theirs.
void JobControl::fail_all(const Error& why) {
  std::vector<JobId> live;
  for (const auto& [id, job] : state_.jobs.live()) live.push_back(id);
  std::reverse(live.begin(), live.end());
  for (const JobId id : live) {
    Job* job = state_.jobs.find(id);
    if (job == nullptr) continue;
    if (!job->summary.error)
      job->summary.error = Error{why.code, fmt::format("job {} ({}) could not go on: {}", id.value, job->summary.operation, why.message), why.system_errno};
    kJobLife.apply(job->summary.state, JobEvent::kChunkFailed);
    if (job->leases == 0) settle(*job);
  }
}

void JobControl::end(Job& job) {
  JobSummary& summary = job.summary;
  summary.ended = effects_.now();
  state_.deadlines.erase({summary.started + summary.time_limit, job.id()});
  if (summary.started == Instant{}) summary.started = summary.ended;
  if (summary.state != JobState::kDone) summary.scalar_dtype.reset();
  state_.memory.settle(job.promised_bytes, job.promised_bytes);
  if (job.scratch) arrays_.drop_scratch(std::move(*job.scratch), summary.owner_uid);
  leave_arrays(job);
  if (summary.output) end_output(job);
  if (const auto session = state_.sessions.find(job.session); session != state_.sessions.end()) session->second.jobs.erase(job.id());
  for (const JobId before : job.waits_for)  // ended before it began
    if (Job* other = state_.jobs.find(before)) other->wanted_by.erase(job.id());
  for (const Waiter waiter : job.waiters) reply_ended(waiter, summary);
  if (summary.output) {
    const ArrayId output = summary.output;
    arrays_.drop_user(state_.arrays.get(output));
  }

  state_.waits -= job.waits;
  state_.waits_of.remove(summary.owner_uid, job.waits);

  const JobId id = job.id();
  dispatcher_.forget(job);
  if (job.waits_for_memory) std::erase(state_.waiting_for_memory, id);
  for (const JobId waiting : job.wanted_by) freed_.push_back({waiting, id, summary.state == JobState::kDone});
  state_.jobs.end(id);
  free_waiting_jobs();
}

// What becomes of the output. Of one that failed nobody could tell which of its blocks were written.
void JobControl::end_output(Job& job) {
  Array& output = state_.arrays.get(job.summary.output);
  const bool done = job.summary.state == JobState::kDone;
  if (!job.writes_existing) {
    if (!done) return arrays_.remove(output);
    if (job.plan.answers_length) {
      arrays_.shorten(output, job.answered_length());
      job.summary.bytes_written -= byte_count(*job.plan.output) - output.data_bytes;  // planned at its longest
    }
    return arrays_.mark_whole(output);
  }
  // It may be another job that is writing it.
  if (!job.has_begun_writing) return;
  if (done && job.writes_all) output.is_cut = false;
  if (!done && job.may_have_written()) output.is_cut = true;
  if (--output.writing > 0) return;
  output.is_cut ? arrays_.mark_incomplete(output) : arrays_.mark_whole(output);
}

// It was being written when the job was submitted; the one that wrote it may have mended a part of it alone.
const Array* JobControl::incomplete_input(const Job& job) const {
  for (const UsedView& input : job.inputs)
    if (const Array& array = state_.arrays.get(input.array); array.is_incomplete()) return &array;
  return nullptr;
}

// In a loop, not by recursion: each job that this starts or cancels may end at once and free others, as long a chain of
// them as there are jobs.
void JobControl::free_waiting_jobs() {
  if (freeing_) return;
  freeing_ = true;
  while (!freed_.empty()) {
    const Freed freed = freed_.front();
    freed_.pop_front();
    Job* waiting = state_.jobs.find(freed.waiting);
    if (waiting == nullptr) continue;
    if (waiting->waits_for.erase(freed.other) > 0) {
      --waiting->waits;
      --state_.waits;
      state_.waits_of.remove(waiting->summary.owner_uid);
    }
    if (!freed.other_is_done && waiting->makers.contains(freed.other)) {
      const bool is_after = std::find(waiting->after.begin(), waiting->after.end(), freed.other) != waiting->after.end();
      cancel(*waiting, fmt::format(": job {}, which {}, did not succeed", freed.other.value, is_after ? "it was to come after" : "was making one of its operands"));
    } else if (waiting->waits_for.empty() && waiting->state() == JobState::kQueued) {
      start_or_cancel(*waiting);
    }
  }
  freeing_ = false;
}

void JobControl::wait(Session& session, std::uint64_t request, JobId id) {
  ++session.pending_waits;
  if (Job* job = state_.jobs.find(id)) {
    job->waiters.push_back({session.id, request});
    return;
  }
  reply_ended({session.id, request}, *state_.jobs.find_summary(id));
}

void JobControl::reply_ended(Waiter waiter, const JobSummary& job) {
  const auto session = state_.sessions.find(waiter.session);
  if (session == state_.sessions.end()) return;
  --session->second.pending_waits;
  std::array<char, kReplyRoom> room;
  google::protobuf::ArenaOptions arena_options;
  arena_options.initial_block = room.data();
  arena_options.initial_block_size = room.size();
  google::protobuf::Arena arena(arena_options);
  wire::Reply& reply = *google::protobuf::Arena::CreateMessage<wire::Reply>(&arena);
  reply.set_request_id(waiter.request);
  wire::JobEnded& ended = *reply.mutable_job_ended();
  describe(job, effects_.now(), *ended.mutable_job());
  if (job.certificate) describe(*job.certificate, *ended.mutable_job()->mutable_certificate());
  HandedSegment handed;  // whoever may ask for a job may do all with what it made
  if (job.state == JobState::kDone) {
    if (job.scalar_dtype) {
      ended.set_scalar(job.scalar.data(), itemsize(*job.scalar_dtype));
      ended.set_scalar_dtype(static_cast<std::uint32_t>(*job.scalar_dtype));
    }
    // It may be gone again by the time that somebody asks for an ended job.
    if (const Array* output = job.output ? state_.arrays.find(job.output) : nullptr; output != nullptr && !job.output_existed) {
      describe(*output, *ended.mutable_output());
      handed = {output->segment, true};
    }
  }
  effects_.reply(waiter.session, reply, handed);
}

}  // namespace parcompute::server
