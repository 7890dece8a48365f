// Many jobs at once: who has the workers, who waits for whom, and what they say of themselves.
#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/two_users.h"

namespace parcompute::testing {
namespace {

using ::testing::HasSubstr;

// Half a minute of some processor, in blocks that take time: orbits beside the set's cusp, which neither escape nor repeat.
const Mandelbrot kLarge{.nx = 1000, .ny = 1000, .x_min = 0.2500000001, .x_max = 0.2500000002, .y_min = -1e-11, .y_max = 1e-11, .max_iter = 400'000};

class Queue : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2);
  }
  static SubmitOptions in_background() {
    SubmitOptions options;
    options.background = true;
    return options;
  }
  static SubmitOptions after(std::initializer_list<std::uint64_t> jobs) {
    SubmitOptions options;
    options.after = jobs;
    return options;
  }
};

TEST_F(Queue, OneJobHasAsMuchAsTwentyOfAnotherSession) {
  auto crowded = connect(), lone = connect();
  std::vector<Job> crowd;
  for (int i = 0; i < 20; ++i) crowd.push_back(crowded.submit(endless(), one_by_one()));
  auto one = lone.submit(endless(), one_by_one());
  until(
      [&] {
        double all = 0, mine = 0;
        for (const JobInfo& job : lone.jobs()) {
          all += static_cast<double>(job.chunks_done);
          if (job.id == one.id()) mine = static_cast<double>(job.chunks_done);
        }
        return all > 10'000 && mine > 0.45 * all && mine < 0.55 * all;
      },
      "the one job has had half of the workers");
  one.cancel();
  for (Job& job : crowd) job.cancel();
}

TEST_F(Queue, ATinyJobEndsBesideALargeOne) {
  auto busy = connect(), session = connect();
  auto large = busy.submit(endless());
  until([&] { return large.info().chunks_done > 0; }, "the large job runs");
  const auto eight = session.create_arange("", DType::kFloat64, {8});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(session.submit(Reduce{.a = eight}).wait().scalar->as<double>(), 28);
  EXPECT_EQ(large.info().state, JobState::kRunning);
  large.cancel();
}

TEST_F(Queue, ABackgroundJobStandsStillWhileAnotherHasBlocks) {
  auto session = connect();
  auto background = session.submit(endless(), in_background());
  until([&] { return background.info().chunks_done > 0; }, "the background job runs");
  auto front = session.submit(endless(), one_by_one());
  until([&] { return background.explain().blocks_in_hand == 0; }, "workers have nothing of it any more");
  const std::uint64_t done = background.info().chunks_done, before = front.info().chunks_done;
  until([&] { return front.info().chunks_done > before + 1000; }, "the other job goes on");
  const JobExplanation explained = background.explain();
  EXPECT_EQ(explained.job.chunks_done, done);
  ASSERT_EQ(explained.obstacles.size(), 1u);
  EXPECT_EQ(explained.obstacles[0].cause, Obstacle::Cause::kForeground);
  front.cancel();
  until([&] { return background.info().chunks_done > done; }, "the background job goes on");
  background.cancel();
}

TEST_F(Queue, JobsComeAfterOthers) {
  auto session = connect();
  freeze_workers();
  auto first = session.submit(Nop{1});
  auto second = session.submit(Nop{1}, after({first.id()}));
  auto third = session.submit(Nop{1}, after({first.id(), second.id()}));
  EXPECT_EQ(third.info().state, JobState::kQueued);
  EXPECT_THAT(third.info().waiting_for, HasSubstr(fmt::format("job {}, which it comes after", first.id())));
  thaw_workers();
  third.wait();
  EXPECT_EQ(second.info().state, JobState::kDone);
  EXPECT_EQ(session.submit(Nop{1}, after({third.id()})).wait().info.state, JobState::kDone);
}

TEST_F(Queue, AJobEndsWithTheOneThatItWasToComeAfter) {
  auto session = connect();
  auto first = session.submit(endless());
  auto second = session.submit(Nop{1}, after({first.id()}));
  const std::string name = fmt::format("job {}, which it was to come after, did not succeed", first.id());
  first.cancel();
  expect_failure([&] { second.wait(); }, ErrorCode::kCancelled, {name});
  expect_failure([&] { first.wait(); }, ErrorCode::kCancelled);
  expect_failure([&] { session.submit(Nop{1}, after({first.id()})).wait(); }, ErrorCode::kBadData, {"was cancelled"});
  expect_failure([&] { session.submit(Nop{1}, after({1'000'000})).wait(); }, ErrorCode::kNotFound, {"there is no job 1000000"});
}

TEST_F(Queue, AJobIsCancelledWhenItHasRunForItsTime) {
  auto session = connect();
  SubmitOptions options;
  options.time_limit = std::chrono::milliseconds(50);
  auto job = session.submit(endless(), options);
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled, {"it had run for its time limit of 0.05 s"});
  options.time_limit = std::chrono::hours(1);
  session.submit(Nop{1}, options).wait();
  options.time_limit = std::chrono::seconds(0);
  expect_failure([&] { session.submit(Nop{1}, options); }, ErrorCode::kInvalidArgument, {"no time limit"});
}

TEST_F(Queue, AJobExplainsItself) {
  auto session = connect();
  const auto a = session.create("a", DType::kInt64, {1000, 1000});
  SubmitOptions into;
  into.into = a;
  freeze_workers();
  auto writer = session.submit(kLarge, into);
  auto reader = session.submit(Reduce{.a = a});
  JobExplanation explained = reader.explain();
  EXPECT_EQ(explained.job.state, JobState::kQueued);
  ASSERT_EQ(explained.obstacles.size(), 1u);
  EXPECT_EQ(explained.obstacles[0].cause, Obstacle::Cause::kOperand);
  EXPECT_EQ(explained.obstacles[0].job, writer.id());
  EXPECT_EQ(explained.obstacles[0].array, "a");
  explained = writer.explain();
  EXPECT_EQ(explained.job.state, JobState::kRunning);
  EXPECT_EQ(explained.phase, 1u);
  EXPECT_GT(explained.phase_blocks, explained.phase_blocks_done);
  EXPECT_EQ(explained.most_workers, 2u);
  EXPECT_EQ(explained.share, 1);
  EXPECT_TRUE(explained.seconds_left.has_value());
  writer.cancel();
  thaw_workers();
  expect_failure([&] { reader.wait(); }, ErrorCode::kCancelled);
  explained = reader.explain();
  EXPECT_EQ(explained.job.state, JobState::kCancelled);
  EXPECT_TRUE(explained.obstacles.empty());
}

// Whatever the workers have in hand when they go on is all that is still computed.
TEST_F(Queue, NothingIsBegunAfterACancel) {
  auto session = connect();
  const auto a = session.create("a", DType::kInt64, {1000, 1000});
  SubmitOptions options = one_by_one();
  options.into = a;
  auto job = session.submit(kLarge, options);
  until([&] { return job.info().chunks_done > 0; }, "it writes");
  freeze_workers();
  job.cancel();
  const JobExplanation then = job.explain();
  EXPECT_EQ(then.job.ending, JobState::kCancelled);
  thaw_workers();
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled);
  EXPECT_LE(job.info().chunks_done, then.job.chunks_done + then.blocks_in_hand);
  EXPECT_TRUE(session.find("a").info().incomplete);
}

TEST_F(Queue, JobsThatWriteEveryOtherElementRunSideBySideAndSpareEachOthers) {
  auto session = connect();
  constexpr std::int64_t kHalf = 300'000;
  auto bytes = session.create("bytes", DType::kInt8, {2 * kHalf});
  const auto source = session.create_full("source", scalar_of(std::int8_t{1}), {kHalf});
  for (int round = 1; round <= 20; ++round) {
    SubmitOptions even = one_by_one(), odd = one_by_one();
    even.into = bytes.viewed("[::2]");
    odd.into = bytes.viewed("[1::2]");
    const auto times = [&](int factor) { return Evaluate{fmt::format("x * {}", factor), {{"x", source}}, {}}; };
    auto left = session.submit(times(round), even), right = session.submit(times(-round), odd);
    left.wait();
    right.wait();
    const auto elements = bytes.view<const std::int8_t>();
    for (std::size_t i = 0; i < elements.size(); ++i) ASSERT_EQ(elements[i], i % 2 == 0 ? round : -round) << i;
  }
}

TEST_F(Queue, AReaderOfOtherRowsDoesNotWait) {
  auto session = connect();
  const auto a = session.create("a", DType::kInt64, {2000, 1000});
  SubmitOptions into;
  into.into = a.viewed("[:1000]");
  auto writer = session.submit(kLarge, into);
  EXPECT_EQ(session.submit(Reduce{.a = a.viewed("[1000:]")}).wait().scalar->as<std::int64_t>(), 0);
  EXPECT_EQ(writer.info().state, JobState::kRunning);
  auto reader = session.submit(Reduce{.a = a.viewed("[999:]")});
  EXPECT_EQ(reader.explain().obstacles.at(0).job, writer.id());
  writer.cancel();
  expect_failure([&] { reader.wait(); }, ErrorCode::kCancelled);
}

class SharedQueue : public TwoUsers {};

TEST_F(SharedQueue, OnlyTheServersUserAndRootGoBeforeOthers) {
  begin_for_both("sealed");
  if (IsSkipped()) return;
  as(kAlice, [&](Session& session) {
    SubmitOptions options;
    options.priority = -1;
    expect_failure([&] { session.submit(Nop{1}, options).wait(); }, ErrorCode::kNotPermitted, {"priority -1", "root and the server's own user", "you are uid 61001"});
    options.priority = 19;
    EXPECT_EQ(session.submit(Nop{1}, options).wait().info.priority, 19);
    options.priority = 20;
    expect_failure([&] { session.submit(Nop{1}, options).wait(); }, ErrorCode::kInvalidArgument, {"-20 (soonest) to 19 (last)"});
  });
  auto root = connect();
  SubmitOptions options;
  options.priority = -20;
  EXPECT_EQ(root.submit(Nop{1}, options).wait().info.priority, -20);
}

TEST_F(SharedQueue, JobsOfOthersAreNeitherWaitedForNorExplained) {
  begin_for_both("sealed");
  if (IsSkipped()) return;
  auto root = connect();
  auto job = root.submit(endless());
  as(kBob, [&](Session& session) {
    SubmitOptions options;
    options.after = {1};
    expect_failure([&] { session.submit(Nop{1}, options).wait(); }, ErrorCode::kNotPermitted, {"cannot come after job 1", "belongs to uid"});
    expect_failure([&] { session.find_job(1).explain(); }, ErrorCode::kNotPermitted, {"belongs to uid"});
  });
  job.cancel();
}

}  // namespace
}  // namespace parcompute::testing
