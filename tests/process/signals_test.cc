// Signals and file size limits: what they end, and what they must not.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "common/os/child_process.h"
#include "tests/support/process_state.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

class Signals : public ServerTest {
 protected:
  ServerOptions at_lasting_socket() const {
    ServerOptions options;
    options.socket = lasting_socket();
    options.workers = 2;
    return options;
  }
  Session connect_when_up() {
    std::optional<Session> session;
    const auto is_there = [&] {
      try {
        ConnectOptions options;
        options.socket = lasting_socket();
        options.start_embedded = false;
        session = Session::connect(options);
        return true;
      } catch (const Failure&) {
        return false;
      }
    };
    until(is_there, "the server is there");
    return *session;
  }
  static void with_default_signals() {
    for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGXFSZ, SIGALRM}) ::signal(number, SIG_DFL);
  }
  static void limit_file_size(pid_t pid, rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    ASSERT_EQ(::prlimit(pid, RLIMIT_FSIZE, &limit, nullptr), 0);
  }
};

TEST_F(Signals, OfAKeyboardEndTheClientAndNotTheServerThatItStarted) {
  const pid_t client = ::fork();
  ASSERT_GE(client, 0);
  if (client == 0) {
    ::setpgid(0, 0);
    with_default_signals();
    start_server(at_lasting_socket());
    while (true) ::pause();
  }
  std::optional<Session> session = connect_when_up();
  const auto is_up = [&] {
    return std::ranges::all_of(session->status().workers, [](const auto& worker) { return worker.state != WorkerInfo::State::kStarting; });
  };
  until(is_up, "its workers are up");
  const Status before = session->status();
  ASSERT_EQ(::kill(-client, SIGINT), 0);
  EXPECT_EQ(wait_for(client), 128 + SIGINT);
  EXPECT_EQ(session->submit(Nop{100}).wait().info.state, JobState::kDone);
  const Status after = session->status();
  EXPECT_EQ(after.server_pid, before.server_pid);
  EXPECT_EQ(after.forkserver_pid, before.forkserver_pid);
  for (std::size_t i = 0; i < after.workers.size(); ++i) EXPECT_EQ(after.workers[i].pid, before.workers[i].pid);
  session->stop_server(true);
}

TEST_F(Signals, SigtermUnderLoadIsALeaveWithStatusZero) {
  start_lasting(2);
  auto session = connect();
  auto job = session.submit(endless(), one_by_one());
  job.id();
  std::vector<ProcessWatch> all;
  for (const pid_t pid : process_tree(server_pid())) all.emplace_back(pid);
  ASSERT_EQ(::kill(server_pid(), SIGHUP), 0);
  ASSERT_EQ(session.status().server_pid, server_pid()) << "a terminal that is closed ends nothing";
  ASSERT_EQ(::kill(server_pid(), SIGTERM), 0);
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled, {"server is stopping"});
  EXPECT_EQ(wait_for(server_pid()), 0);
  for (const ProcessWatch& process : all) EXPECT_TRUE(process.ends_within(60s));
  for (const char* left : {"", ".lock"}) EXPECT_FALSE(std::filesystem::exists(socket().native() + left)) << left;
  EXPECT_TRUE(segments().empty());
}

TEST_F(Signals, SigpipeReachesNoClientWhoseServerHasGone) {
  start_lasting(1);
  int ends[2], others[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::pipe(others), 0);
  UniqueFd go(ends[0]), say(ends[1]), is_ready(others[0]), be_ready(others[1]);
  const pid_t client = ::fork();
  ASSERT_GE(client, 0);
  if (client == 0) {
    with_default_signals();
    say.reset();
    auto session = connect();
    session.status();
    be_ready.reset();
    char nothing = 0;
    [[maybe_unused]] const ssize_t end = ::read(go.get(), &nothing, 1);
    for (int i = 0; i < 3; ++i) expect_failure([&] { session.status(); }, ErrorCode::kNoServer);
    ::_exit(HasFailure() ? 1 : 0);
  }
  be_ready.reset();
  char nothing = 0;
  // Not that the server counts its session: then it may still wait for its first answer.
  ASSERT_EQ(::read(is_ready.get(), &nothing, 1), 0);
  kill_server();
  say.reset();
  EXPECT_EQ(wait_for(client), 0);
}

// Whose children the kernel reaps as they end, their numbers are somebody else's when they are to be killed.
TEST_F(Signals, ChildrenAreTheServersToReapWhateverItWasStartedWith) {
  const auto program = find_program("parcompute-server", "PARCOMPUTE_SERVER");
  ASSERT_TRUE(program) << program.error().message;
  const std::filesystem::path place = lasting_socket();
  const pid_t server = ::fork();
  ASSERT_GE(server, 0);
  if (server == 0) {
    with_default_signals();
    ::signal(SIGCHLD, SIG_IGN);
    ::execl(program->c_str(), program->c_str(), "--socket", place.c_str(), "--workers", "1", nullptr);
    ::_exit(127);
  }
  Session session = connect_when_up();
  EXPECT_EQ(std::stoull(status_line(server, "SigIgn"), nullptr, 16) >> (SIGCHLD - 1) & 1, 0u);
  EXPECT_EQ(session.submit(Nop{10}).wait().info.state, JobState::kDone);
  session.stop_server(true);
  EXPECT_EQ(wait_for(server), 0);
}

// A program that ignores SIGCHLD has no children to wait for, and is told all the same why its server does not start.
TEST_F(Signals, AProgramThatIgnoresTheEndOfItsChildrenIsToldWhyThereIsNoServer) {
  const int outcome = in_child([&] {
    with_default_signals();
    ::signal(SIGCHLD, SIG_IGN);
    ::setenv("PARCOMPUTE_SERVER", "/bin/false", 1);
    ::alarm(30);
    const auto sleeps = [] {
      rusage used{};
      ::getrusage(RUSAGE_SELF, &used);
      return used.ru_nvcsw;
    };
    const long before = sleeps();
    expect_failure([&] { start_server(at_lasting_socket()); }, ErrorCode::kNoServer, {"/bin/false"});
    // One that does not end is looked at a thousand times, with a sleep after each.
    EXPECT_LT(sleeps() - before, 500);
  });
  EXPECT_EQ(outcome, 0);
}

TEST_F(Signals, AFileSizeLimitOfTheServersIsARefusalAndNoDeath) {
  start_lasting(2, 3600, 0);
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {10'000});
  const Status before = pool_is_whole();
  const auto tree = process_tree(server_pid());
  for (const pid_t pid : tree) limit_file_size(pid, 200'000);
  for (const std::int64_t bytes : {std::int64_t{250'000}, std::int64_t{1'000'000}, std::int64_t{40'000'000}})
    expect_failure([&] { session.create("b", DType::kUint8, {bytes}); }, ErrorCode::kOverBudget);
  expect_failure([&] { session.submit(Mandelbrot{.nx = 500, .ny = 500, .max_iter = 5}).wait(); }, ErrorCode::kOverBudget);
  SubmitOptions options;
  options.into = array;
  session.submit(Evaluate{"a + 1", {{"a", array}}, {}}, options).wait();
  EXPECT_EQ(array.view<const std::int64_t>()[9'999], 10'000);
  const Status after = session.status();
  EXPECT_EQ(after.arrays, 1u);
  EXPECT_EQ(after.memory_used_bytes, before.memory_used_bytes);
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_EQ(replaced(), 0u);
  for (const pid_t pid : tree) limit_file_size(pid, RLIM_INFINITY);
  session.create("b", DType::kUint8, {1'000'000});
}

TEST_F(Signals, AFileSizeLimitOfAClientsLeavesTheOldFileWhereItExports) {
  start(1);
  auto session = connect();
  session.create_arange("a", DType::kInt64, {100'000});
  const std::string file = directory() / "out.npy";
  write_file(file, "as it was");
  const int outcome = in_child([&] {
    with_default_signals();
    auto own = connect();
    limit_file_size(::getpid(), 100'000);
    expect_failure([&] { own.export_npy(own.find("a"), file); }, ErrorCode::kCannotCreate, {"out.npy", "File too large"});
    ::_exit(HasFailure() ? 1 : 0);
  });
  EXPECT_EQ(outcome, 0);
  EXPECT_EQ(read_file(file), "as it was");
  const std::filesystem::directory_iterator all(directory().path());
  EXPECT_EQ(std::distance(begin(all), end(all)), 1) << "something is left beside the file";
  session.export_npy(session.find("a"), file);
  EXPECT_GT(std::filesystem::file_size(file), 800'000u);
}

}  // namespace
}  // namespace parcompute::testing
