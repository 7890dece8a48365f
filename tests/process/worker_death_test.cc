// Workers and the forkserver die, stop and come back: jobs end right, and the pool is whole again.
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "tests/support/reference.h"
#include "tests/support/sanitized.h"
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

  // A picture of one block, which dies with each of its workers: it takes minutes, and whoever kills may be late.
  Job submit_one_block() {
    return session_->submit(
        Mandelbrot{.nx = 32, .ny = 32, .x_min = 0.2500000001, .x_max = 0.2500000002, .y_min = -1e-11, .y_max = 1e-11, .max_iter = 1'000'000'000});
  }
  // Three times the one that has the chunk; the pids.
  std::vector<std::int32_t> end_its_workers(int signal) {
    std::vector<std::int32_t> pids;
    for (int death = 0; death < 3; ++death) {
      std::vector<WorkerInfo> busy;
      until([&] { return !(busy = busy_workers()).empty(); }, "a worker has the chunk");
      pids.push_back(busy.front().pid);
      EXPECT_EQ(::kill(busy.front().pid, signal), 0);
      until([&] { return status().workers[busy.front().id].replaced > busy.front().replaced; }, "its death is noticed");
    }
    return pids;
  }

  static rlim_t first_free_descriptor(pid_t pid) {
    rlim_t fd = 0;
    while (std::filesystem::is_symlink(std::filesystem::path("/proc") / std::to_string(pid) / "fd" / std::to_string(fd))) ++fd;
    return fd;
  }
  // Memory without a name of another process; none where it cannot be had.
  static UniqueFd memory_of(pid_t pid, const std::string& label) {
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path("/proc") / std::to_string(pid) / "fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry, gone).native().starts_with("/memfd:" + label)) return UniqueFd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    }
    return {};
  }
  // Worker 1 is another, of whom the server has a number and no pidfd.
  Status reborn_without_pidfd() {
    const auto before = pool_is_whole();
    const pid_t server = before.server_pid, forkserver = before.forkserver_pid;
    // The server asks for a worker, and the forkserver is not there yet to make it.
    EXPECT_EQ(::kill(server, SIGSTOP), 0);
    kill_now(before.workers[1].pid);
    until([&] { return status_line(before.workers[1].pid, "State").empty() && status_line(forkserver, "State").starts_with("S"); }, "the worker is reaped");
    EXPECT_EQ(::kill(forkserver, SIGSTOP), 0);
    EXPECT_EQ(::kill(server, SIGCONT), 0);
    until([&] { return status().workers[1].replaced > before.workers[1].replaced; }, "the server has asked for another");
    rlimit limit{};
    EXPECT_EQ(::prlimit(server, RLIMIT_NOFILE, nullptr, &limit), 0);
    const rlimit full{first_free_descriptor(server), limit.rlim_max};
    EXPECT_EQ(::prlimit(server, RLIMIT_NOFILE, &full, nullptr), 0);
    EXPECT_EQ(::kill(forkserver, SIGCONT), 0);
    const auto whole = pool_is_whole();
    EXPECT_EQ(::prlimit(server, RLIMIT_NOFILE, &limit, nullptr), 0);
    EXPECT_EQ(count_of(describe_descriptors(server), "[pidfd]"), whole.workers.size() - 1) << describe_descriptors(server);
    return whole;
  }
  // A child that waits for its end; negative, with errno, where it cannot have this number.
  static pid_t start_with_number(pid_t wanted) {
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    arguments.set_tid = reinterpret_cast<std::uintptr_t>(&wanted);
    arguments.set_tid_size = 1;
    const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::pause();
  }
  static std::size_t count_of(std::string_view text, std::string_view word) {
    std::size_t count = 0;
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++count;
    return count;
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
  // The kernels are in the middle of their blocks this time; which, nobody knows. Nor whether a place has its next worker yet: on a busy
  // machine it takes more rounds until as many were hit.
  for (unsigned round = 0; round < 30 || replaced() < 20; ++round) {
    auto job = session_->submit(Reduce{.a = array}, one_by_one());
    kill_worker(round % 3);
    ASSERT_EQ(job.wait().scalar->as<std::int64_t>(), std::int64_t{3'999'999} * 2'000'000) << round;
  }
  pool_is_whole();
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
  auto job = submit_one_block();
  end_its_workers(SIGKILL);
  expect_failure([&] { job.wait(); }, ErrorCode::kComputationFailed,
                 {"3 workers died", "mandelbrot", "signal 9"});
  pool_is_whole();
  EXPECT_EQ(replaced(), 3u);
  EXPECT_EQ(session_->submit(Nop{100}).wait().info.state, JobState::kDone);
  EXPECT_TRUE(session_->list().empty());
}

TEST_F(WorkerDeath, IsCertifiedWhereAChunkEndsOneWorkerAfterTheOther) {
  open();
  auto job = submit_one_block();
  const std::vector<std::int32_t> pids = end_its_workers(SIGFPE);
  expect_failure([&] { job.wait(); }, ErrorCode::kComputationFailed, {"3 workers died", "[0:32] of its output", "job show"});
  const JobInfo info = job.info();
  ASSERT_TRUE(info.certificate);
  EXPECT_EQ(info.certificate->phase, 1u);
  EXPECT_EQ(info.certificate->first_block, 0u);
  EXPECT_EQ(info.certificate->slice, "[0:32]");
  ASSERT_EQ(info.certificate->deaths.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& death = info.certificate->deaths[i];
    EXPECT_EQ(death.pid, pids[i]);
    EXPECT_THAT(death.how, ::testing::HasSubstr(kSanitized ? "" : "signal 8"));
    EXPECT_GT(death.peak_bytes, 1'000'000u);
    EXPECT_FALSE(death.by_oom_killer);
    if (!kSanitized) { EXPECT_THAT(death.fault, ::testing::HasSubstr("parcompute-worker+0x")); }
  }
  EXPECT_FALSE(session_->jobs().front().certificate) << "too long for a list";
}

// The memory of the redo logs is in no array: who finds it gone meets a fault that is the worker's own, each time that the chunk
// is tried.
TEST_F(WorkerDeath, OfAFaultOfItsOwnIsCertifiedWithItsAddressAndItsStack) {
  open();
  auto array = session_->create_arange("a", DType::kInt64, {1000});
  auto other = session_->create_arange("b", DType::kInt64, {1000});
  const Status before = pool_is_whole();
  const UniqueFd redo = memory_of(before.server_pid, "parcompute-redo");
  ASSERT_TRUE(redo) << "the server's redo memory cannot be opened";
  struct stat status_of_redo {};
  ASSERT_EQ(::fstat(redo.get(), &status_of_redo), 0);
  const auto expect_numbers_from = [&](std::int64_t first) {
    std::vector<std::int64_t> expected(1000);
    std::iota(expected.begin(), expected.end(), first);
    EXPECT_THAT(array.view<const std::int64_t>(), Pointwise(Eq(), expected));
  };
  const Evaluate add_one{"a + 1", {{"a", array}}, {}};
  SubmitOptions in_place;
  in_place.into = array;

  ASSERT_EQ(::ftruncate(redo.get(), 0), 0);
  auto job = session_->submit(add_one, in_place);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(session_->submit(Reduce{.a = other}).wait().scalar->as<std::int64_t>(), 499'500) << "it is not the others' trouble";
  expect_failure([&] { job.wait(); }, ErrorCode::kComputationFailed, {"3 workers died", "[0:1000] of its output", "job show"});
  const JobInfo info = job.info();
  ASSERT_TRUE(info.certificate);
  ASSERT_EQ(info.certificate->deaths.size(), 3u);
  for (const auto& death : info.certificate->deaths) {
    EXPECT_THAT(death.how, ::testing::HasSubstr("signal 7"));
    EXPECT_THAT(death.fault, ::testing::StartsWith("at address 0x"));
    EXPECT_THAT(death.fault, ::testing::HasSubstr("\nparcompute-worker+0x"));
  }
  expect_numbers_from(0);

  ASSERT_EQ(::ftruncate(redo.get(), status_of_redo.st_size), 0);
  pool_is_whole();
  EXPECT_TRUE(session_->accept("a")) << "who was writing it died";
  EXPECT_EQ(session_->submit(add_one, in_place).wait().info.state, JobState::kDone);
  expect_numbers_from(1);
  EXPECT_EQ(replaced(), 3u);
}

TEST_F(WorkerDeath, OfASegmentThatWasTruncatedIsToldInWords) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kFloat64, {1'000'000});
  std::filesystem::resize_file("/dev/shm/" + array.info().segment_name, 64 * 1024);
  expect_failure([&] { session.submit(Reduce{.a = array}).wait(); }, ErrorCode::kComputationFailed, {"'a'", "vanished", "truncated"});
  session.remove("a");
  EXPECT_EQ(session.submit(Reduce{.a = session.create_arange("", DType::kInt64, {1000})}).wait().scalar->as<std::int64_t>(), 499'500);
}

TEST_F(WorkerDeath, IsWhatAWorkerThatStaysStoppedMeets) {
  open();
  const auto before = pool_is_whole();
  auto array = session_->create_arange("a", DType::kInt64, {4'000'000});
  ASSERT_EQ(::kill(before.workers[1].pid, SIGSTOP), 0);
  auto job = session_->submit(Reduce{.a = array}, one_by_one());
  EXPECT_EQ(job.wait().scalar->as<std::int64_t>(), std::int64_t{3'999'999} * 2'000'000);
  pool_is_whole();
  EXPECT_EQ(status().workers[1].replaced, 1u);
}

// Where the server's table of descriptors is full when a worker is born, it has nothing to end it by.
TEST_F(WorkerDeath, IsDealtOutByTheForkserverWhereTheServerHasNoPidfd) {
  open();
  const auto whole = reborn_without_pidfd();
  auto array = session_->create_arange("a", DType::kInt64, {4'000'000});
  ASSERT_EQ(::kill(whole.workers[1].pid, SIGSTOP), 0);
  auto job = session_->submit(Reduce{.a = array}, one_by_one());
  EXPECT_EQ(job.wait().scalar->as<std::int64_t>(), std::int64_t{3'999'999} * 2'000'000);
  EXPECT_NE(pool_is_whole().workers[1].pid, whole.workers[1].pid);
  EXPECT_EQ(status().workers[1].replaced, 2u);
}

// The kernel gives numbers of processes again, here at once: to one that has nothing to do with the server.
TEST_F(WorkerDeath, LeavesItsNumberToAnotherWhomTheServerDoesNotTouch) {
  open();
  for (const bool has_pidfd : {true, false}) {
    const Status before = has_pidfd ? pool_is_whole() : reborn_without_pidfd();
    const WorkerInfo& worker = before.workers[1];
    // What the server hears when it moves on: the end of the worker's socket, which is reason enough to end it, and its death.
    ASSERT_EQ(::kill(before.server_pid, SIGSTOP), 0);
    until([&] { return is_stopped(before.server_pid); }, "the server is stopped");
    kill_now(worker.pid);
    until([&] { return status_line(worker.pid, "State").empty(); }, "its number is free");
    const pid_t bystander = start_with_number(worker.pid);
    const int error_number = errno;
    ASSERT_EQ(::kill(before.server_pid, SIGCONT), 0);
    if (bystander < 0) GTEST_SKIP() << system_error("give a process the number", fmt::format("{}", worker.pid), error_number).message;
    ASSERT_EQ(bystander, worker.pid);
    until([&] { return status().workers[1].replaced > worker.replaced; }, "its death is noticed");
    const Status after = pool_is_whole();
    EXPECT_NE(after.workers[1].pid, bystander);
    EXPECT_EQ(session_->submit(Nop{1000}, one_by_one()).wait().info.state, JobState::kDone);
    EXPECT_EQ(::waitpid(bystander, nullptr, WNOHANG), 0) << "who was not the server's was ended by it";
    kill_now(bystander);
    EXPECT_EQ(wait_for(bystander), 128 + SIGKILL);
    if (kSanitized) break;  // whom a full table of descriptors confuses
  }
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

// Ends the processes that another one forks before their first instruction.
class StillbornForks {
 public:
  explicit StillbornForks(pid_t parent) : parent_(parent) {
    is_attached_ = ::ptrace(PTRACE_SEIZE, parent_, nullptr, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE) == 0;
  }
  StillbornForks(const StillbornForks&) = delete;
  StillbornForks& operator=(const StillbornForks&) = delete;
  ~StillbornForks() {
    if (!is_attached_) return;
    ::ptrace(PTRACE_INTERRUPT, parent_, nullptr, nullptr);
    int status = 0;
    // One that was forked meanwhile lives; other signals are passed on.
    while (::waitpid(parent_, &status, __WALL) == parent_ && WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_STOP) go_on(status, false);
    ::ptrace(PTRACE_DETACH, parent_, nullptr, nullptr);
  }
  bool is_attached() const { return is_attached_; }
  // How many there were, as far as the parent has come.
  int count() {
    int status = 0;
    while (::waitpid(parent_, &status, __WALL | WNOHANG) == parent_ && WIFSTOPPED(status)) go_on(status, true);
    return count_;
  }

 private:
  void go_on(int status, bool ends_children) {
    const int event = status >> 16;
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
      unsigned long child = 0;
      ::ptrace(PTRACE_GETEVENTMSG, parent_, nullptr, &child);
      const auto pid = static_cast<pid_t>(child);
      ::waitpid(pid, nullptr, __WALL);
      if (ends_children) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, __WALL);  // its parent hears of it after this
        ++count_;
      } else {
        ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
      }
    }
    ::ptrace(PTRACE_CONT, parent_, nullptr, event == 0 ? WSTOPSIG(status) : 0);
  }

  pid_t parent_;
  bool is_attached_ = false;
  int count_ = 0;
};

// Its cause would be there still: a place whose worker dies young rests for 0.2 s.
TEST_F(WorkerDeath, AtBirthTimeAfterTimeIsFollowedByARestAndInTheEndByAWorker) {
  open();
  const Status before = pool_is_whole();
  auto array = session_->create_arange("a", DType::kInt64, {1000});
  constexpr int kDeaths = 6;
  int deaths = 0;
  {
    StillbornForks workers(before.forkserver_pid);
    if (!workers.is_attached()) GTEST_SKIP() << "a process may not be traced here";
    const auto from = std::chrono::steady_clock::now();
    kill_now(before.workers[0].pid);
    until(
        [&] {
          const int now = workers.count();
          if (now == deaths) return false;
          deaths = now;
          EXPECT_EQ(session_->submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 499'500) << "the others work";
          return deaths >= kDeaths;
        },
        "the place has had its workers");
    EXPECT_GE(std::chrono::steady_clock::now() - from, std::chrono::milliseconds(200) * (kDeaths - 1));
  }
  pool_is_whole();
  EXPECT_EQ(status().workers[0].replaced, static_cast<std::uint64_t>(deaths) + 1);
  EXPECT_EQ(replaced(), static_cast<std::uint64_t>(deaths) + 1);
  EXPECT_EQ(session_->status().server_pid, before.server_pid);
}

// As long as one place has a worker, jobs wait for it. Where none has, they are told why; and the server never gives up.
TEST_F(WorkerDeath, AtBirthOfAllForLongIsToldToWhoWaitsAndForgottenWhenOneComes) {
  open();
  const Status before = pool_is_whole();
  auto array = session_->create_arange("a", DType::kInt64, {1000});
  {
    StillbornForks workers(before.forkserver_pid);
    if (!workers.is_attached()) GTEST_SKIP() << "a process may not be traced here";
    for (const WorkerInfo& worker : before.workers) kill_now(worker.pid);
    until([&] { return workers.count() > 0; }, "a worker is stillborn");
    until(
        [&] {
          workers.count();
          return std::ranges::all_of(status().workers, [](const WorkerInfo& worker) { return worker.state == WorkerInfo::State::kStarting; });
        },
        "no worker is up");
    auto job = session_->submit(Reduce{.a = array});
    until(
        [&] {
          workers.count();
          return job.info().waiting_for.find("signal 9") != std::string::npos;
        },
        "the job says what it waits for");
    until(
        [&] {
          workers.count();
          return job.info().state == JobState::kFailed;
        },
        "the job is ended");
    expect_failure([&] { job.wait(); }, ErrorCode::kSystem, {"no worker has been up", "signal 9", "try again"});
    expect_failure([&] { session_->submit(Reduce{.a = array}).wait(); }, ErrorCode::kSystem, {"no worker has been up", "signal 9"});
    const int tried = workers.count();
    until([&] { return workers.count() > tried; }, "the server tries again");
  }
  pool_is_whole();
  EXPECT_EQ(session_->submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 499'500);
  EXPECT_EQ(session_->status().server_pid, before.server_pid);
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
