// TurnsTest: jobs that share arrays, and what becomes of what they write.
#pragma once

#include "tests/core/core_fixture.h"

namespace parcompute::server {

class TurnsTest : public CoreTest {
 protected:
  void SetUp() override {
    start(1);
    session = open_session();
  }

  // `expression` over arrays by their names, into the array `output`.
  static wire::Request into(const std::string& output, const std::string& expression, const std::vector<std::string>& inputs) {
    wire::Request request;
    wire::SubmitJob& submit = *request.mutable_submit_job();
    wire::Evaluate& evaluate = *submit.mutable_operation()->mutable_evaluate();
    evaluate.set_expression(expression);
    for (const std::string& input : inputs) {
      evaluate.add_names(input);
      submit.add_inputs()->set_name(input);
    }
    submit.mutable_existing_output()->set_name(output);
    return request;
  }
  static wire::Request add_one(const std::string& name) { return into(name, name + " + 1.0", {name}); }
  // Its elements the other way round, which must all be read before the first is stored: two phases.
  static wire::Request reverse(const std::string& name, std::int64_t elements = 8) {
    wire::Request request = into(name, "x", {});
    wire::SubmitJob& submit = *request.mutable_submit_job();
    submit.mutable_operation()->mutable_evaluate()->add_names()->push_back('x');
    ArraySpec backwards = first(elements);
    backwards.offset = static_cast<std::uint64_t>(elements - 1) * sizeof(double);
    backwards.strides[0] = -backwards.strides[0];
    wire::ArrayRef& input = *submit.add_inputs();
    input.set_name(name);
    to_wire(backwards, *input.mutable_view());
    return request;
  }
  // 0.0, 1.0, ... into it, whatever it holds; without a scratch area.
  static wire::Request overwrite(const std::string& output, const Dims& shape = {8}) {
    wire::Request request = arange("", shape);
    request.mutable_submit_job()->mutable_existing_output()->set_name(output);
    return request;
  }
  // `count` elements of a float64 array, from `begin` on, each `step` further.
  static ArraySpec part(std::int64_t begin, std::int64_t count, std::int64_t step = 1) {
    ArraySpec view = *make_spec(DType::kFloat64, {count});
    view.offset = static_cast<std::uint64_t>(begin) * sizeof(double);
    view.strides[0] = step * static_cast<std::int64_t>(sizeof(double));
    return view;
  }
  static wire::Request overwrite_part(const std::string& output, const ArraySpec& view) {
    wire::Request request = overwrite(output, view.shape);
    to_wire(view, *request.mutable_submit_job()->mutable_existing_output()->mutable_view());
    return request;
  }
  static wire::Request sum_of_part(const std::string& name, const ArraySpec& view) {
    wire::Request request = sum(name);
    to_wire(view, *request.mutable_submit_job()->mutable_inputs(0)->mutable_view());
    return request;
  }
  // The first `count` elements of a float64 array.
  static ArraySpec first(std::int64_t count) { return *make_spec(DType::kFloat64, {count}); }

  void create(const std::string& name, std::int64_t elements = 8) {
    EXPECT_TRUE(ask(session, zeros(name, {elements})).has_job_ended());
  }
  // An array whose job was cut off by an earlier server's end.
  void adopt_incomplete(const std::string& name, std::int64_t elements = 8) {
    SegmentHeader header;
    header.name = name;
    header.spec = *make_spec(DType::kFloat64, {elements});
    header.owner_uid = kOwner;
    header.data_offset = kSegmentHeaderBytes;
    header.data_bytes = byte_count(header.spec);
    const CreatedSegment segment = *effects.create_segment(header, true);
    EXPECT_EQ(core->adopt_array(header, segment), name);
  }
  // A file of 8 float64.
  void attach(const std::string& name, bool writable) {
    const SegmentId file{++effects.last_segment};
    effects.segments[file] = {};
    wire::Request request;
    wire::AttachArray& message = *request.mutable_attach_array();
    message.set_name(name);
    message.set_writable(writable);
    to_wire(*make_spec(DType::kFloat64, {8}), *message.mutable_spec());
    const ReceivedFile received{file, true, true, true, 64, {1, file.value}};
    EXPECT_TRUE(ask(session, request, std::span(&received, 1)).has_array_found());
  }

  static wire::Request accept(const std::string& name) {
    wire::Request request;
    request.mutable_accept_array()->mutable_array()->set_name(name);
    return request;
  }

  // Detached, so that there is one reply at once; the job's id.
  JobId submit(wire::Request request) { return submit(session, std::move(request)); }
  JobId submit(SessionId by, wire::Request request) {
    request.mutable_submit_job()->set_detach(true);
    const wire::Reply reply = ask(by, request);
    EXPECT_TRUE(reply.has_job_submitted()) << reply.failed().message();
    return JobId{reply.job_submitted().job_id()};
  }
  void cancel(JobId id) {
    wire::Request request;
    request.mutable_cancel_job()->mutable_job()->set_id(id.value);
    EXPECT_TRUE(ask(session, request).has_job_described());
  }
  std::string refusal(const wire::Request& request, ErrorCode code) { return refusal(session, request, code); }
  std::string refusal(SessionId by, const wire::Request& request, ErrorCode code) {
    const wire::Reply reply = ask(by, request);
    EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(code)) << reply.failed().message();
    return reply.failed().message();
  }

  const JobSummary& job(JobId id) const { return *core->state().jobs.find_summary(id); }
  JobState state(JobId id) const { return job(id).state; }
  std::string why(JobId id) const { return job(id).error ? job(id).error->message : ""; }
  const Array& array(const std::string& name) const {
    for (const auto& [id, candidate] : core->state().arrays.all())
      if (candidate.name == name && !candidate.removed) return candidate;
    ADD_FAILURE() << "no array " << name;
    static const Array none;
    return none;
  }
  ArrayState state(const std::string& name) const { return array(name).state; }
  // What the next server would find.
  bool header_is_complete(const std::string& name) const { return effects.segments.at(array(name).segment).complete; }

  // The jobs whose chunks lie in workers' hands and were not seen before.
  std::vector<JobId> handed_out() const {
    std::vector<JobId> jobs;
    for (const Recorder::Work& packet : effects.work) jobs.push_back(JobId{packet.chunks.front().job});
    return jobs;
  }
  // Answers one packet.
  void step() {
    ASSERT_FALSE(effects.work.empty());
    const Recorder::Work packet = effects.work.front();
    effects.work.erase(effects.work.begin());
    complete(packet);
  }
  void step_through(JobId id) {
    while (state(id) == JobState::kRunning && !effects.work.empty()) step();
  }
  // The chunks of one packet fail, one after the other.
  void fail_step(const std::string& text) {
    ASSERT_FALSE(effects.work.empty());
    const Recorder::Work packet = effects.work.front();
    effects.work.erase(effects.work.begin());
    for (const ChunkDescriptor& chunk : packet.chunks) {
      ChunkCompletion completion{};
      completion.lease = chunk.lease;
      completion.error_code = static_cast<std::uint16_t>(ErrorCode::kComputationFailed);
      core->on_chunk_failed(packet.worker, completion, text);
    }
  }

  SessionId session;
};

}  // namespace parcompute::server
