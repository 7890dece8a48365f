// Jobs from submission to end: memory, hazards, sessions that go.
#include "common/operation/reserve.h"
#include "proto/limits.h"
#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

using JobTest = CoreTest;

TEST_F(JobTest, ASmallArrayOfZerosNeedsNoWorker) {
  start(1);
  const SessionId session = open_session();
  const wire::Reply reply = ask(session, zeros("a", {8}));
  EXPECT_EQ(reply.job_ended().output().name(), "a");
  EXPECT_FALSE(reply.job_ended().output().incomplete());
  ASSERT_EQ(effects.segments.size(), 1u);
  EXPECT_TRUE(effects.segments.begin()->second.complete);
  EXPECT_EQ(effects.reserved.size(), 1u);
}

TEST_F(JobTest, ALargeArraysPagesAreReservedByWorkers) {
  start(1);
  const SessionId session = open_session();
  const std::uint64_t bytes = 5 * kReserveBlockBytes;
  send(session, zeros("a", {static_cast<std::int64_t>(bytes)}, DType::kUint8));
  ASSERT_FALSE(effects.work.empty());
  EXPECT_EQ(effects.work.front().chunks.front().phase, 0);
  EXPECT_EQ(core->state().memory.promised_bytes(), bytes);
  EXPECT_TRUE(effects.reserved.empty());
  EXPECT_FALSE(effects.segments.begin()->second.complete) << "a crash now leaves it marked";
  complete_everything();
  EXPECT_EQ(core->state().memory.promised_bytes(), 0u);
  EXPECT_TRUE(effects.segments.begin()->second.complete);
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(JobTest, WhatDoesNotFitIsRefusedWithTheFiguresAndLeavesNothing) {
  start(1, 1 << 20);
  const SessionId session = open_session();
  const wire::Reply reply = ask(session, zeros("a", {1 << 20}));
  EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
  EXPECT_NE(reply.failed().message().find("8.0 MiB"), std::string::npos) << reply.failed().message();
  EXPECT_NE(reply.failed().message().find("1.0 MiB"), std::string::npos) << reply.failed().message();
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 0u);
  EXPECT_TRUE(ask(session, zeros("a", {8})).has_job_ended()) << "the name is free";
}

TEST_F(JobTest, WhatHasPagesIsNoLongerPromised) {
  start(1);
  const SessionId session = open_session();
  wire::Request request = zeros("a", {static_cast<std::int64_t>(5 * kReserveBlockBytes)}, DType::kUint8);
  request.mutable_submit_job()->set_chunk_blocks(2);
  send(session, request);
  const auto packets = Recorder::take(effects.work);
  complete(packets.front());
  EXPECT_EQ(core->state().memory.promised_bytes(), 3 * kReserveBlockBytes);
  for (std::size_t i = 1; i < packets.size(); ++i) complete(packets[i]);
  complete_everything();
  EXPECT_EQ(core->state().memory.promised_bytes(), 0u);
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(JobTest, AnOperationWithMoreThanWorkersCanBeToldIsRefused) {
  start(1);
  wire::Request request = nop(1);
  request.mutable_submit_job()->mutable_operation()->mutable_fill()->set_value(std::string(kMaxOperationBytes, 'x'));
  const wire::Reply reply = ask(open_session(), request);
  EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(ErrorCode::kInvalidArgument));
}

TEST_F(JobTest, WhatIsPromisedIsNotPromisedTwice) {
  start(1);
  effects.shm_free = 100 << 20;
  const SessionId session = open_session();
  send(session, zeros("a", {60 << 20}, DType::kUint8));
  const wire::Reply refused = ask(session, zeros("b", {60 << 20}, DType::kUint8));
  EXPECT_EQ(refused.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
  complete_everything();
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(JobTest, ARemovedArrayGivesItsMemoryBack) {
  start(1);
  const SessionId session = open_session();
  ask(session, zeros("a", {1000}));
  EXPECT_GT(core->state().memory.bytes(MemoryState::kUsed), 8000u);
  EXPECT_TRUE(ask(session, remove("a")).has_done());
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 0u);
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_EQ(effects.dropped.begin()->second.name, SegmentName::kUnlink);
}

TEST_F(JobTest, AnArrayInUseGoesWithItsLastUser) {
  start(1);
  const SessionId session = open_session();
  ask(session, zeros("a", {1000}));
  send(session, sum("a"));
  EXPECT_TRUE(ask(session, remove("a")).has_done());
  EXPECT_EQ(effects.segments.size(), 1u) << "the job still reads it";
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().state(), wire::JobInfo::DONE);
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_EQ(effects.forgotten[0], std::vector<SegmentId>{effects.dropped.begin()->first});
}

TEST_F(JobTest, AReaderWaitsForTheJobThatMakesItsOperand) {
  start(1);
  const SessionId session = open_session();
  const std::uint64_t making = send(session, arange("a", {8}));
  const auto work = Recorder::take(effects.work);
  ASSERT_EQ(work.size(), 1u);
  const std::uint64_t reading = send(session, sum("a"));
  EXPECT_TRUE(effects.work.empty());
  complete(work[0]);
  const wire::Reply made = effects.take_reply();
  EXPECT_EQ(made.request_id(), making);
  complete_everything();
  const wire::Reply read = effects.take_reply();
  EXPECT_EQ(read.request_id(), reading);
  EXPECT_EQ(read.job_ended().job().state(), wire::JobInfo::DONE);
}

TEST_F(JobTest, AReaderOfAnArrayThatIsNeverMadeIsCancelled) {
  start(1);
  const SessionId session = open_session();
  const std::uint64_t making = send(session, arange("a", {8}));
  const std::uint64_t reading = send(session, sum("a"));
  wire::Request cancel;
  cancel.mutable_cancel_job()->mutable_job()->set_request(making);
  const wire::JobInfo ending = ask(session, cancel).job_described().job();
  EXPECT_EQ(ending.state(), wire::JobInfo::RUNNING) << "for clients that know no other word";
  EXPECT_EQ(ending.ending(), wire::JobInfo::CANCELLED);
  complete_everything();
  const auto replies = Recorder::take(effects.replies);
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].message.request_id(), making);
  EXPECT_EQ(replies[0].message.job_ended().job().state(), wire::JobInfo::CANCELLED);
  EXPECT_EQ(replies[0].message.job_ended().job().ending(), wire::JobInfo::UNSPECIFIED);
  EXPECT_EQ(replies[1].message.request_id(), reading);
  EXPECT_EQ(replies[1].message.job_ended().job().state(), wire::JobInfo::CANCELLED);
  EXPECT_TRUE(effects.segments.empty()) << "the array that was being made is gone";
  EXPECT_TRUE(ask(session, zeros("a", {8})).has_job_ended()) << "and its name is free";
}

TEST_F(JobTest, AChainOfWaitingJobsEndsWithoutRecursion) {
  start(1);
  const SessionId session = open_session();
  constexpr int kJobs = 3000;
  const std::uint64_t first = send(session, arange("a0", {8}));
  effects.work.clear();
  for (int i = 1; i < kJobs; ++i) {
    wire::Request next;
    wire::SubmitJob& submit = *next.mutable_submit_job();
    set_sum(*submit.mutable_operation());
    submit.add_inputs()->set_name(fmt::format("a{}", i - 1));
    submit.set_output_name(fmt::format("a{}", i));
    send(session, next);
  }
  wire::Request cancel;
  cancel.mutable_cancel_job()->mutable_job()->set_request(first);
  send(session, cancel);
  EXPECT_EQ(core->state().jobs.live().size(), static_cast<std::size_t>(kJobs)) << "a lease of the first is out";
  core->on_worker_lost(0, "was killed");
  effects.forked.clear();
  EXPECT_TRUE(core->state().jobs.live().empty());
  EXPECT_EQ(Recorder::take(effects.replies).size(), kJobs + 1u);
  EXPECT_TRUE(effects.segments.empty());
}

TEST_F(JobTest, AClosedSessionTakesItsJobsAndAnonymousArraysAlong) {
  start(1);
  const SessionId gone = open_session();
  ask(gone, zeros("", {8}));
  ask(gone, zeros("named", {8}));
  send(gone, nop(1000, 1));
  wire::Request detached = nop(1000, 1);
  detached.mutable_submit_job()->set_detach(true);
  EXPECT_TRUE(ask(gone, detached).has_job_submitted());
  core->on_session_closed(gone);
  EXPECT_EQ(effects.segments.size(), 1u) << "the named one stays";
  complete_everything();
  EXPECT_TRUE(core->state().jobs.live().empty());
  const auto& ended = core->state().jobs.ended();
  const auto state_of = [&](const char* name, bool is_detached) {
    for (const JobSummary& job : ended)
      if (job.operation == name && job.detached == is_detached) return job.state;
    return JobState::kQueued;
  };
  EXPECT_EQ(state_of("nop", false), JobState::kCancelled);
  EXPECT_EQ(state_of("nop", true), JobState::kDone);
}

TEST_F(JobTest, OtherUsersArraysAndJobsAreOutOfReach) {
  start(1);
  const SessionId alice = open_session(2001);
  const SessionId bob = open_session(2002);
  ask(alice, zeros("a", {8}));
  send(alice, nop(1));
  EXPECT_EQ(ask(bob, sum("a")).failed().code(), static_cast<std::uint32_t>(ErrorCode::kNotPermitted));
  EXPECT_EQ(ask(bob, remove("a")).failed().code(), static_cast<std::uint32_t>(ErrorCode::kNotPermitted));
  wire::Request stop;
  stop.mutable_stop();
  EXPECT_EQ(ask(bob, stop).failed().code(), static_cast<std::uint32_t>(ErrorCode::kNotPermitted));
  wire::Request list;
  list.mutable_list_arrays();
  EXPECT_EQ(ask(bob, list).arrays_listed().arrays_size(), 0);
  wire::Request cancel;
  cancel.mutable_cancel_job()->mutable_job()->set_id(2);
  EXPECT_EQ(ask(bob, cancel).failed().code(), static_cast<std::uint32_t>(ErrorCode::kNotPermitted));
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().state(), wire::JobInfo::DONE);
}

TEST_F(JobTest, WaitingTwiceGivesTheSameAnswerTwice) {
  start(1);
  const SessionId session = open_session();
  wire::Request detached = nop(1);
  detached.mutable_submit_job()->set_detach(true);
  const std::uint64_t id = ask(session, detached).job_submitted().job_id();
  wire::Request wait;
  wait.mutable_wait_job()->mutable_job()->set_id(id);
  send(session, wait);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().id(), id);
  EXPECT_EQ(ask(session, wait).job_ended().job().id(), id);
}

TEST_F(JobTest, EndedJobsAreForgottenInTheEnd) {
  start(1);
  const SessionId session = open_session();
  for (std::size_t i = 0; i < kMaxEndedJobs + 10; ++i) ask(session, zeros("", {1}));
  EXPECT_EQ(core->state().jobs.ended().size(), kMaxEndedJobs);
  wire::Request get;
  get.mutable_get_job()->mutable_job()->set_id(1);
  EXPECT_EQ(ask(session, get).failed().code(), static_cast<std::uint32_t>(ErrorCode::kNotFound));
}

TEST_F(JobTest, AWorkerForgetsTheSegmentsItDidNotUseForLongest) {
  start(1);
  const SessionId session = open_session();
  const std::size_t arrays = kMaxWorkerSegments + 8;
  for (std::size_t i = 0; i < arrays; ++i) {
    const std::string name = fmt::format("a{}", i);
    ask(session, zeros(name, {8}));
    send(session, sum(name));
    complete_everything();
    effects.take_reply();
  }
  EXPECT_EQ(effects.forgotten[0].size(), arrays - kMaxWorkerSegments);
  // The first one has to be sent again.
  send(session, sum("a0"));
  ASSERT_EQ(effects.work.size(), 1u);
  EXPECT_EQ(effects.work[0].new_segments.size(), 1u);
  complete_everything();
  effects.take_reply();
}

TEST_F(JobTest, AFailedScratchAreaTakesTheOutputBack) {
  start(1);
  const SessionId session = open_session();
  send(session, zeros("big", {1 << 20}, DType::kUint8));
  complete_everything();
  EXPECT_TRUE(effects.take_reply().has_job_ended());
  const auto before = core->state().memory.bytes(MemoryState::kUsed);
  effects.refuse_segments = Error{ErrorCode::kOverBudget, "no more", 0};
  wire::Request reduce = sum("big");
  reduce.mutable_submit_job()->set_output_name("out");
  EXPECT_EQ(ask(session, reduce).failed().message(), "no more");
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), before);
  effects.refuse_segments.reset();
  send(session, reduce);
  complete_everything();
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(JobTest, ShuttingDownKeepsNamedArraysAloneAndAnswersWhoWaits) {
  start(1);
  const SessionId session = open_session();
  ask(session, zeros("named", {8}));
  ask(session, zeros("", {8}));
  send(session, arange("half", {8}));
  effects.work.clear();
  core->shut_down();
  EXPECT_EQ(effects.take_reply().job_ended().job().state(), wire::JobInfo::CANCELLED);
  ASSERT_EQ(effects.segments.size(), 1u);
  EXPECT_EQ(effects.segments.begin()->second.name, "named");
}

TEST_F(JobTest, WhereAFailureEndsTheServerJobsTellIt) {
  start(1);
  const SessionId session = open_session();
  send(session, arange("half", {8}));
  effects.work.clear();
  const Error failure{ErrorCode::kSystem, "no worker starts", 0};
  core->shut_down(&failure);
  const auto reply = effects.take_reply();
  ASSERT_TRUE(reply.has_job_ended());
  EXPECT_NE(reply.job_ended().job().error().message().find("no worker starts"), std::string::npos) << reply.job_ended().job().error().message();
}

TEST_F(JobTest, ShuttingDownDropsEverythingWhereToldSo) {
  start(1);
  const SessionId session = open_session();
  ask(session, zeros("named", {8}));
  wire::Request stop;
  stop.mutable_stop()->set_drop_arrays(true);
  EXPECT_TRUE(ask(session, stop).has_done());
  EXPECT_TRUE(std::exchange(effects.stopped, false));
  core->shut_down();
  EXPECT_TRUE(effects.segments.empty());
}

TEST_F(JobTest, OfTwoSegmentsWithOneNameTheSecondGetsAnother) {
  start(1);
  SegmentHeader header;
  header.name = "twice";
  header.spec = *make_spec(DType::kFloat64, {8});
  header.owner_uid = kOwner;
  header.complete = true;
  header.data_offset = kSegmentHeaderBytes;
  header.data_bytes = 64;
  std::vector<CreatedSegment> segments;
  for (int i = 0; i < 4; ++i) segments.push_back(*effects.create_segment(header, true));
  EXPECT_EQ(core->adopt_array(header, segments[0]), "twice");
  EXPECT_EQ(core->adopt_array(header, segments[1]), "twice_2");
  EXPECT_EQ(core->adopt_array(header, segments[2]), "twice_3");
  EXPECT_EQ(effects.segments.at(segments[0].id).name, "twice");
  EXPECT_EQ(effects.segments.at(segments[2].id).name, "twice_3") << "the next server finds it by that";
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 3 * segment_memory(64));

  // A name that has no room for more is cut, between characters.
  header.name.clear();
  while (header.name.size() + 2 <= kMaxNameBytes) header.name += "\u00e9";
  effects.rewrite_header(segments[3].id, header);
  EXPECT_EQ(core->adopt_array(header, segments[3]), header.name);
  const std::string cut = core->adopt_array(header, *effects.create_segment(header, true));
  EXPECT_TRUE(check_array_name(cut)) << cut;
  EXPECT_EQ(cut, header.name.substr(0, kMaxNameBytes - 2) + "_2");
}

TEST_F(JobTest, AnIncompleteArrayCannotBeRead) {
  start(1);
  const SessionId session = open_session();
  SegmentHeader header;
  header.name = "cut";
  header.spec = *make_spec(DType::kFloat64, {8});
  header.owner_uid = kOwner;
  header.data_offset = kSegmentHeaderBytes;
  header.data_bytes = 64;
  const CreatedSegment segment = *effects.create_segment(header, true);
  core->adopt_array(header, segment);
  const wire::Reply reply = ask(session, sum("cut"));
  EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(ErrorCode::kBadData));
  EXPECT_NE(reply.failed().message().find("incomplete"), std::string::npos);
}

}  // namespace
}  // namespace parcompute::server
