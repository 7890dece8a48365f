// Workers and the forkserver die, stop and come back: jobs end right, and the pool is whole again.
#include <signal.h>

#include <algorithm>
#include <cstdio>

#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::Eq;
using ::testing::Pointwise;

class WorkerDeath : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(3);
  }

  std::vector<WorkerInfo> busy_workers() {
    std::vector<WorkerInfo> busy;
    for (const WorkerInfo& worker : status().workers)
      if (worker.state == WorkerInfo::State::kBusy) busy.push_back(worker);
    return busy;
  }

  // Workers hold chunks that they cannot begin; then `harm` is done, given those workers.
  template <class Harm>
  JobResult in_the_middle_of(const Operation& operation, Harm harm) {
    freeze_workers();
    auto job = session_->submit(operation, one_by_one());
    std::vector<WorkerInfo> busy;
    until([&] { return !(busy = busy_workers()).empty(); }, "a worker holds chunks");
    harm(busy);
    thaw_workers();
    return job.wait();
  }

  void open() { session_.emplace(connect()); }
  void TearDown() override {
    session_.reset();
    ServerTest::TearDown();
  }

  std::optional<Session> session_;
  // Its output is reserved at once: every block is the picture's, and there are enough for each worker to have its own.
  const Mandelbrot grid_{.nx = 160, .ny = 200, .max_iter = 100};
};

TEST_F(WorkerDeath, InAPictureChangesNoPoint) {
  open();
  const auto before = pool_is_whole();
  std::size_t killed = 0;
  JobResult result = in_the_middle_of(grid_, [&](auto& busy) { kill_worker(killed = busy.back().id); });
  EXPECT_THAT(result.output.view<const std::int64_t>(), Pointwise(Eq(), escape_counts(grid_)));
  EXPECT_GE(result.info.retries, 1u);
  const auto after = pool_is_whole();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(after.workers[i].replaced, i == killed ? 1u : 0u);
    EXPECT_EQ(after.workers[i].pid != before.workers[i].pid, i == killed);
  }
  EXPECT_EQ(after.forkserver_pid, before.forkserver_pid);
}

TEST_F(WorkerDeath, InASumCountsEveryElementOnce) {
  open();
  auto array = session_->create_arange("a", DType::kInt64, {1'000'000});
  const JobResult result =
      in_the_middle_of(Reduce{.a = array}, [&](auto& busy) { kill_worker(busy.front().id); });
  EXPECT_EQ(result.scalar->as<std::int64_t>(), std::int64_t{999'999} * 500'000);
  EXPECT_GE(result.info.retries, 1u);
}

TEST_F(WorkerDeath, InAProductAddsNothingTwice) {
  open();
  auto a = session_->create("a", DType::kFloat64, {600, 300});
  auto b = session_->create("b", DType::kFloat64, {300, 500});
  fill_with_small_numbers(a.view<double>(), 1);
  fill_with_small_numbers(b.view<double>(), 2);
  JobResult result = in_the_middle_of(Matmul{a, b}, [&](auto& busy) { kill_worker(busy.front().id); });
  const auto expected = product<double>(a.view<const double>(), b.view<const double>(), 600, 300, 500);
  EXPECT_TRUE(std::ranges::equal(result.output.view<const double>(), expected));
  EXPECT_GE(result.info.retries, 1u);
}

TEST_F(WorkerDeath, OfAllAtOnceIsSurvived) {
  open();
  JobResult result = in_the_middle_of(grid_, [&](auto&) {
    for (const std::size_t index : {0u, 1u, 2u}) kill_worker(index);
  });
  EXPECT_TRUE(std::ranges::equal(result.output.view<const std::int64_t>(), escape_counts(grid_)));
  EXPECT_GE(result.info.retries, 1u);
  pool_is_whole();
  EXPECT_EQ(replaced(), 3u);
}

TEST_F(WorkerDeath, WhileTheyComputeLosesNothing) {
  open();
  auto array = session_->create_arange("a", DType::kInt64, {4'000'000});
  // The kernels are in the middle of their blocks this time; which, nobody knows.
  for (unsigned round = 0; round < 30; ++round) {
    auto job = session_->submit(Reduce{.a = array}, one_by_one());
    kill_worker(round % 3);
    ASSERT_EQ(job.wait().scalar->as<std::int64_t>(), std::int64_t{3'999'999} * 2'000'000) << round;
  }
  pool_is_whole();
  EXPECT_GE(replaced(), 20u);
}

TEST_F(WorkerDeath, OfTheForkserverEndsNoJob) {
  open();
  const auto before = pool_is_whole();
  JobResult result = in_the_middle_of(grid_, [&](auto&) { kill_now(before.forkserver_pid); });
  EXPECT_TRUE(std::ranges::equal(result.output.view<const std::int64_t>(), escape_counts(grid_)));
  until([&] { return status().forkserver_pid != before.forkserver_pid; }, "there is another forkserver");
  const auto after = pool_is_whole();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(after.workers[i].pid, before.workers[i].pid);
  EXPECT_EQ(after.server_pid, before.server_pid);
}

TEST_F(WorkerDeath, OfTheForkserverAndAllItsWorkersEndsNoJob) {
  open();
  const auto before = pool_is_whole();
  JobResult result = in_the_middle_of(grid_, [&](auto&) {
    for (const WorkerInfo& worker : before.workers) kill_now(worker.pid);
    kill_now(before.forkserver_pid);
  });
  EXPECT_TRUE(std::ranges::equal(result.output.view<const std::int64_t>(), escape_counts(grid_)));
  pool_is_whole();
}

TEST_F(WorkerDeath, BeforeItIsReadyIsSurvivedEvenWithTheForkserver) {
  open();
  for (int round = 0; round < 3; ++round) {
    // Killed as soon as its place has a process again, mostly before that one says that it is ready.
    for (int i = 0; i < 5; ++i) {
      kill_worker(0);
      kill_now(worker_pid(0));
    }
    kill_now(status().forkserver_pid);
    EXPECT_EQ(session_->submit(Nop{1000}, one_by_one()).wait().info.state, JobState::kDone);
    pool_is_whole();
  }
}

TEST_F(WorkerDeath, OfAForkserverThatIsStoppedIsNoticedAllTheSame) {
  open();
  const auto before = pool_is_whole();
  ASSERT_EQ(::kill(before.forkserver_pid, SIGSTOP), 0);
  // Its workers go on.
  EXPECT_EQ(session_->submit(Nop{1000}, one_by_one()).wait().info.state, JobState::kDone);
  kill_now(before.forkserver_pid);
  until([&] { return status().forkserver_pid != before.forkserver_pid; }, "there is another forkserver");
  pool_is_whole();
  EXPECT_EQ(session_->submit(Nop{1000}, one_by_one()).wait().info.state, JobState::kDone);
}

TEST_F(WorkerDeath, ThreeTimesInOneChunkFailsTheJobAndKeepsThePool) {
  open();
  // Everything is one chunk, which thus dies with each of its workers.
  SubmitOptions options;
  options.chunk_blocks = std::uint64_t{1} << 40;
  options.max_workers = 1;
  auto array = session_->create("a", DType::kFloat64, {3000, 3000});
  auto job = session_->submit(Matmul{array, array}, options);
  // The memory is reserved in phase 0, by others.
  until([&] { return job.info().chunks_done > 0; }, "the output is reserved");
  for (int death = 0; death < 3; ++death) {
    std::vector<WorkerInfo> busy;
    until([&] { return !(busy = busy_workers()).empty(); }, "a worker has the chunk");
    kill_worker(busy.front().id);
    until([&] { return status().workers[busy.front().id].replaced > busy.front().replaced; },
          "its death is noticed");
  }
  expect_failure([&] { job.wait(); }, ErrorCode::kComputationFailed,
                 {"3 workers died", "matmul", "signal 9"});
  pool_is_whole();
  EXPECT_EQ(replaced(), 3u);
  EXPECT_EQ(session_->submit(Nop{100}).wait().info.state, JobState::kDone);
  EXPECT_EQ(session_->list().size(), 1u);
}

TEST_F(WorkerDeath, IsNotWhatAStoppedWorkerIsTakenFor) {
  open();
  const auto before = pool_is_whole();
  auto array = session_->create_arange("a", DType::kInt64, {4'000'000});
  ASSERT_EQ(::kill(before.workers[1].pid, SIGSTOP), 0);
  auto job = session_->submit(Reduce{.a = array}, one_by_one());
  // The others do all that the stopped one does not hold.
  until(
      [&] {
        const auto info = job.info();
        return info.blocks_done > info.blocks_total / 4;
      },
      "the others work");
  EXPECT_EQ(job.info().state, JobState::kRunning);
  ASSERT_EQ(::kill(before.workers[1].pid, SIGCONT), 0);
  EXPECT_EQ(job.wait().scalar->as<std::int64_t>(), std::int64_t{3'999'999} * 2'000'000);
  EXPECT_EQ(replaced(), 0u);
}

// How fast is node_bench's to say.
TEST_F(WorkerDeath, IsMadeGoodEachTime) {
  open();
  for (int round = 0; round < 15; ++round) {
    const auto before = pool_is_whole();
    kill_now(before.workers[0].pid);
    WorkerInfo worker = before.workers[0];
    while (worker.pid == before.workers[0].pid || worker.pid == 0 ||
           worker.state == WorkerInfo::State::kStarting)
      worker = session_->status().workers[0];
    EXPECT_EQ(worker.replaced, before.workers[0].replaced + 1);
  }
}

}  // namespace
}  // namespace parcompute::testing
