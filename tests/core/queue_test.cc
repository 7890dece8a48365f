// Priorities, background jobs, dependencies, time limits, and what a job says of itself.
#include <limits>

#include "proto/limits.h"
#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::HasSubstr;

class QueueTest : public TurnsTest {
 protected:
  static constexpr uid_t kAlice = 1001, kBob = 1002;
  static constexpr std::uint64_t kEndless = std::uint64_t{1} << 47;

  static wire::Request with_priority(int priority, std::uint64_t blocks = kEndless) {
    wire::Request request = nop(blocks, 1);
    request.mutable_submit_job()->set_priority(priority);
    return request;
  }
  static wire::Request in_background(std::uint64_t blocks = kEndless) {
    wire::Request request = nop(blocks, 1);
    request.mutable_submit_job()->set_background(true);
    return request;
  }
  static wire::Request after(std::initializer_list<JobId> others, wire::Request request = nop(1)) {
    for (const JobId other : others) request.mutable_submit_job()->add_after(other.value);
    return request;
  }
  static wire::Request limited(double seconds, std::uint64_t blocks = kEndless) {
    wire::Request request = nop(blocks, 1);
    request.mutable_submit_job()->set_time_limit_seconds(seconds);
    return request;
  }
  wire::JobExplained explain(JobId id) { return explain(session, id); }
  wire::JobExplained explain(SessionId by, JobId id) {
    wire::Request request;
    request.mutable_explain_job()->mutable_job()->set_id(id.value);
    return ask(by, request).job_explained();
  }
  // The first packets are answered, each chunk after so long; how many chunks each job had.
  std::map<JobId, int> answer(int packets, std::uint64_t ns) {
    std::map<JobId, int> chunks;
    for (int i = 0; i < packets && !effects.work.empty(); ++i) {
      const Recorder::Work packet = effects.work.front();
      effects.work.erase(effects.work.begin());
      chunks[JobId{packet.chunks.front().job}] += static_cast<int>(packet.chunks.size());
      complete(packet, ns);
    }
    return chunks;
  }
  void pass(std::chrono::nanoseconds time) {
    effects.time += time;
    if (effects.wake_time && *effects.wake_time <= effects.time) {
      effects.wake_time.reset();
      core->on_wake();
    }
  }
  // Its worker answers nothing any more, and nobody expects it to.
  void forget_work() { effects.work.clear(); }
};

// ---- shares and priorities

TEST_F(QueueTest, AUserWithManyJobsHasNoMoreWorkersTimeThanOneWithOne) {
  const SessionId alice = open_session(kAlice), bob = open_session(kBob);
  std::vector<JobId> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(submit(alice, nop(kEndless, 1)));
  const JobId alone = submit(bob, nop(kEndless, 1));
  answer(30'000, 1'000'000);
  auto chunks = answer(60'000, 1'000'000);
  int all = 0;
  for (const auto& [id, count] : chunks) all += count;
  EXPECT_NEAR(chunks[alone], 0.5 * all, 0.025 * all);
  for (const JobId id : crowd) EXPECT_NEAR(chunks[id], 0.005 * all, 0.001 * all);
  forget_work();
}

TEST_F(QueueTest, AJobOfAPriorityStepHasAQuarterMore) {
  const JobId usual = submit(with_priority(0)), sooner = submit(with_priority(-3));
  answer(1000, 1'000'000);
  auto chunks = answer(20'000, 1'000'000);
  EXPECT_NEAR(static_cast<double>(chunks[sooner]) / chunks[usual], 1.25 * 1.25 * 1.25, 0.1);
  forget_work();
}

TEST_F(QueueTest, ABackgroundJobHasNothingWhileAnybodyElseHasBlocks) {
  const JobId background = submit(in_background());
  EXPECT_GT(answer(10, 1'000'000)[background], 0);
  const JobId other = submit(open_session(kAlice), nop(20'000, 1));
  answer(2, 1'000'000);  // that it had in hand
  auto chunks = answer(1000, 1'000'000);
  EXPECT_EQ(chunks[background], 0);
  EXPECT_GE(chunks[other], 1000);
  while (state(other) == JobState::kRunning) answer(1, 1'000'000);
  EXPECT_GT(answer(10, 1'000'000)[background], 0);
  forget_work();
}

TEST_F(QueueTest, ATinyJobIsNextBesideALargeOne) {
  submit(nop(kEndless));
  answer(100, 1'000);
  const JobId tiny = submit(open_session(kAlice), nop(1));
  // What the worker holds takes it no longer than two chunks may.
  double ns = 0;
  for (const Lease& lease : core->state().workers[0].leases) ns += lease.expected_ns;
  EXPECT_LE(ns, 4e6);
  answer(1, 1'000);
  ASSERT_FALSE(effects.work.empty());
  EXPECT_EQ(JobId{effects.work.back().chunks.front().job}, tiny);
  forget_work();
}

TEST_F(QueueTest, JobsThatHaveAllTheWorkersTheyMayDoNotKeepOthersFromThem) {
  effects.work.clear();
  start(2);
  session = open_session();
  for (int i = 0; i < 200; ++i) {
    wire::Request request = nop(kEndless, 1);
    request.mutable_submit_job()->set_max_workers(1);
    submit(request);
  }
  std::array<int, 2> answers{};
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_FALSE(effects.work.empty());
    const Recorder::Work packet = effects.work.front();
    effects.work.erase(effects.work.begin());
    ++answers.at(packet.worker);
    complete(packet, 1'000'000);
    for (const Worker& worker : core->state().workers) EXPECT_GT(worker.packets, 0u) << "there is work for both";
  }
  for (const auto& [id, job] : core->state().jobs.live()) EXPECT_GT(job->summary.chunks_done, 0u);
  forget_work();
}

TEST_F(QueueTest, OnlyTheServersUserAndRootMayGoBeforeOthers) {
  const SessionId alice = open_session(kAlice), root = open_session(0);
  EXPECT_THAT(refusal(alice, with_priority(-1), ErrorCode::kNotPermitted), HasSubstr("you are uid 1001: choose one from 0 to 19"));
  submit(alice, with_priority(19, 1));
  submit(root, with_priority(-20, 1));
  submit(session, with_priority(-20, 1));
  complete_everything();
}

TEST_F(QueueTest, APriorityOutOfRangeIsRefused) {
  EXPECT_THAT(refusal(with_priority(20), ErrorCode::kInvalidArgument), HasSubstr("there is no priority 20: they go from -20 (soonest) to 19 (last)"));
  refusal(with_priority(-21), ErrorCode::kInvalidArgument);
  refusal(with_priority(std::numeric_limits<int>::min()), ErrorCode::kInvalidArgument);
  wire::Request both = in_background();
  both.mutable_submit_job()->set_priority(3);
  EXPECT_THAT(refusal(both, ErrorCode::kInvalidArgument), HasSubstr("leave one of the two away"));
  EXPECT_TRUE(core->state().jobs.live().empty());
}

// ---- after

TEST_F(QueueTest, AJobStartsWhenThoseThatItComesAfterHaveEndedWell) {
  const JobId first = submit(nop(1)), second = submit(nop(1)), last = submit(after({first, second, first}));
  EXPECT_EQ(state(last), JobState::kQueued);
  step();
  EXPECT_EQ(state(last), JobState::kQueued);
  step();
  EXPECT_EQ(state(last), JobState::kRunning);
  step();
  EXPECT_EQ(state(last), JobState::kDone);
}

TEST_F(QueueTest, AJobIsCancelledWithTheOneThatItWasToComeAfter) {
  const JobId first = submit(nop(1)), second = submit(after({first})), third = submit(after({second}));
  fail_step("no luck");
  EXPECT_EQ(state(first), JobState::kFailed);
  EXPECT_EQ(state(second), JobState::kCancelled);
  EXPECT_EQ(why(second), fmt::format("job {} (nop) was cancelled: job {}, which it was to come after, did not succeed", second.value, first.value));
  EXPECT_THAT(why(third), HasSubstr(fmt::format("job {}, which it was to come after", second.value)));
  const JobId fourth = submit(nop(1)), fifth = submit(after({fourth}));
  cancel(fourth);
  complete_everything();
  EXPECT_EQ(state(fifth), JobState::kCancelled);
}

TEST_F(QueueTest, AJobMayComeAfterOneThatHasEndedWellAlready) {
  const JobId first = submit(nop(1));
  complete_everything();
  const JobId second = submit(after({first}));
  EXPECT_EQ(state(second), JobState::kRunning);
  complete_everything();
}

TEST_F(QueueTest, AJobCannotComeAfterOneThatFailedOrThatNobodyKnows) {
  const JobId failed = submit(nop(1));
  fail_step("no luck");
  EXPECT_THAT(refusal(after({failed}), ErrorCode::kBadData), HasSubstr(fmt::format("after job {} (nop), which failed", failed.value)));
  const JobId unseen{failed.value + 1};
  EXPECT_THAT(refusal(after({unseen}), ErrorCode::kNotFound), HasSubstr(fmt::format("the job cannot come after job {0}: there is no job {0}", unseen.value)));
  refusal(after({JobId{0}}), ErrorCode::kNotFound);
  wire::Request many = nop(1);
  for (std::size_t i = 0; i <= kMaxAfter; ++i) many.mutable_submit_job()->add_after(failed.value);
  EXPECT_THAT(refusal(many, ErrorCode::kInvalidArgument), HasSubstr("256 others at most"));
  for (std::size_t i = 0; i <= kMaxEndedJobs; ++i) {
    submit(nop(1));
    complete_everything();
  }
  EXPECT_THAT(refusal(after({failed}), ErrorCode::kNotFound), HasSubstr("the last 1000 that ended are kept"));
}

TEST_F(QueueTest, AJobComesAfterAnotherUsersOnlyWhereItMaySeeThem) {
  const SessionId alice = open_session(kAlice), bob = open_session(kBob);
  const JobId hers = submit(alice, nop(1));
  EXPECT_THAT(refusal(bob, after({hers}), ErrorCode::kNotPermitted), HasSubstr("belongs to uid 1001, and you are uid 1002"));
  const JobId servers = submit(session, after({hers}));
  EXPECT_EQ(state(servers), JobState::kQueued);
  complete_everything();
  EXPECT_EQ(state(servers), JobState::kDone);
}

TEST_F(QueueTest, AJobThatWaitsForAnotherKeepsItsTurnAtItsArrays) {
  create("a");
  const JobId first = submit(nop(1)), writer = submit(after({first}, add_one("a"))), reader = submit(sum("a"));
  EXPECT_EQ(state(reader), JobState::kQueued) << "it reads what the writer is to write";
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kDone);
  EXPECT_EQ(state(reader), JobState::kDone);
}

// ---- time limits

TEST_F(QueueTest, AJobThatHasRunForItsTimeLimitIsCancelledAndSaysSo) {
  const JobId job = submit(limited(2.5));
  ASSERT_TRUE(effects.wake_time.has_value());
  pass(std::chrono::milliseconds(2499));
  EXPECT_EQ(state(job), JobState::kRunning);
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(state(job), JobState::kCancelling);
  answer(2, 1);
  EXPECT_EQ(state(job), JobState::kCancelled);
  EXPECT_TRUE(effects.work.empty());
  EXPECT_EQ(why(job), fmt::format("job {} (nop) was cancelled: it had run for its time limit of 2.5 s", job.value));
}

TEST_F(QueueTest, TheTimeThatAJobWaitsIsNotCounted) {
  const JobId first = submit(nop(1)), second = submit(after({first}, limited(1)));
  pass(std::chrono::hours(1));
  EXPECT_EQ(state(second), JobState::kQueued);
  step();
  EXPECT_EQ(state(second), JobState::kRunning);
  pass(std::chrono::milliseconds(999));
  EXPECT_EQ(state(second), JobState::kRunning);
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(state(second), JobState::kCancelling);
  answer(2, 1);
}

TEST_F(QueueTest, TheEarliestOfManyTimeLimitsWakesTheServer) {
  const JobId late = submit(limited(20)), soon = submit(limited(10)), done = submit(limited(5, 1));
  EXPECT_EQ(*effects.wake_time, effects.time + std::chrono::seconds(5));
  while (state(done) == JobState::kRunning) answer(1, 1000);
  pass(std::chrono::seconds(10));
  EXPECT_EQ(state(soon), JobState::kCancelling);
  EXPECT_EQ(state(late), JobState::kRunning);
  ASSERT_TRUE(effects.wake_time.has_value());
  pass(std::chrono::seconds(10));
  EXPECT_EQ(state(late), JobState::kCancelling);
  while (!effects.work.empty()) answer(1, 1);
  EXPECT_TRUE(core->state().deadlines.empty());
}

TEST_F(QueueTest, AJobThatEndsInTimeIsNotCancelledLater) {
  const JobId job = submit(limited(1, 1));
  complete_everything();
  EXPECT_EQ(state(job), JobState::kDone);
  EXPECT_TRUE(core->state().deadlines.empty());
  pass(std::chrono::seconds(2));
  EXPECT_EQ(state(job), JobState::kDone);
}

TEST_F(QueueTest, WhatIsNoTimeIsRefused) {
  for (const double limit : {-1.0, 1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THAT(refusal(limited(limit), ErrorCode::kInvalidArgument), HasSubstr("no time limit"));
}

// ---- explain

TEST_F(QueueTest, AWaitingJobNamesTheJobsAndArraysThatItWaitsFor) {
  create("a");
  create("b");
  const JobId writer = submit(add_one("a")), reader = submit(sum("b"));
  const JobId waiting = submit(after({reader}, into("b", "a * 2.0", {"a"})));
  const wire::JobExplained explained = explain(waiting);
  EXPECT_EQ(explained.job().state(), wire::JobInfo::QUEUED);
  ASSERT_EQ(explained.obstacles_size(), 2);
  EXPECT_EQ(explained.obstacle_count(), 2u);
  EXPECT_EQ(explained.obstacles(0).cause(), wire::Obstacle::OPERAND);
  EXPECT_EQ(explained.obstacles(0).job(), writer.value);
  EXPECT_EQ(explained.obstacles(0).array(), "a");
  EXPECT_EQ(explained.obstacles(1).cause(), wire::Obstacle::AFTER);
  EXPECT_EQ(explained.obstacles(1).job(), reader.value);
  const JobId third = submit(overwrite("b"));
  EXPECT_EQ(explain(third).obstacles(0).cause(), wire::Obstacle::OUTPUT);
  EXPECT_EQ(explain(third).obstacles(0).array(), "b");
  complete_everything();
}

TEST_F(QueueTest, ARunningJobTellsHowFarItIsAndWhenItWillBeDone) {
  const JobId job = submit(nop(1000, 10));
  answer(20, 10'000'000);
  const wire::JobExplained explained = explain(job);
  EXPECT_EQ(explained.phase(), 1u);
  EXPECT_EQ(explained.phases(), 1u);
  EXPECT_EQ(explained.phase_blocks(), 1000u);
  EXPECT_EQ(explained.phase_blocks_done() + explained.blocks_in_hand(), core->state().jobs.live().at(job)->fresh.handed_out());
  EXPECT_EQ(explained.workers(), 1u);
  EXPECT_EQ(explained.most_workers(), 1u);
  EXPECT_DOUBLE_EQ(explained.share(), 1);
  const double left = 1e-3 * static_cast<double>(1000 - explained.phase_blocks_done());
  EXPECT_NEAR(explained.seconds_left(), left, 0.05 * left);
  EXPECT_EQ(explained.obstacles_size(), 0);
  forget_work();
}

TEST_F(QueueTest, AJobThatSharesTheWorkersTellsItsShare) {
  const JobId usual = submit(with_priority(0)), nice = submit(with_priority(5));
  answer(100, 1'000'000);
  EXPECT_NEAR(explain(usual).share() + explain(nice).share(), 1, 1e-12);
  EXPECT_NEAR(explain(usual).share() / explain(nice).share(), 3.05, 0.01);
  const JobId third = submit(open_session(kAlice), nop(kEndless, 1));
  EXPECT_DOUBLE_EQ(explain(third).share(), 0.5);
  forget_work();
}

TEST_F(QueueTest, ARunningJobTellsWhatKeepsItFromWorkers) {
  const auto cause = [this](JobId id) { return explain(id).obstacles_size() == 0 ? wire::Obstacle::UNSPECIFIED : explain(id).obstacles(0).cause(); };
  const JobId large = submit(nop(kEndless, 1)), other = submit(nop(kEndless, 1)), background = submit(in_background());
  EXPECT_EQ(cause(background), wire::Obstacle::FOREGROUND);
  EXPECT_EQ(explain(background).share(), 0);
  EXPECT_FALSE(explain(background).has_seconds_left());
  EXPECT_EQ(cause(other), wire::Obstacle::SHARE);
  cancel(large);
  cancel(other);
  cancel(background);
  while (!effects.work.empty()) answer(1, 1);
  const JobId in_hand = submit(nop(1));
  EXPECT_EQ(cause(in_hand), wire::Obstacle::BLOCKS);
  core->on_worker_lost(0, "was killed");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  EXPECT_EQ(cause(in_hand), wire::Obstacle::NO_WORKER);
  EXPECT_EQ(explain(in_hand).most_workers(), 0u);
  forget_work();
}

TEST_F(QueueTest, AnEndedJobTellsHowItEnded) {
  const JobId job = submit(nop(1));
  fail_step("no luck");
  const wire::JobExplained explained = explain(job);
  EXPECT_EQ(explained.job().state(), wire::JobInfo::FAILED);
  EXPECT_EQ(explained.job().error().message(), "no luck");
  EXPECT_EQ(explained.obstacle_count(), 0u);
}

TEST_F(QueueTest, JobsAreExplainedToThoseWhoMaySeeThemAlone) {
  const JobId hers = submit(open_session(kAlice), nop(1));
  wire::Request request;
  request.mutable_explain_job()->mutable_job()->set_id(hers.value);
  EXPECT_THAT(refusal(open_session(kBob), request, ErrorCode::kNotPermitted), HasSubstr("belongs to uid 1001"));
  EXPECT_EQ(explain(session, hers).job().id(), hers.value);
  request.mutable_explain_job()->mutable_job()->set_id(99);
  refusal(request, ErrorCode::kNotFound);
  complete_everything();
}

// ---- cancelling

TEST_F(QueueTest, AGuessThatIsFarTooLowPilesNothingUpOnAWorker) {
  submit(nop(1'000'000));
  const auto blocks_in_hand = [this] {
    std::uint64_t blocks = 0;
    for (const Lease& lease : core->state().workers[0].leases) blocks += lease.blocks.count;
    return blocks;
  };
  // A block takes a millisecond.
  for (int packet = 0; packet < 3; ++packet) {
    const Recorder::Work first = effects.work.front();
    effects.work.erase(effects.work.begin());
    cut(first, 2);
  }
  EXPECT_LE(blocks_in_hand(), 4u);
  forget_work();
}

TEST_F(QueueTest, ACancelledJobHasNoChunkMore) {
  const JobId endless = submit(nop(kEndless, 1));
  answer(10, 1'000'000);
  const std::uint64_t done = job(endless).chunks_done, in_hand = core->state().jobs.live().at(endless)->leases;
  cancel(endless);
  for (const Recorder::Work& packet : Recorder::take(effects.work)) complete(packet);
  EXPECT_TRUE(effects.work.empty());
  EXPECT_EQ(state(endless), JobState::kCancelled);
  EXPECT_EQ(job(endless).chunks_done, done + in_hand);
}

TEST_F(QueueTest, ACancelledJobLeavesItsOutputIncomplete) {
  create("a");
  const JobId writer = submit(overwrite("a"));
  cancel(writer);
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kCancelled);
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  EXPECT_FALSE(header_is_complete("a"));
}

}  // namespace
}  // namespace parcompute::server
