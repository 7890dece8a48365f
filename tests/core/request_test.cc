// The table of requests: who may say what, when, and with how many descriptors.
#include <set>

#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

using RequestTest = CoreTest;

TEST_F(RequestTest, EveryMessageHasOneRow) {
  std::set<wire::Request::BodyCase> seen;
  for (const Requests::Row& row : Requests::table()) EXPECT_TRUE(seen.insert(row.body).second) << row.name;
  for (int number = wire::Request::kHello; number <= wire::Request::kAcceptArray; ++number)
    EXPECT_TRUE(seen.contains(static_cast<wire::Request::BodyCase>(number))) << number;
}

TEST_F(RequestTest, NothingComesBeforeHello) {
  start(1);
  const SessionId session{77};
  core->on_session_opened(session, 1, kOwner);
  wire::Request status;
  status.mutable_get_status();
  EXPECT_EQ(ask(session, status).failed().code(), static_cast<std::uint32_t>(ErrorCode::kInvalidArgument));
}

TEST_F(RequestTest, HelloComesWithinFiveSecondsOrNeverMore) {
  start(1);
  const SessionId greeted = open_session(), mute{78};
  core->on_second();
  EXPECT_FALSE(effects.watches);
  core->on_session_opened(mute, 1, kOwner);
  EXPECT_TRUE(effects.watches);
  for (int second = 1; second < 5; ++second) core->on_second();
  EXPECT_TRUE(effects.replies.empty());
  core->on_second();
  ASSERT_EQ(effects.replies.size(), 1u);
  EXPECT_EQ(effects.replies.front().session, mute);
  EXPECT_EQ(effects.take_reply().failed().code(), static_cast<std::uint32_t>(ErrorCode::kTimeout));
  EXPECT_EQ(Recorder::take(effects.dropped_sessions), std::vector{mute});
  core->on_second();
  EXPECT_TRUE(effects.replies.empty()) << "once is enough";
  core->on_session_closed(mute);
  core->on_second();
  EXPECT_FALSE(effects.watches);
  EXPECT_TRUE(core->state().sessions.contains(greeted)) << "it may be silent now";
}

TEST_F(RequestTest, HelloComesOnce) {
  start(1);
  const SessionId session = open_session();
  wire::Request hello;
  hello.mutable_hello()->set_max_version(kWireVersion);
  EXPECT_TRUE(ask(session, hello).has_failed());
}

TEST_F(RequestTest, AVersionOutOfRangeNamesTheSideToUpgrade) {
  start(1);
  const auto refusal = [&](std::uint32_t min, std::uint32_t max) {
    const SessionId session{++last_session};
    core->on_session_opened(session, 1, kOwner);
    wire::Request hello;
    hello.mutable_hello()->set_min_version(min);
    hello.mutable_hello()->set_max_version(max);
    const wire::Reply reply = ask(session, hello);
    EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(ErrorCode::kProtocolVersion));
    return reply.failed().message();
  };
  EXPECT_NE(refusal(kWireVersion + 1, kWireVersion + 5).find("upgrade the server"), std::string::npos);
  EXPECT_NE(refusal(0, kMinWireVersion - 1).find("upgrade the client"), std::string::npos);
}

TEST_F(RequestTest, DescriptorsThatWereNotAskedForAreDropped) {
  start(1);
  const SessionId session = open_session();
  effects.segments[SegmentId{500}] = {};
  const ReceivedFile file{SegmentId{500}, true, true, true, 100};
  wire::Request status;
  status.mutable_get_status();
  EXPECT_TRUE(ask(session, status, std::span(&file, 1)).has_failed());
  EXPECT_TRUE(effects.dropped.contains(SegmentId{500}));
}

TEST_F(RequestTest, AttachedFilesAreCheckedAgainstTheirSize) {
  start(1);
  const SessionId session = open_session();
  const auto attach = [&](const ReceivedFile& file, bool writable, std::uint64_t offset) {
    effects.segments[file.segment] = {};
    wire::Request request;
    wire::AttachArray& message = *request.mutable_attach_array();
    message.set_name(fmt::format("f{}", file.segment.value));
    message.set_path("/some/file.npy");
    message.set_writable(writable);
    message.set_data_offset(offset);
    to_wire(*make_spec(DType::kFloat64, {100}), *message.mutable_spec());
    const wire::Reply reply = ask(session, request, std::span(&file, 1));
    EXPECT_EQ(reply.has_failed(), effects.dropped.contains(file.segment));
    return reply.failed().code();
  };
  const auto code = [](ErrorCode value) { return static_cast<std::uint32_t>(value); };
  EXPECT_EQ(attach({SegmentId{501}, true, true, false, 928}, false, 128), 0u);
  EXPECT_EQ(attach({SegmentId{502}, true, true, false, 927}, false, 128), code(ErrorCode::kInvalidArgument));
  EXPECT_EQ(attach({SegmentId{503}, true, true, false, 100}, false, 128), code(ErrorCode::kBadData));
  EXPECT_EQ(attach({SegmentId{504}, true, true, false, 928}, true, 128), code(ErrorCode::kNotPermitted));
  EXPECT_EQ(attach({SegmentId{505}, false, true, true, 928}, true, 128), code(ErrorCode::kBadData));
  EXPECT_EQ(attach({SegmentId{506}, true, false, false, 928}, false, 128), code(ErrorCode::kBadData));
}

TEST_F(RequestTest, FilesThatMayBeWrittenAreAligned) {
  start(1);
  const SessionId session = open_session();
  std::uint64_t number = 600;
  const auto refusal = [&](DType dtype, std::uint64_t data_offset, std::uint64_t offset, bool writable) {
    const ReceivedFile file{SegmentId{++number}, true, true, true, 4096, {number, number}};
    effects.segments[file.segment] = {};
    wire::Request request;
    wire::AttachArray& message = *request.mutable_attach_array();
    message.set_path("/some/file.npy");
    message.set_writable(writable);
    message.set_data_offset(data_offset);
    ArraySpec spec = *make_spec(dtype, {100});
    spec.offset = offset;
    to_wire(spec, *message.mutable_spec());
    return ask(session, request, std::span(&file, 1)).failed().message();
  };
  EXPECT_EQ(refusal(DType::kFloat64, 128, 16, true), "");
  EXPECT_EQ(refusal(DType::kComplex128, 8, 8, true), "");
  EXPECT_EQ(refusal(DType::kUint8, 81, 3, true), "");
  EXPECT_EQ(refusal(DType::kFloat64, 81, 0, true),
            "'/some/file.npy' cannot be attached writable: its data begin at byte 81, which is not aligned for float64; import it instead, which copies them");
  // The views of such an array would begin anywhere.
  EXPECT_NE(refusal(DType::kFloat64, 81, 7, true), "");
  // What is written there is stored byte by byte.
  EXPECT_EQ(refusal(DType::kFloat64, 128, 4, true), "");
  // Importing reads from where the data are.
  EXPECT_EQ(refusal(DType::kFloat64, 81, 0, false), "");
}

TEST_F(RequestTest, NamesThatMeanFilesOrNothingAreRefused) {
  start(1);
  const SessionId session = open_session();
  for (const char* name : {"a/b", "a.npy", "a\nb", "\x7f"})
    EXPECT_EQ(ask(session, zeros(name, {1})).failed().code(), static_cast<std::uint32_t>(ErrorCode::kInvalidArgument)) << name;
  EXPECT_TRUE(ask(session, zeros(std::string(200, 'x'), {1})).has_job_ended());
  EXPECT_TRUE(ask(session, zeros(std::string(201, 'x'), {1})).has_failed());
  EXPECT_TRUE(ask(session, zeros("ünïcödé name", {1})).has_job_ended());
}

TEST_F(RequestTest, AnUnknownOperationIsRefusedByName) {
  start(1);
  const SessionId session = open_session();
  wire::Request request;
  request.mutable_submit_job()->mutable_operation();
  EXPECT_EQ(ask(session, request).failed().code(), static_cast<std::uint32_t>(ErrorCode::kUnsupported));
}

TEST_F(RequestTest, ManyWorkersComeInPages) {
  constexpr unsigned kWorkers = 5000;
  start(kWorkers);
  const SessionId session = open_session();
  std::uint32_t seen = 0;
  bool more = true;
  while (more) {
    wire::Request request;
    request.mutable_get_status()->set_first_worker(seen);
    const wire::Reply reply = ask(session, request);
    ASSERT_LE(reply.ByteSizeLong(), kMaxPacketBytes);
    ASSERT_GT(reply.status_reported().workers_size(), 0);
    for (const wire::WorkerInfo& worker : reply.status_reported().workers()) EXPECT_EQ(worker.index(), seen++);
    more = reply.status_reported().more();
  }
  EXPECT_EQ(seen, kWorkers);
}

TEST_F(RequestTest, ALongListOfArraysComesInPages) {
  start(1);
  const SessionId session = open_session();
  constexpr std::size_t kArrays = 2000;
  for (std::size_t i = 0; i < kArrays; ++i) ask(session, zeros(fmt::format("array number {}", i), {1}));
  std::size_t seen = 0;
  std::uint64_t after = 0;
  bool more = true;
  while (more) {
    wire::Request list;
    list.mutable_list_arrays()->set_after_id(after);
    const wire::Reply reply = ask(session, list);
    EXPECT_LE(reply.ByteSizeLong(), kMaxPacketBytes);
    more = reply.arrays_listed().more();
    for (const auto& array : reply.arrays_listed().arrays()) {
      EXPECT_GT(array.id(), after);
      after = array.id();
      ++seen;
    }
  }
  EXPECT_EQ(seen, kArrays);
}

TEST_F(RequestTest, TheListOfJobsIsNewestFirstAndFitsAPacket) {
  start(1);
  const SessionId session = open_session();
  for (int i = 0; i < 900; ++i) ask(session, zeros("", {1}));
  wire::Request list;
  list.mutable_list_jobs();
  const wire::Reply reply = ask(session, list);
  EXPECT_LE(reply.ByteSizeLong(), kMaxPacketBytes);
  std::uint64_t before = 901;
  for (const auto& job : reply.jobs_listed().jobs()) {
    EXPECT_EQ(job.id(), --before);
  }
}

TEST_F(RequestTest, AJobIsShownWithItsExpressionWhileItRunsAndAfterItsEnd) {
  start(1);
  const SessionId session = open_session();
  send(session, arange("a", {10}));
  complete_everything();
  const std::uint64_t made = effects.take_reply().job_ended().job().id();
  send(session, sum("a"));
  wire::Request list;
  list.mutable_list_jobs();
  const auto expressions = [&] {
    std::vector<std::string> all;
    const wire::Reply reply = ask(session, list);
    for (const auto& job : reply.jobs_listed().jobs()) all.push_back(job.expression());
    return all;
  };
  EXPECT_EQ(expressions(), (std::vector<std::string>{"sum(a)", ""}));
  complete_everything();
  const wire::Reply ended = effects.take_reply();
  EXPECT_EQ(ended.job_ended().job().state(), wire::JobInfo::DONE);
  EXPECT_EQ(ended.job_ended().job().expression(), "");  // its sender has it
  EXPECT_EQ(expressions(), (std::vector<std::string>{"sum(a)", ""}));
  wire::Request show;
  show.mutable_get_job()->mutable_job()->set_id(ended.job_ended().job().id());
  EXPECT_EQ(ask(session, show).job_described().job().expression(), "sum(a)");
  show.mutable_get_job()->mutable_job()->set_id(made);
  EXPECT_EQ(ask(session, show).job_described().job().expression(), "");
}

}  // namespace
}  // namespace parcompute::server
