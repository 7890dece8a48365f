// Detached jobs, jobs that wait for others, and how many workers a job may have.
#include <signal.h>

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

SubmitOptions detached(const std::string& output) {
  SubmitOptions options;
  options.output = output;
  options.detach = true;
  return options;
}

class JobOrder : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(3);
  }
  // Until the forkserver, which is answered, goes on there is no worker: jobs wait for as long as it takes. Workers that are frozen with a
  // chunk in hand are replaced after some seconds.
  pid_t hold_back_all_workers() {
    const Status before = pool_is_whole();
    const auto stop = [&](pid_t pid) {
      ASSERT_EQ(::kill(pid, SIGSTOP), 0);
      until([&] { return is_stopped(pid); }, "the process is stopped");
    };
    // The server hears of its workers' deaths, and asks for others, when there is nobody to make them.
    stop(before.server_pid);
    for (const WorkerInfo& worker : before.workers) kill_now(worker.pid);
    const auto is_reaped = [](const WorkerInfo& worker) { return status_line(worker.pid, "State").empty(); };
    until([&] { return std::ranges::all_of(before.workers, is_reaped) && status_line(before.forkserver_pid, "State").starts_with("S"); }, "the workers are reaped");
    stop(before.forkserver_pid);
    EXPECT_EQ(::kill(before.server_pid, SIGCONT), 0);
    until([&] { return replaced() == before.workers.size(); }, "the server has asked for others");
    return before.forkserver_pid;
  }
  const Mandelbrot grid_{.nx = 300, .ny = 200, .max_iter = 60};
};

TEST_F(JobOrder, DetachedJobIsFoundAgainWithItsNamedOutput) {
  std::uint64_t id = 0;
  {
    auto session = connect();
    auto job = session.submit(grid_, detached("picture"));
    id = job.id();
    EXPECT_TRUE(job.info().detached);
  }
  auto session = connect();
  const JobResult result = session.find_job(id).wait();
  EXPECT_EQ(result.output.name(), "picture");
  EXPECT_THAT(session.find("picture").view<const std::int64_t>(), Pointwise(Eq(), escape_counts(grid_)));
}

TEST_F(JobOrder, DetachedJobNeedsANameForItsArray) {
  auto session = connect();
  SubmitOptions options;
  options.detach = true;
  expect_failure([&] { session.submit(grid_, options); }, ErrorCode::kInvalidArgument, {"needs a name"});
  EXPECT_TRUE(session.list().empty());
  EXPECT_TRUE(segments().empty());
}

TEST_F(JobOrder, UndetachedJobEndsWithItsSession) {
  std::optional<Session> session = connect();
  std::optional<Job> job = session->submit(endless(), one_by_one());
  const std::uint64_t id = job->id();
  job.reset();
  session.reset();
  auto other = connect();
  until([&] { return other.find_job(id).info().state == JobState::kCancelled; }, "the job is cancelled");
  EXPECT_THAT(other.find_job(id).info().error, HasSubstr("client has gone"));
}

TEST_F(JobOrder, ReaderWaitsForTheJobThatMakesItsOperand) {
  auto session = connect();
  freeze_workers();
  auto maker = session.submit(grid_, detached("picture"));
  auto picture = session.find("picture");
  EXPECT_TRUE(picture.info().incomplete);
  auto reader = session.submit(Reduce{.a = picture});
  EXPECT_EQ(reader.info().state, JobState::kQueued);
  EXPECT_THAT(reader.info().waiting_for, HasSubstr(fmt::format("job {}", maker.id())));
  EXPECT_EQ(session.status().jobs_queued, 1u);
  thaw_workers();
  const auto expected = escape_counts(grid_);
  EXPECT_EQ(reader.wait().scalar->as<std::int64_t>(),
            std::accumulate(expected.begin(), expected.end(), std::int64_t{0}));
  EXPECT_EQ(maker.info().state, JobState::kDone);
}

TEST_F(JobOrder, ReaderOfACancelledJobsOutputSaysWhy) {
  auto session = connect();
  freeze_workers();
  auto maker = session.submit(grid_, detached("picture"));
  auto reader = session.submit(Reduce{.a = session.find("picture")});
  auto second = session.submit(Reduce{Reduce::Op::kMax, session.find("picture")}, detached("top"));
  auto third = session.submit(Reduce{.a = session.find("top")});
  maker.cancel();
  thaw_workers();
  const std::string name = fmt::format("job {}", maker.id());
  expect_failure([&] { reader.wait(); }, ErrorCode::kCancelled, {name, "did not succeed"});
  expect_failure([&] { second.wait(); }, ErrorCode::kCancelled, {name});
  expect_failure([&] { third.wait(); }, ErrorCode::kCancelled, {fmt::format("job {}", second.id())});
  EXPECT_TRUE(session.list().empty());
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
}

TEST_F(JobOrder, OperandRemovedWhileItIsMadeIsStillRead) {
  auto session = connect();
  freeze_workers();
  session.submit(grid_, detached("picture"));
  auto reader = session.submit(Reduce{Reduce::Op::kMax, session.find("picture")});
  session.remove("picture");
  EXPECT_TRUE(session.list().empty());
  thaw_workers();
  EXPECT_EQ(reader.wait().scalar->as<std::int64_t>(), 60);
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
}

TEST_F(JobOrder, LongChainOfWaitingJobsEndsInOneGo) {
  auto session = connect();
  auto a = session.create_full("a0", scalar_of(1.0), {1, 1});
  const pid_t forkserver = hold_back_all_workers();
  constexpr int kLength = 1000;
  for (int i = 1; i <= kLength; ++i) {
    const auto before = session.find(fmt::format("a{}", i - 1));
    session.submit(Matmul{before, a}, detached(fmt::format("a{}", i)));
  }
  auto last = session.submit(Reduce{.a = session.find(fmt::format("a{}", kLength))});
  // A forkserver that stays stopped is replaced after some seconds; then they run without the chain having been there as a whole.
  const bool is_whole_chain = session.status().jobs_queued == std::uint64_t{kLength};
  if (is_whole_chain) ::kill(forkserver, SIGCONT);
  EXPECT_EQ(last.wait().scalar->as<double>(), 1);
  if (!is_whole_chain) GTEST_SKIP() << "the chain took the machine too long to make";
}

TEST_F(JobOrder, JobHasNoMoreWorkersThanItMay) {
  auto session = connect();
  auto options = one_by_one();
  options.max_workers = 1;
  auto job = session.submit(endless(), options);
  until([&] { return job.info().chunks_done > 0; }, "the job runs");
  for (int i = 0; i < 500; ++i) {
    const auto workers = session.status().workers;
    ASSERT_LE(std::ranges::count(workers, WorkerInfo::State::kBusy, &WorkerInfo::state), 1);
  }
  job.cancel();
}

TEST_F(JobOrder, JobWithoutALimitHasAllWorkers) {
  auto session = connect();
  auto job = session.submit(endless(), one_by_one());
  until(
      [&] {
        const auto workers = session.status().workers;
        return std::ranges::all_of(workers,
                                   [](const WorkerInfo& worker) { return worker.chunks_done > 100; });
      },
      "every worker takes part");
  job.cancel();
}

}  // namespace
}  // namespace parcompute::testing
