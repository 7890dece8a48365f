// Servers that say nothing: stopped ones, and those that accept nobody.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <ctime>
#include <future>

#include <gmock/gmock.h>

#include "common/os/socket_path.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Where the server is stopped nobody can be quick enough; where it is not, nobody may be impatient.
constexpr auto kShort = 100ms;
constexpr auto kLong = 60s;

class SilentServer : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(1);
    session_.emplace(connect());
    server_ = session_->status().server_pid;
  }
  void TearDown() override {
    if (server_ > 0) go_on();
    session_.reset();
    ServerTest::TearDown();
  }
  void stop() {
    ASSERT_EQ(::kill(server_, SIGSTOP), 0);
    until([&] { return is_stopped(server_); }, "the server is stopped");
    session_->set_patience(kShort);
  }
  void go_on() {
    ::kill(server_, SIGCONT);
    if (session_) session_->set_patience(kLong);
  }
  std::vector<std::string> words() const {
    return {std::to_string(server_), socket().native(), "does not answer", "kill -CONT " + std::to_string(server_)};
  }

  std::optional<Session> session_;
  pid_t server_ = 0;
};

TEST_F(SilentServer, IsNamedByWhoWouldConnect) {
  stop();
  ConnectOptions options;
  options.socket = socket();
  options.patience = kShort;
  expect_failure([&] { Session::connect(options); }, ErrorCode::kTimeout, words());
  go_on();
  EXPECT_EQ(connect().status().server_pid, server_);
}

TEST_F(SilentServer, IsNamedByEveryCallAndAnswersTheNextOnes) {
  session_->create("a", DType::kUint8, {8});
  stop();
  expect_failure([&] { session_->status(); }, ErrorCode::kTimeout, words());
  expect_failure([&] { session_->list(); }, ErrorCode::kTimeout, words());
  expect_failure([&] { session_->find("a"); }, ErrorCode::kTimeout, words());
  expect_failure([&] { session_->create("b", DType::kUint8, {8}); }, ErrorCode::kTimeout, words());
  go_on();
  // The late answers are not taken for those of later calls.
  EXPECT_EQ(session_->find("a").size(), 8u);
  EXPECT_EQ(session_->status().server_pid, server_);
}

// Each signal begins the wait anew.
TEST_F(SilentServer, IsNoMoreSilentToAClientThatSignalsInterrupt) {
  const auto before = ::signal(SIGUSR1, [](int) {});
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  timer_t timer{};
  ASSERT_EQ(::timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  stop();
  const itimerspec often{{0, 20'000'000}, {0, 20'000'000}};
  ASSERT_EQ(::timer_settime(timer, 0, &often, nullptr), 0);
  expect_failure([&] { session_->status(); }, ErrorCode::kTimeout, words());
  ::timer_delete(timer);
  ::signal(SIGUSR1, before);
}

TEST_F(SilentServer, IsNotWaitedForWhenItIsToLeave) {
  stop();
  expect_failure([&] { session_->stop_server(); }, ErrorCode::kTimeout, words());
  session_.reset();
}

TEST_F(SilentServer, IsToldFromAJobThatTakesLong) {
  auto job = session_->submit(endless(), one_by_one());
  EXPECT_EQ(job.info().state, JobState::kRunning);
  stop();
  // No limit, none that comes before the patience ends, and one that does; with somebody who looks on and without.
  expect_failure([&] { job.wait(); }, ErrorCode::kTimeout, words());
  expect_failure([&] { job.wait({}, kLong); }, ErrorCode::kTimeout, words());
  expect_failure([&] { job.wait([](const JobInfo&) {}); }, ErrorCode::kTimeout, words());
  session_->set_patience(kLong);
  const auto late_words = [&] {
    try {
      job.wait({}, 300ms);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code(), ErrorCode::kTimeout);
      return std::string(failure.what());
    }
    return std::string();
  };
  // Whoever has no CPU for the whole time cannot tell.
  std::string said;
  until([&] { return (said = late_words()).find("does not answer") != said.npos; }, "the server's silence is told");
  EXPECT_THAT(said, HasSubstr("has not ended within 0.3 s"));
  for (const std::string& word : words()) EXPECT_THAT(said, HasSubstr(word));
  go_on();
  // The job is none the worse for it, and silence is no part of a late one's story.
  expect_failure([&] { job.wait({}, 1ms); }, ErrorCode::kTimeout, {"has not ended within 0.001 s"});
  job.cancel();
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled);
}

TEST_F(SilentServer, IsNotAskedForWhatItHasSaid) {
  auto first = session_->submit(Nop{1});
  auto second = session_->submit(Nop{1});
  // Its end came behind the first one's, which nobody has waited for yet.
  EXPECT_EQ(second.wait({}, kLong).info.state, JobState::kDone);
  stop();
  EXPECT_EQ(first.wait({}, kLong).info.state, JobState::kDone);
}

TEST_F(SilentServer, LetsAJobTakeLongerThanThePatience) {
  auto job = session_->submit(endless(), one_by_one());
  // Asked again and again, and answered: what is waited for comes from elsewhere.
  session_->set_patience(6s);
  const std::uint64_t id = job.id();
  auto canceller = std::async(std::launch::async, [this, id] {
    Session other = connect();
    const auto begin = std::chrono::steady_clock::now();
    until([&] { return std::chrono::steady_clock::now() - begin > 13s; }, "more than twice the patience has passed");
    other.find_job(id).cancel();
  });
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled);
  canceller.get();
}

TEST_F(SilentServer, WithAFullQueueIsNoReasonToStartAnother) {
  const std::filesystem::path place = std::filesystem::path(directory() / "full") / "control.sock";
  std::filesystem::create_directory(place.parent_path());
  std::filesystem::permissions(place.parent_path(), std::filesystem::perms::owner_all);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, place.c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), generic, sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  const UniqueFd first(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ASSERT_EQ(::connect(first.get(), generic, sizeof address), 0);
  const auto lock = lock_socket(place, {}, false);
  ASSERT_TRUE(lock && *lock);
  ConnectOptions options;
  options.socket = place;
  options.patience = kShort;
  expect_failure([&] { Session::connect(options); }, ErrorCode::kTimeout, {std::to_string(::getpid()), "does not answer"});
}

}  // namespace
}  // namespace parcompute::testing
