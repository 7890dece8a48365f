#include "tests/support/server_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "common/shm/segment.h"

namespace parcompute::testing {
namespace {

constexpr unsigned kWatchdogSeconds = 100;
constexpr auto kPatience = std::chrono::seconds(60);
constexpr int kPauseMs = 1;

// A lasting server would outlive a test that is ended from outside.
volatile sig_atomic_t lasting_pid = 0;

void on_end_of_patience(int number) {
  constexpr char kWords[] = "the test's watchdog: it hangs, or was told to end\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kWords, sizeof kWords - 1);
  if (lasting_pid > 0) ::kill(lasting_pid, SIGKILL);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

}  // namespace

void ServerTest::SetUp() {
  // What descends from the test and loses its parent becomes the test's child.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (const int number : {SIGALRM, SIGTERM, SIGINT}) ::signal(number, on_end_of_patience);
  ::alarm(kWatchdogSeconds);
  descriptors_before_ = descriptors_of(::getpid());
  described_before_ = describe_descriptors(::getpid());
}

void ServerTest::TearDown() {
  thaw_workers();
  control_.reset();
  server_.reset();
  // What a killed server left is for the next one to take away.
  if (killed_) start_lasting(1);
  if (lasting_pid > 0 && !ProcessWatch(lasting_pid).has_ended()) {
    try {
      connect().stop_server(true);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), ErrorCode::kNoServer) << failure.what();  // it is leaving already
    }
  }
  control_.reset();
  reap_everything();
  lasting_pid = 0;
  for (const auto& socket : sockets_) {
    EXPECT_EQ(segments_of(socket), std::vector<std::string>{})
        << "left in /dev/shm by the server at " << socket;
    EXPECT_FALSE(std::filesystem::exists(socket)) << "the server's socket is still there";
    EXPECT_FALSE(std::filesystem::exists(socket.native() + ".lock")) << "the server's lock is still there";
    if (socket != lasting_socket()) {
      EXPECT_FALSE(std::filesystem::exists(socket.parent_path()))
          << "the private server's directory is still there";
    }
  }
  EXPECT_EQ(descriptors_of(::getpid()), descriptors_before_) << "descriptors were leaked; before:\n"
                                                             << described_before_ << "now:\n"
                                                             << describe_descriptors(::getpid());
  ::alarm(0);
}

void ServerTest::reap_everything() {
  int status = 0;
  // The watchdog ends the test where a process does not end.
  while (true) {
    if (::waitpid(-1, &status, 0) >= 0) continue;
    if (errno == EINTR) continue;
    EXPECT_EQ(errno, ECHILD);
    return;
  }
}

void ServerTest::start(unsigned workers, std::uint64_t memory_bytes, std::optional<std::uint64_t> spare_bytes) {
  ServerOptions options;
  options.workers = workers;
  options.memory_bytes = memory_bytes;
  options.spare_bytes = spare_bytes;
  start_with(options);
}

void ServerTest::start_with(const ServerOptions& options) {
  control_.reset();
  server_.emplace(options);
  socket_ = server_->socket();
  sockets_.push_back(socket_);
}

void ServerTest::start_lasting(unsigned workers, std::optional<double> idle_seconds,
                               std::optional<std::uint64_t> spare_bytes) {
  control_.reset();
  ServerOptions options;
  options.socket = lasting_socket();
  options.workers = workers;
  options.memory_bytes = 256 * kMebibyte;
  options.spare_bytes = spare_bytes;
  options.idle_seconds = idle_seconds;
  if (socket_ != options.socket) socket_ = options.socket;  // other threads may be reading it
  if (std::find(sockets_.begin(), sockets_.end(), socket_) == sockets_.end()) sockets_.push_back(socket_);
  const bool may_leave = idle_seconds && *idle_seconds < 3600;
  const auto is_met = [&] {
    try {
      start_server(options);
      killed_ = false;
      server_pid_ = status().server_pid;
      return true;
    } catch (const Failure& failure) {
      control_.reset();
      // One that was idle may have left before it was met, or be leaving: then there is another.
      if (!may_leave || (failure.code() != ErrorCode::kNoServer && failure.code() != ErrorCode::kAlreadyExists)) throw;
      return false;
    }
  };
  until(is_met, "a server is met before it leaves");
  lasting_pid = server_pid_;
}

void ServerTest::serve_at(const std::filesystem::path& socket, pid_t server) {
  control_.reset();
  socket_ = socket;
  server_pid_ = server;
  lasting_pid = server;
  if (std::find(sockets_.begin(), sockets_.end(), socket_) == sockets_.end()) sockets_.push_back(socket_);
}

void ServerTest::end_server() {
  control_.reset();
  server_.reset();
}

void ServerTest::kill_server() {
  ASSERT_EQ(status().server_pid, server_pid_);
  kill_server_at_once();
}

void ServerTest::kill_server_at_once() {
  ASSERT_EQ(socket_, lasting_socket());
  // Its parent is this process, which has not reaped it: the number is its own.
  const ProcessWatch watch(server_pid_);
  kill_now(server_pid_);
  ASSERT_TRUE(watch.ends_within(kPatience));
  control_.reset();
  lasting_pid = 0;
  killed_ = true;
}

Session ServerTest::connect(const std::string& client_name) {
  ConnectOptions options;
  options.socket = socket_;
  options.start_embedded = false;
  options.client_name = client_name;
  return Session::connect(options);
}

Status ServerTest::status() {
  if (!control_) control_ = connect("test's control");
  return control_->status();
}

std::vector<pid_t> ServerTest::worker_pids() {
  std::vector<pid_t> pids;
  for (const WorkerInfo& worker : pool_is_whole().workers) pids.push_back(worker.pid);
  return pids;
}

void ServerTest::freeze_workers() {
  frozen_ = worker_pids();
  for (const pid_t pid : frozen_) ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  until([&] { return std::ranges::all_of(frozen_, is_stopped); }, "the workers are stopped");
}

void ServerTest::thaw_workers() {
  for (const pid_t pid : frozen_) ::kill(pid, SIGCONT);
  frozen_.clear();
}

void ServerTest::kill_worker(std::size_t index) {
  const pid_t pid = worker_pid(index);
  std::erase(frozen_, pid);
  kill_now(pid);
}

Status ServerTest::pool_is_whole() {
  Status last;
  const auto is_up = [](const WorkerInfo& worker) {
    return worker.state != WorkerInfo::State::kStarting && worker.pid != 0;
  };
  until(
      [&] {
        last = status();
        return std::ranges::all_of(last.workers, is_up);
      },
      "all workers are up");
  return last;
}

std::uint64_t ServerTest::replaced() {
  std::uint64_t count = 0;
  for (const WorkerInfo& worker : status().workers) count += worker.replaced;
  return count;
}

void ServerTest::others_are_gone() {
  const auto sockets_of = [](pid_t pid) {
    const std::string all = describe_descriptors(pid);
    std::size_t count = 0;
    for (auto at = all.find("socket:"); at != all.npos; at = all.find("socket:", at + 1)) ++count;
    return count;
  };
  until(
      [&] {
        const Status now = status();
        // Where it listens, the forkserver's, and one for each worker and session.
        return now.sessions == 1 && sockets_of(now.server_pid) == 2 + now.workers.size() + 1;
      },
      "all other sessions are gone");
}

void ServerTest::rearm_watchdog() {
  ::alarm(kWatchdogSeconds);
}

void ServerTest::until(const std::function<bool()>& condition, const std::string& what) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited in vain: " + what);
    ::poll(nullptr, 0, kPauseMs);
  }
}

std::vector<std::string> ServerTest::segments_of(const std::filesystem::path& socket) {
  auto names = list_segments(segment_prefix(::geteuid(), instance_of(socket.native())));
  return names ? *names : std::vector{names.error().message};
}

void expect_failure(const std::function<void()>& body, ErrorCode code, std::vector<std::string> words) {
  try {
    body();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code(), code) << failure.what();
    const std::string message = failure.what();
    for (const std::string& word : words)
      EXPECT_NE(message.find(word), message.npos) << "'" << word << "' in: " << message;
    return;
  }
  ADD_FAILURE() << "nothing was refused; expected: " << error_code_name(code);
}

int make_until_descriptors_are_out(Session& session, pid_t server, std::uint64_t descriptors) {
  const rlimit limit{descriptors, descriptors};
  EXPECT_EQ(::prlimit(server, RLIMIT_NOFILE, &limit, nullptr), 0);
  int made = 0;
  expect_failure(
      [&] {
        for (; made < 10'000; ++made) session.create(fmt::format("array-{}", made), DType::kFloat64, {8});
      },
      ErrorCode::kOverBudget, {"open files"});
  return made;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void kill_now(pid_t pid) {
  if (pid > 1) ::kill(pid, SIGKILL);
}

}  // namespace parcompute::testing
