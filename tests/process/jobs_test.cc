// Jobs of one session: right results, progress, time limits, cancelling.
#include <poll.h>

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Pointwise;

class Jobs : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start();
  }
};

TEST_F(Jobs, ReduceAsNumPyDoes) {
  auto session = connect();
  auto bytes = session.create("bytes", DType::kUint8, {1'000'000});
  std::ranges::fill(bytes.view<std::uint8_t>(), std::uint8_t{255});
  EXPECT_EQ(session.submit(Reduce{.a = bytes}).wait().scalar->as<std::uint64_t>(), 255'000'000u);
  auto numbers = session.create("numbers", DType::kInt16, {70'000});
  fill_with_small_numbers(numbers.view<std::int16_t>(), 1);
  numbers.view<std::int16_t>()[69'999] = -1234;
  numbers.view<std::int16_t>()[0] = 4321;
  const auto view = numbers.view<const std::int16_t>();
  EXPECT_EQ(session.submit(Reduce{.a = numbers}).wait().scalar->as<std::int64_t>(),
            std::accumulate(view.begin(), view.end(), std::int64_t{0}));
  EXPECT_EQ(session.submit(Reduce{Reduce::Op::kMin, numbers}).wait().scalar->as<std::int16_t>(), -1234);
  EXPECT_EQ(session.submit(Reduce{Reduce::Op::kMax, numbers}).wait().scalar->as<std::int16_t>(), 4321);
}

TEST_F(Jobs, EndForWhoPollsForThem) {
  auto session = connect();
  auto a = session.create("", DType::kFloat64, {1000});
  Job job = session.submit(Reduce{.a = a});
  std::optional<JobResult> result;
  while (!(result = job.ended())) {
    pollfd place{job.descriptor(), POLLIN, 0};
    ASSERT_EQ(::poll(&place, 1, 60'000), 1);
  }
  EXPECT_EQ(result->scalar->as<double>(), 0);

  // Who waited for a later one has taken this one's end, too.
  Job earlier = session.submit(Reduce{.a = a});
  SubmitOptions behind;
  behind.after = {earlier.id()};
  session.submit(Nop{}, behind).wait();
  EXPECT_TRUE(earlier.has_answer());
  EXPECT_TRUE(earlier.ended());
  EXPECT_FALSE(earlier.has_answer());

  const Mandelbrot slow{.nx = 3000, .ny = 3000, .x_min = 0.2500000001, .x_max = 0.2500000002, .y_min = -1e-11, .y_max = 1e-11, .max_iter = 100'000};
  Job cancelled = session.submit(slow, one_by_one());
  EXPECT_FALSE(cancelled.ended());
  cancelled.cancel();
  const auto end = [&] {
    for (pollfd place{cancelled.descriptor(), POLLIN, 0}; !cancelled.ended();) ASSERT_EQ(::poll(&place, 1, 60'000), 1);
  };
  expect_failure(end, ErrorCode::kCancelled);
}

TEST_F(Jobs, MultiplyMatricesAndStacksOfThem) {
  auto session = connect();
  auto a = session.create("a", DType::kFloat64, {3, 70, 50});
  auto b = session.create("b", DType::kFloat64, {50, 90});
  fill_with_small_numbers(a.view<double>(), 1);
  fill_with_small_numbers(b.view<double>(), 2);
  auto c = session.submit(Matmul{a, b}).wait().output;
  EXPECT_THAT(c.shape(), ::testing::ElementsAre(3, 70, 90));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto expected = product<double>(a.view<const double>().subspan(i * 70 * 50, 70 * 50),
                                          b.view<const double>(), 70, 50, 90);
    EXPECT_THAT(c.view<const double>().subspan(i * 70 * 90, 70 * 90), Pointwise(Eq(), expected));
  }
}

TEST_F(Jobs, CountEscapesAsThePlainLoopDoes) {
  auto session = connect();
  const Mandelbrot grid{
      .nx = 123, .ny = 77, .x_min = -2, .x_max = 0.5, .y_min = -1.25, .y_max = 1.25, .max_iter = 300};
  auto picture = session.submit(grid).wait().output;
  EXPECT_THAT(picture.view<const std::int64_t>(), Pointwise(Eq(), escape_counts(grid)));
}

TEST_F(Jobs, LeaveTheirResultsUnderTheNameAskedFor) {
  auto session = connect();
  SubmitOptions options;
  options.output = "picture";
  const Mandelbrot grid{.nx = 10, .ny = 20, .max_iter = 50};
  const JobResult result = session.submit(grid, options).wait();
  EXPECT_EQ(result.output.name(), "picture");
  EXPECT_EQ(result.info.state, JobState::kDone);
  EXPECT_EQ(result.info.blocks_done, result.info.blocks_total);
  EXPECT_EQ(result.info.bytes_written, 10u * 20 * 8);
  EXPECT_EQ(result.info.retries, 0u);
  EXPECT_THAT(connect().find("picture").view<const std::int64_t>(), Pointwise(Eq(), escape_counts(grid)));
  // A scalar may go to an array, too.
  auto numbers = session.create_arange("numbers", DType::kInt32, {10});
  options.output = "total";
  const JobResult total = session.submit(Reduce{.a = numbers}, options).wait();
  EXPECT_EQ(total.scalar->as<std::int64_t>(), 45);
  EXPECT_EQ(connect().find("total").view<const std::int64_t>()[0], 45);
}

TEST_F(Jobs, ExpressionsWhoseNamesAreNotCertainAreRefused) {
  auto session = connect();
  auto a = session.create("a", DType::kFloat64, {4});
  EXPECT_NO_THROW(session.submit(session.evaluate("a * e")).wait());
  auto e = session.create("e", DType::kFloat64, {4});
  expect_failure([&] { session.evaluate("a * e"); }, ErrorCode::kInvalidArgument, {"'e' is the constant and an array's name: bind it, e=e"});
  EXPECT_NO_THROW(session.submit(session.evaluate("a * e", {{"e", e}})).wait());
  expect_failure([&] { session.evaluate("a + 1", {{"A", e}}); }, ErrorCode::kInvalidArgument, {"'A' is bound, but the expression does not use it"});
  expect_failure([&] { session.evaluate("a + nosuch"); }, ErrorCode::kNotFound, {"'nosuch' at column 5"});
}

TEST_F(Jobs, RefuseOperandsThatDoNotFit) {
  auto session = connect();
  auto a = session.create("a", DType::kFloat64, {4, 5});
  auto b = session.create("b", DType::kFloat64, {4, 5});
  auto f = session.create("f", DType::kFloat32, {5, 4});
  auto c = session.create("c", DType::kComplex64, {4});
  expect_failure(
      [&] {
        session.submit(Matmul{a, b}).wait();
      },
      ErrorCode::kInvalidArgument, {"'a'", "'b'", "4x5"});
  expect_failure([&] { session.submit(Evaluate{"a + f", {{"a", a}, {"f", f}}, {}}).wait(); }, ErrorCode::kInvalidArgument, {"4x5", "5x4", "column 3"});
  expect_failure([&] { session.submit(Reduce{.a = c, .axis = 1}).wait(); }, ErrorCode::kInvalidArgument, {"axis 1", "'c' (complex64, 4)"});
  expect_failure([&] { session.submit(Mandelbrot{.nx = 1u << 31, .ny = 1u << 31, .max_iter = 1}).wait(); },
                 ErrorCode::kOverBudget);
  EXPECT_EQ(session.list().size(), 4u);
}

TEST_F(Jobs, RefuseAnOperandThatWasRemoved) {
  auto session = connect();
  auto a = session.create("a", DType::kFloat64, {4});
  session.remove("a");
  expect_failure([&] { session.submit(Reduce{.a = a}).wait(); }, ErrorCode::kNotFound);
}

TEST_F(Jobs, TellTheirProgressInOrder) {
  auto session = connect();
  auto job = session.submit(endless(), one_by_one());
  std::vector<std::uint64_t> done;
  bool is_cancelled = false;
  expect_failure(
      [&] {
        job.wait([&](const JobInfo& info) {
          // Told to end, it may have, by the time that it is looked at.
          if (!is_cancelled) { EXPECT_EQ(info.state, JobState::kRunning); }
          EXPECT_EQ(info.operation, "nop");
          done.push_back(info.blocks_done);
          // The workers may only be starting: what is told then is in order, and says nothing.
          if (is_cancelled || done.size() < 4 || info.blocks_done == 0) return;
          job.cancel();
          is_cancelled = true;
        });
      },
      ErrorCode::kCancelled);
  ASSERT_GE(done.size(), 4u);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_GT(done.back(), 0u);
}

TEST_F(Jobs, GoOnAfterAWaitThatTimedOut) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {1000});
  freeze_workers();
  auto job = session.submit(Reduce{.a = array});
  expect_failure([&] { job.wait({}, std::chrono::milliseconds(20)); }, ErrorCode::kTimeout, {"0.02 s"});
  EXPECT_EQ(job.info().state, JobState::kRunning);
  thaw_workers();
  EXPECT_EQ(job.wait().scalar->as<std::int64_t>(), 499'500);
}

TEST_F(Jobs, AnswerASecondWaitLikeTheFirst) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {1000});
  auto job = session.submit(Reduce{.a = array});
  EXPECT_EQ(job.wait().scalar->as<std::int64_t>(), 499'500);
  EXPECT_EQ(job.wait().scalar->as<std::int64_t>(), 499'500);
  auto cancelled = session.submit(endless(), one_by_one());
  cancelled.cancel();
  expect_failure([&] { cancelled.wait(); }, ErrorCode::kCancelled);
}

TEST_F(Jobs, LeaveTheirAnonymousOutputToTheLastOfAllHandles) {
  auto session = connect();
  const Mandelbrot grid{.nx = 10, .ny = 20, .max_iter = 50};
  auto job = session.submit(grid);
  std::optional<JobResult> first = job.wait();
  JobResult second = job.wait();
  first.reset();
  EXPECT_EQ(session.submit(Reduce{Reduce::Op::kMax, second.output}).wait().scalar->as<std::int64_t>(), 50);
}

TEST_F(Jobs, WithoutHandlesLeaveNoAnonymousOutput) {
  auto session = connect();
  const Mandelbrot grid{.nx = 100, .ny = 200, .max_iter = 50};
  for (int i = 0; i < 10; ++i) session.submit(grid);
  SubmitOptions named;
  named.output = "named";
  session.submit(grid, named);
  until([&] { return session.status().arrays == 1; }, "the named one alone is left");
  EXPECT_EQ(session.list().front().name, "named");
}

TEST_F(Jobs, EndTheirWaitWhenTheyAreCancelledHereOrElsewhere) {
  auto session = connect();
  auto other = connect();
  auto job = session.submit(endless(), one_by_one());
  auto same = other.find_job(job.id());
  EXPECT_EQ(same.info().state, JobState::kRunning);
  same.cancel();
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled, {"nop", "cancelled"});
  expect_failure([&] { same.wait(); }, ErrorCode::kCancelled);
  EXPECT_EQ(other.find_job(job.id()).info().state, JobState::kCancelled);
  same.cancel();  // no effect
}

TEST_F(Jobs, CancelledOnesLeaveNoOutput) {
  auto session = connect();
  freeze_workers();
  SubmitOptions options;
  options.output = "picture";
  auto job = session.submit(Mandelbrot{.nx = 1000, .ny = 1000, .max_iter = 10}, options);
  EXPECT_TRUE(session.find("picture").info().incomplete);
  job.cancel();
  thaw_workers();
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled);
  expect_failure([&] { session.find("picture"); }, ErrorCode::kNotFound);
  EXPECT_TRUE(segments().empty());
  EXPECT_EQ(session.submit(Mandelbrot{.nx = 10, .ny = 10, .max_iter = 10}, options).wait().output.size(),
            100u);
}

TEST_F(Jobs, ThatAreUnknownAreNotFound) {
  auto session = connect();
  expect_failure([&] { session.find_job(123'456); }, ErrorCode::kNotFound, {"123456"});
}

TEST_F(Jobs, AreListedNewestFirst) {
  auto session = connect();
  auto array = session.create("a", DType::kInt64, {10});
  auto first = session.submit(Reduce{.a = array});
  const std::uint64_t first_id = first.id();
  first.wait();
  auto second = session.submit(endless(), one_by_one());
  const auto jobs = session.jobs();
  ASSERT_GE(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, second.id());
  EXPECT_EQ(jobs[0].state, JobState::kRunning);
  EXPECT_EQ(jobs[1].id, first_id);
  EXPECT_EQ(jobs[1].state, JobState::kDone);
  second.cancel();
}

TEST_F(Jobs, AreListedOverAsManyPacketsAsItTakes) {
  auto session = connect();
  auto array = session.create("a", DType::kInt64, {10});
  const std::uint64_t before = session.jobs().front().id;
  for (int i = 0; i < 900; ++i) session.submit(Reduce{.a = array}).wait();
  const auto jobs = session.jobs();
  ASSERT_GE(jobs.size(), 900u);
  for (std::size_t i = 0; i < 900; ++i) EXPECT_EQ(jobs[i].id, before + 900 - i);
}

// The server knows a job by its request only while it lives. A second request's answer comes after the first one's: then
// the job has ended.
TEST_F(Jobs, ThatEndedAreKnownByTheirAnswersBeforeAnybodyWaits) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {10});
  auto job = session.submit(Reduce{.a = array});
  until([&] { return session.status().jobs_running + session.status().jobs_queued == 0; }, "the job has ended");
  EXPECT_EQ(job.info().state, JobState::kDone);
  const std::uint64_t id = job.id();
  EXPECT_EQ(job.wait().info.id, id);
  auto refused = session.submit(Take{array, array.viewed("[:, None]"), 1});
  expect_failure([&] { refused.info(); }, ErrorCode::kInvalidArgument, {"'a'"});
  expect_failure([&] { refused.wait(); }, ErrorCode::kInvalidArgument, {"'a'"});
}

TEST_F(Jobs, ShortOnesEndBesideAnEndlessOne) {
  auto session = connect();
  auto job = session.submit(endless());
  auto other = connect();
  auto array = other.create_arange("a", DType::kInt64, {100'000});
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(other.submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 4'999'950'000);
  EXPECT_EQ(job.info().state, JobState::kRunning);
  job.cancel();
}

TEST_F(Jobs, ThousandsInFlightAllAnswer) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {1000});
  std::vector<Job> jobs;
  for (int i = 0; i < 3000; ++i) jobs.push_back(session.submit(Reduce{.a = array}));
  for (Job& job : jobs) ASSERT_EQ(job.wait().scalar->as<std::int64_t>(), 499'500);
}

TEST_F(Jobs, OfManySessionsAtOnceAllAnswer) {
  std::vector<Session> sessions;
  std::vector<Job> jobs;
  for (int i = 0; i < 50; ++i) {
    sessions.push_back(connect());
    auto array = sessions.back().create_arange(fmt::format("a{}", i), DType::kInt64, {1000 + i});
    jobs.push_back(sessions.back().submit(Reduce{.a = array}));
  }
  for (std::int64_t i = 0; i < 50; ++i)
    EXPECT_EQ(jobs[static_cast<std::size_t>(i)].wait().scalar->as<std::int64_t>(),
              (1000 + i) * (999 + i) / 2);
}

}  // namespace
}  // namespace parcompute::testing
