// Descriptors that a client sends and that take long to close: they hold nobody up.
#include <signal.h>

#include <chrono>
#include <optional>
#include <vector>

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "proto/limits.h"
#include "tests/support/lingering.h"
#include "tests/support/npy_bytes.h"
#include "tests/support/raw_client.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::HasSubstr;

class ForeignDescriptors : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    lingering_.emplace();
    if (!lingering_->peer) GTEST_SKIP() << "no TCP connection to this machine itself can be had";
    start(2, 256 * kMebibyte, 0);
    server_ = pool_is_whole().server_pid;
    ASSERT_GT(server_, 0);
  }

  void TearDown() override {
    lingering_.reset();
    ServerTest::TearDown();
  }

  void stop_server() {
    ASSERT_EQ(::kill(server_, SIGSTOP), 0);
    until([&] { return is_stopped(server_); }, "the server is stopped");
  }
  // The server is the only one to hold it when it drops it.
  void send_lingering(RawClient& client, std::uint64_t id) {
    const int fd = lingering_->socket.get();
    stop_server();
    ASSERT_TRUE(client.send(status_request(id), std::span(&fd, 1)));
    lingering_->socket.reset();
    ASSERT_EQ(::kill(server_, SIGCONT), 0);
  }
  void let_go() { lingering_->peer.reset(); }

  std::optional<Lingering> lingering_;
  pid_t server_ = 0;
};

TEST_F(ForeignDescriptors, ThatLingerHoldNobodyUpAndAreNotTakenWithoutEnd) {
  const std::string npy = directory() / "a.npy";
  write_file(npy, npy_file(1, "<f8", false, "(4,)", std::string(32, '\0')));
  auto session = connect();
  RawClient client(socket());
  client.greet();
  send_lingering(client, 2);
  EXPECT_TRUE(client.receive()->has_failed()) << "nobody asked for it";

  // More than may wait: each is refused alone, until the server takes none.
  const std::vector<int> gifts(kMaxPacketFds, STDERR_FILENO);
  std::optional<wire::Reply> refusal;
  std::uint64_t id = 3;
  for (; id < 100; ++id) {
    refusal = client.ask(status_request(id), gifts);
    ASSERT_TRUE(refusal && refusal->has_failed());
    if (refusal->failed().code() == static_cast<std::uint32_t>(ErrorCode::kOverBudget)) break;
    EXPECT_EQ(session.submit(Reduce{.a = session.create_arange("", DType::kInt64, {1000})}).wait().scalar->as<std::int64_t>(), 499'500);
  }
  // That it came to this proves that the one in front was being closed all the while.
  EXPECT_EQ(id, 3 + 256 / kMaxPacketFds);
  EXPECT_THAT(refusal->failed().message(), HasSubstr("takes no more descriptors"));
  EXPECT_FALSE(client.receive().has_value()) << "its session is open still";
  {
    auto other = connect();
    expect_failure([&] { other.attach_npy("a", npy); }, ErrorCode::kOverBudget, {"takes no more descriptors"});
  }
  // All else goes on, also sessions that end and begin.
  for (int round = 0; round < 20; ++round) {
    auto another = connect();
    EXPECT_EQ(another.submit(Reduce{.a = another.create_arange("", DType::kInt64, {1000})}).wait().scalar->as<std::int64_t>(), 499'500);
  }
  let_go();
  until(
      [&] {
        try {
          connect().attach_npy("a", npy);
          return true;
        } catch (const Failure&) {
          return false;
        }
      },
      "files are attached again");
  EXPECT_EQ(session.submit(Reduce{.a = session.find("a")}).wait().scalar->as<double>(), 0.0);
}

TEST_F(ForeignDescriptors, ThatLieUnreadInASessionHoldNobodyUpWhenItEnds) {
  auto session = connect();
  RawClient client(socket());
  client.greet();
  // The first packet ends the session; the lingering one comes behind it.
  const int fd = lingering_->socket.get();
  stop_server();
  ASSERT_TRUE(client.send("\xff\xff"));
  ASSERT_TRUE(client.send(status_request(2), std::span(&fd, 1)));
  lingering_->socket.reset();
  ASSERT_EQ(::kill(server_, SIGCONT), 0);
  EXPECT_TRUE(client.receive()->has_failed());
  EXPECT_FALSE(client.receive().has_value());
  EXPECT_EQ(session.submit(Reduce{.a = session.create_arange("", DType::kInt64, {1000})}).wait().scalar->as<std::int64_t>(), 499'500);
}

TEST_F(ForeignDescriptors, ThatLingerDoNotKeepTheServerFromLeaving) {
  RawClient client(socket());
  client.greet();
  send_lingering(client, 2);
  EXPECT_TRUE(client.receive()->has_failed());
  const ProcessWatch server(server_);
  client.close();
  end_server();
  EXPECT_TRUE(server.ends_within(std::chrono::minutes(2)));
}

}  // namespace
}  // namespace parcompute::testing
