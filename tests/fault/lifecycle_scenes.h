// LifecycleKills: how each state of each lifecycle is entered and held, what is killed in it, and what is looked at afterwards.
// Each step is a member by a name of its own, so that lifecycle_kills_test.cc can put them together in a table.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "common/os/child_process.h"
#include "common/shm/segment_header.h"
#include "tests/fault/victims.h"
#include "tests/support/raw_client.h"
#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {

enum class Victim { kWorker, kForkserver, kCoordinator, kClient };
inline constexpr const char* kVictims[] = {"Worker", "Forkserver", "Coordinator", "Client"};

// What may be under the name "made" afterwards; several where it is the machine's to say.
enum Made : unsigned {
  kAbsent = 1,
  kCut = 2,     // marked incomplete
  kBefore = 4,  // whole, as it was before the job
  kAfter = 8,   // whole, and what the job makes of it
};

// Whoever a state belongs to: a session and its job.
struct Owner {
  std::optional<RawClient> stranger;  // connected, and no more
  std::optional<Session> session;
  std::optional<Job> job;
  std::optional<Array> array;  // that it has mapped
};

class LifecycleKills;

struct Scene {
  const char* state;
  void (LifecycleKills::*prepare)();      // before the owner acts
  void (LifecycleKills::*act)(Owner&);    // in a process of its own where the client is the victim
  void (LifecycleKills::*hold)();         // returns when the state is there, and stays
  std::optional<JobState> job;            // how the job ends where workers die
  std::optional<JobState> orphan;         // and where its client does
  unsigned made, made_after_restart, made_without_client;
  const char* no_worker = nullptr;        // why these cannot be killed in this state
  const char* no_forkserver = nullptr;
  std::uint64_t spare_bytes = 0;          // most that the server keeps for the next arrays
};

struct Cell {
  const Scene* scene;
  Victim victim;
};

class LifecycleKills : public ServerTest, public ::testing::WithParamInterface<Cell> {
 public:
  // ---- prepare
  void nothing() {}
  void freeze() { freeze_workers(); }
  // The other one computes.
  void freeze_second() {
    second_ = worker_pids().at(1);
    ASSERT_EQ(::kill(second_, SIGSTOP), 0);
    until([&] { return is_stopped(second_); }, "the second worker is stopped");
  }
  // A forkserver that has not come as far as to fork: its workers are starting until it moves on. Where a worker is the victim,
  // one that is there and has not said so.
  void hold_back_workers() {
    for (int attempt = 0; attempt < 300; ++attempt) {
      const Status before = pool_is_whole();
      const bool wants_worker = GetParam().victim == Victim::kWorker;
      const pid_t parent = wants_worker ? before.forkserver_pid : server_pid();
      const auto others = children_of(parent);
      kill_now(wants_worker ? before.workers[0].pid : before.forkserver_pid);
      // Before a forkserver is the worker program, the server itself waits for it to be that.
      const auto is_new = [&](pid_t child) {
        return std::ranges::find(others, child) == others.end() && (wants_worker || status_line(child, "Name") == "parcompute-work");
      };
      held_ = 0;
      const auto look = [&] {
        for (int i = 0; i < 2000 && held_ == 0; ++i)  // without a pause: some are young for a moment only
          for (const pid_t child : children_of(parent))
            if (is_new(child)) held_ = child;
        return held_ != 0;
      };
      until(look, "there is a new process");
      ASSERT_EQ(::kill(held_, SIGSTOP), 0);
      until([&] { return is_stopped(held_); }, "the new process is stopped");
      if (is_starting(0) && (wants_worker || (is_starting(1) && worker_pid(0) == 0))) return;
      ASSERT_EQ(::kill(held_, SIGCONT), 0);  // it was quicker
      ASSERT_TRUE(wants_worker || attempt < 4) << "no forkserver was caught before it forked, and the server has no patience with more of them";
    }
    FAIL() << "no process was caught before it was ready";
  }
  // There will be no next forkserver, for some seconds at least: the server tries a few times, with longer and longer pauses.
  void take_program_away() {
    freeze_workers();
    std::filesystem::remove(program_);
    is_program_away_ = true;
  }
  void make() {
    connect().create_arange("made", DType::kInt64, {kNumbers});
    others_are_gone();
  }
  void make_and_freeze() {
    make();
    freeze();
  }
  // Both workers have it.
  void make_and_use_and_freeze() {
    make();
    auto session = connect();
    until(
        [&] {
          EXPECT_EQ(session.submit(Reduce{.a = session.find("made")}, one_by_one()).wait().scalar->as<std::int64_t>(), kNumbers * (kNumbers - 1) / 2);
          return std::ranges::all_of(status().workers, [&](const WorkerInfo& worker) { return maps(worker.pid, "made"); });
        },
        "the workers have the array");
    freeze();
  }

  // ---- act
  void knock(Owner& owner) { owner.stranger.emplace(socket()); }
  void greet(Owner& owner) { owner.session.emplace(connect("owner")); }
  void draw(Owner& owner) { submit(owner, grid_, "made"); }
  void make_and_remove(Owner& owner) {
    greet(owner);
    owner.session->create_arange("made", DType::kInt64, {kNumbers});
    owner.session->remove("made");
  }
  void remove(Owner& owner) {
    greet(owner);
    owner.session->remove("made");
  }
  void map_and_remove(Owner& owner) {
    greet(owner);
    owner.array.emplace(owner.session->create_arange("made", DType::kInt64, {kNumbers}));
    EXPECT_EQ(owner.array->view<const std::int64_t>().size(), static_cast<std::size_t>(kNumbers));
    owner.session->remove("made");
  }
  void double_given(Owner& owner) {
    greet(owner);
    submit(owner, Evaluate{"a * 2", {{"a", owner.session->find("given")}}, {}}, "made");
  }
  void count_up(Owner& owner) {
    greet(owner);
    SubmitOptions options = one_by_one();
    options.into = owner.session->find("made");
    owner.job.emplace(owner.session->submit(Evaluate{"a + 1", {{"a", options.into}}, {}}, options));
  }
  void count_up_and_cancel(Owner& owner) {
    count_up(owner);
    owner.job->cancel();
  }
  void queue(Owner& owner) {
    draw(owner);
    owner.job.emplace(owner.session->submit(Reduce{.a = owner.session->find("made")}));
  }
  // Nearly every element is too large. Nothing needs to be reserved by workers first.
  void count_too_few_bins(Owner& owner) {
    greet(owner);
    submit(owner, Bincount{.a = owner.session->find("given"), .length = 5, .weights = {}}, "made");
  }
  void draw_and_cancel(Owner& owner) {
    draw(owner);
    owner.job->cancel();
  }
  void draw_to_the_end(Owner& owner) {
    draw(owner);
    owner.job->wait();
  }
  void fail_to_the_end(Owner& owner) {
    count_too_few_bins(owner);
    expect_failure([&] { owner.job->wait(); }, ErrorCode::kInvalidArgument, {"given"});
  }
  void cancel_to_the_end(Owner& owner) {
    greet(owner);
    owner.job.emplace(owner.session->submit(endless(), one_by_one()));
    owner.job->cancel();
    expect_failure([&] { owner.job->wait(); }, ErrorCode::kCancelled);
  }

  // ---- hold
  void is_known() { until([&] { return status().sessions == 2; }, "the session is known"); }
  void is_spare() { until([&] { return status().memory_spare_bytes > 0; }, "the memory is kept"); }
  void is_held() { until([&] { return status().memory_held_bytes > 0; }, "the memory is still in use"); }
  void is_freeing() { until([&] { return status().memory_freeing_bytes > 0; }, "the memory is being given back"); }
  void is_in_hand() {
    until([&] { return std::ranges::count(status().workers, WorkerInfo::State::kBusy, &WorkerInfo::state) > 0; }, "a worker holds a chunk");
  }
  void is_being_made() {
    is_in_hand();
    EXPECT_TRUE(connect().find("made").info().incomplete);
  }
  void is_cut() {
    thaw_workers();
    until([&] { return connect().find("made").info().incomplete && status().jobs_running == 0; }, "the array is incomplete");
  }
  void is_starting_only() {
    EXPECT_TRUE(is_starting(0));
    EXPECT_TRUE(GetParam().victim == Victim::kWorker || status().jobs_running == 1);
  }
  void is_leaving() {
    const Status before = status();
    is_in_hand();
    kill_now(before.forkserver_pid);
    Status now;
    // A worker that is starting has no pid yet.
    until([&] { return std::ranges::all_of((now = status()).workers, [](const auto& worker) { return worker.state == WorkerInfo::State::kStarting; }); },
          "the workers leave");
    for (std::size_t i = 0; i < now.workers.size(); ++i) EXPECT_EQ(now.workers[i].pid, before.workers[i].pid);
  }
  void is_queued() { expect_job(JobState::kQueued, {}); }
  void is_running() {
    is_in_hand();
    expect_job(JobState::kRunning, {});
  }
  void is_failing() {
    until([&] { return job_info().error_code.has_value(); }, "a chunk has failed");
    expect_job(JobState::kRunning, ErrorCode::kInvalidArgument);
  }
  void is_cancelling() {
    is_in_hand();
    expect_job(JobState::kRunning, ErrorCode::kCancelled);
  }
  void has_ended() {
    until([&] { return status().jobs_running + status().jobs_queued == 0; }, "the job has ended");
    expect_job(*GetParam().scene->job, {});
  }

 protected:
  static constexpr std::int64_t kNumbers = 400'000;

  void SetUp() override {
    ServerTest::SetUp();
    const auto program = find_program("parcompute-worker", "PARCOMPUTE_WORKER");
    ASSERT_TRUE(program) << program.error().message;
    real_program_ = *program;
    give_program_back();
    ASSERT_EQ(::setenv("PARCOMPUTE_WORKER", program_.c_str(), 1), 0);
    start_lasting(2, 3600, GetParam().scene->spare_bytes);
    pool_is_whole();
    connect().create_arange("given", DType::kInt64, {kNumbers});
    others_are_gone();  // who looks for the owner's session finds no other
  }
  void TearDown() override {
    thaw_all();
    owner_ = Owner();
    if (child_ > 0) {
      kill_now(child_);
      wait_for(child_);
    }
    ServerTest::TearDown();
    ::unsetenv("PARCOMPUTE_WORKER");
  }
  void give_program_back() {
    std::filesystem::create_symlink(real_program_, program_);
    is_program_away_ = false;
  }

  static std::vector<pid_t> children_of(pid_t parent) {
    std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", parent));
    return {std::istream_iterator<pid_t>(list), {}};
  }
  bool maps(pid_t pid, const std::string& name) {
    const std::string segment = connect().find(name).info().segment_name;
    std::ifstream maps(fmt::format("/proc/{}/maps", pid));
    for (std::string line; std::getline(maps, line);)
      if (line.ends_with("/" + segment)) return true;
    return false;
  }
  bool is_starting(std::size_t worker) { return status().workers.at(worker).state == WorkerInfo::State::kStarting; }
  void submit(Owner& owner, const Operation& operation, const std::string& output) {
    if (!owner.session) greet(owner);
    SubmitOptions options = one_by_one();
    options.output = output;
    owner.job.emplace(owner.session->submit(operation, options));
  }

  // The owner acts, here or in a process that is there to be killed.
  void let_owner_act() {
    const auto act = [&](Owner& owner) {
      (this->*GetParam().scene->act)(owner);
      return owner.job ? owner.job->id() : 0;
    };
    if (GetParam().victim != Victim::kClient) {
      job_ = act(owner_);
      return;
    }
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const UniqueFd read_end(ends[0]), write_end(ends[1]);
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Owner owner;
      const std::uint64_t job = act(owner);
      if (HasFailure() || ::write(write_end.get(), &job, sizeof job) != sizeof job) ::_exit(1);
      while (true) ::pause();
    }
    ASSERT_EQ(::read(read_end.get(), &job_, sizeof job_), static_cast<ssize_t>(sizeof job_)) << "the client did not come so far";
  }

  JobInfo job_info() { return connect().find_job(job_).info(); }
  void expect_job(JobState state, std::optional<ErrorCode> error) {
    const JobInfo info = job_info();
    EXPECT_EQ(info.state, state) << info.error;
    if (error) {
      EXPECT_EQ(info.error_code, *error) << info.error;
    }
  }

  void strike() {
    const Status now = status();
    switch (GetParam().victim) {
      case Victim::kWorker: {
        const auto busy = std::ranges::find(now.workers, WorkerInfo::State::kBusy, &WorkerInfo::state);
        const pid_t pid = held_ != 0 ? held_ : (busy != now.workers.end() ? *busy : now.workers[0]).pid;
        ASSERT_TRUE(signal_child(now.forkserver_pid, pid, SIGKILL));
        held_ = 0;
        break;
      }
      case Victim::kForkserver:
        ASSERT_TRUE(signal_child(now.server_pid, held_ != 0 ? held_ : now.forkserver_pid, SIGKILL));
        held_ = 0;
        break;
      case Victim::kCoordinator: {
        std::vector<ProcessWatch> orphans;
        for (const pid_t pid : process_tree(server_pid())) orphans.emplace_back(pid);
        kill_server_at_once();
        // What was stopped before its first instruction cannot have asked to die with its parent: it ends as soon as it goes on.
        if (held_ > 0) ::kill(std::exchange(held_, 0), SIGCONT);
        for (const ProcessWatch& orphan : orphans) EXPECT_TRUE(orphan.ends_within(kSoon)) << "a process of the dead server lives on";
        frozen_are_gone_ = true;
        break;
      }
      case Victim::kClient:
        kill_now(child_);
        EXPECT_EQ(wait_for(child_), 128 + SIGKILL);
        child_ = 0;
    }
    thaw_all();
  }
  void thaw_all() {
    if (is_program_away_) give_program_back();
    if (!frozen_are_gone_) {
      thaw_workers();
      for (const pid_t pid : {second_, held_})
        if (pid > 0) ::kill(pid, SIGCONT);
    }
    second_ = held_ = 0;
  }

  void expect_made(Session& session, unsigned may_be) {
    const auto arrays = session.list();
    const auto found = std::ranges::find(arrays, "made", &ArrayInfo::name);
    if (found == arrays.end()) {
      EXPECT_TRUE(may_be & kAbsent) << "the array is gone";
      return;
    }
    auto array = session.find("made");
    if (found->incomplete) {
      EXPECT_TRUE(may_be & kCut) << "the array is incomplete";
      expect_failure([&] { session.submit(Reduce{.a = array}).wait(); }, ErrorCode::kBadData, {"made", "incomplete"});
      return;
    }
    const auto view = array.view<const std::int64_t>();
    const auto is = [&](const auto& wanted) { return std::ranges::equal(view, wanted); };
    std::vector<std::int64_t> numbers(kNumbers), doubled(kNumbers), counted(kNumbers);
    std::iota(numbers.begin(), numbers.end(), 0);
    for (std::int64_t i = 0; i < kNumbers; ++i) {
      doubled[static_cast<std::size_t>(i)] = 2 * i;
      counted[static_cast<std::size_t>(i)] = i + 1;
    }
    EXPECT_TRUE(((may_be & kBefore) && is(numbers)) || ((may_be & kAfter) && (is(escape_counts(grid_)) || is(doubled) || is(counted))))
        << "the array's bits are others";
  }

  // What a client has mapped stays as it is, whoever dies; and goes with it.
  void expect_mapped() {
    if (!owner_.array) return;
    const auto numbers = owner_.array->view<const std::int64_t>();
    for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], static_cast<std::int64_t>(i));
    owner_.array.reset();
  }

  // Whatever was killed: what was there before is there, nothing besides, and the next job is right.
  void expect_rest(Session& session) {
    until(
        [&] {
          const Status now = session.status();
          return now.memory_spare_bytes + now.memory_held_bytes + now.memory_freeing_bytes == 0;
        },
        "the memory that nobody has is free");
    std::uint64_t bytes = 0;
    const auto arrays = session.list();
    for (const ArrayInfo& array : arrays) {
      EXPECT_TRUE(array.name == "given" || array.name == "made") << array.name;
      bytes += segment_memory(array.nbytes());
    }
    EXPECT_EQ(session.status().memory_used_bytes, bytes);
    EXPECT_EQ(segments().size(), arrays.size());
    EXPECT_EQ(session.submit(Reduce{.a = session.find("given")}).wait().scalar->as<std::int64_t>(), kNumbers * (kNumbers - 1) / 2);
    pool_is_whole();
  }

  void expect_next_server_finds(unsigned made) {
    if (owner_.session) expect_failure([&] { owner_.session->status(); }, ErrorCode::kNoServer);
    if (owner_.stranger) { EXPECT_FALSE(owner_.stranger->receive()); }
    owner_ = Owner();
    start_lasting(2, 3600, 0);
    auto session = connect();
    if (job_ != 0) expect_failure([&] { session.find_job(job_).info(); }, ErrorCode::kNotFound);
    expect_made(session, made);
    expect_rest(session);
  }

  // What became of its job, to the owner.
  void expect_told(JobState end) {
    try {
      owner_.job->wait();
      EXPECT_EQ(end, JobState::kDone);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), end == JobState::kFailed ? ErrorCode::kInvalidArgument : ErrorCode::kCancelled) << failure.what();
      EXPECT_NE(end, JobState::kDone);
    }
  }

  Owner owner_;
  std::uint64_t job_ = 0;
  pid_t child_ = 0;
  pid_t second_ = 0;  // a stopped worker
  pid_t held_ = 0;    // a stopped newborn
  bool frozen_are_gone_ = false;
  // The worker program, by a name that can be taken away.
  const std::filesystem::path program_ = directory() / "parcompute-worker";
  std::filesystem::path real_program_;
  bool is_program_away_ = false;
  // Reserved at once, so that the first chunk in hand is one of the picture's.
  const Mandelbrot grid_{.nx = 160, .ny = 200, .max_iter = 60};
};

}  // namespace parcompute::testing
