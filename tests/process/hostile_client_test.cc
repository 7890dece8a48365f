// Clients that break the protocol, by accident or on purpose: each costs only itself.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <random>

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "proto/limits.h"
#include "proto/version.h"
#include "tests/support/raw_client.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::HasSubstr;

class HostileClient : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2, 256 * kMebibyte, 0);
    witness_.emplace(connect("witness"));
    server_pid_ = pool_is_whole().server_pid;
    sessions_ = witness_->status().sessions;
    descriptors_ = descriptors_of(server_pid_);
  }

  // After whatever was done: the server serves, has forgotten the attacker, and holds what it held before.
  void TearDown() override {
    if (witness_) {
      until([&] { return witness_->status().sessions == sessions_; }, "the attacker's sessions are gone");
      auto array = witness_->create_arange("", DType::kInt64, {1000});
      EXPECT_EQ(witness_->submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 499'500);
      array = Array();
      EXPECT_TRUE(witness_->list().empty());
      EXPECT_EQ(witness_->status().server_pid, server_pid_);
      until([&] { return descriptors_of(server_pid_) == descriptors_; }, "what the attacker sent is closed");
      EXPECT_EQ(replaced(), 0u);
    }
    witness_.reset();
    ServerTest::TearDown();
  }

  static void expect_refusal(const std::optional<wire::Reply>& reply, ErrorCode code,
                             const std::string& words, std::uint64_t request_id) {
    ASSERT_TRUE(reply.has_value()) << "the session was closed without a word";
    ASSERT_TRUE(reply->has_failed());
    EXPECT_EQ(reply->failed().code(), static_cast<std::uint32_t>(code)) << reply->failed().message();
    EXPECT_THAT(reply->failed().message(), HasSubstr(words));
    EXPECT_EQ(reply->request_id(), request_id);
  }

  std::optional<Session> witness_;
  pid_t server_pid_ = 0;
  std::uint64_t sessions_ = 0;
  std::size_t descriptors_ = 0;
};

TEST_F(HostileClient, WithGarbageIsToldAndClosed) {
  RawClient client(socket());
  ASSERT_TRUE(client.send("\xff\xff\xff\xff not protobuf"));
  expect_refusal(client.receive(), ErrorCode::kBadData, "no request", 0);
  EXPECT_FALSE(client.receive().has_value());
}

TEST_F(HostileClient, WithRandomPacketsOfEverySizeHarmsNobody) {
  std::minstd_rand random(11);
  for (int round = 0; round < 200; ++round) {
    RawClient client(socket());
    if (round % 2 == 0) client.greet();
    std::string bytes(1 + random() % 2000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    client.send(bytes);
    client.send(bytes.substr(bytes.size() / 2));
  }
}

TEST_F(HostileClient, WithMutatedRequestsHarmsNobody) {
  std::minstd_rand random(12);
  wire::Request submit = request(2);
  submit.mutable_submit_job()->mutable_operation()->mutable_mandelbrot()->set_nx(3);
  submit.mutable_submit_job()->mutable_operation()->mutable_mandelbrot()->set_ny(3);
  submit.mutable_submit_job()->set_anonymous_output(true);
  const std::string good = submit.SerializeAsString();
  for (int round = 0; round < 300; ++round) {
    RawClient client(socket());
    client.greet();
    std::string bytes = good;
    for (unsigned flips = 1 + static_cast<unsigned>(random() % 3); flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    client.send(bytes);
    client.send(status_request(3));
    // Whatever became of it, an answer or the end of the session comes.
    client.receive();
  }
  until([&] { return witness_->status().jobs_running == 0; }, "jobs of the mutants are over");
}

TEST_F(HostileClient, WithAnEmptyPacketIsTakenForGone) {
  RawClient client(socket());
  client.greet();
  client.send("");
  EXPECT_FALSE(client.receive().has_value());
}

TEST_F(HostileClient, WithoutHelloIsAnsweredAndMayStillGreet) {
  RawClient client(socket());
  expect_refusal(client.ask(status_request(7)), ErrorCode::kInvalidArgument, "before Hello", 7);
  wire::Request stop = request(8);
  stop.mutable_stop();
  expect_refusal(client.ask(stop), ErrorCode::kInvalidArgument, "before Hello", 8);
  client.greet();
  EXPECT_TRUE(client.ask(status_request(9))->has_status_reported());
}

TEST_F(HostileClient, WithTwoHellosIsRefused) {
  RawClient client(socket());
  client.greet();
  expect_refusal(client.ask(hello_request()), ErrorCode::kInvalidArgument, "twice", 1);
  EXPECT_TRUE(client.ask(status_request(2))->has_status_reported());
}

TEST_F(HostileClient, OfANewerProtocolIsToldToUpgradeTheServer) {
  RawClient client(socket());
  wire::Request hello = hello_request();
  hello.mutable_hello()->set_min_version(kWireVersion + 1);
  hello.mutable_hello()->set_max_version(kWireVersion + 5);
  expect_refusal(client.ask(hello), ErrorCode::kProtocolVersion, "upgrade the server", 1);
}

TEST_F(HostileClient, OfAnOlderProtocolIsToldToUpgradeTheClient) {
  RawClient client(socket());
  wire::Request hello = hello_request();
  hello.mutable_hello()->set_min_version(0);
  hello.mutable_hello()->set_max_version(kMinWireVersion - 1);
  expect_refusal(client.ask(hello), ErrorCode::kProtocolVersion, "upgrade the client", 1);
}

TEST_F(HostileClient, ThatSpeaksNewerVersionsTooIsWelcome) {
  RawClient client(socket());
  wire::Request hello = hello_request();
  hello.mutable_hello()->set_max_version(kWireVersion + 5);
  const auto reply = client.ask(hello);
  ASSERT_TRUE(reply && reply->has_welcome());
  EXPECT_EQ(reply->welcome().version(), kWireVersion);
  EXPECT_EQ(reply->welcome().workers(), 2u);
}

TEST_F(HostileClient, WithARequestOfTheFutureIsRefusedAlone) {
  RawClient client(socket());
  client.greet();
  // Field 500 of Request, a message: known to no server yet.
  std::string future = request(4).SerializeAsString() + std::string(
                                                            "\xa2\x1f\x03"
                                                            "abc");
  ASSERT_TRUE(client.send(future));
  expect_refusal(client.receive(), ErrorCode::kUnsupported, "unknown", 4);
  EXPECT_TRUE(client.ask(status_request(5))->has_status_reported());
}

TEST_F(HostileClient, WithAPacketOf64KiBIsServed) {
  RawClient client(socket());
  wire::Request hello = hello_request();
  std::string name(kMaxPacketBytes, 'n');
  hello.mutable_hello()->set_client(name);
  name.resize(name.size() - (hello.ByteSizeLong() - kMaxPacketBytes));
  hello.mutable_hello()->set_client(name);
  ASSERT_EQ(hello.ByteSizeLong(), kMaxPacketBytes);
  const auto reply = client.ask(hello);
  EXPECT_TRUE(reply && reply->has_welcome());
}

TEST_F(HostileClient, WithAPacketOverTheLimitIsClosed) {
  RawClient client(socket());
  client.greet();
  ASSERT_TRUE(client.send(std::string(kMaxPacketBytes + 1, 'x')));
  EXPECT_FALSE(client.receive().has_value());
}

TEST_F(HostileClient, OfAHugeNameInAnOldProtocolGetsARefusalThatFits) {
  RawClient client(socket());
  wire::Request hello = hello_request();
  hello.mutable_hello()->set_min_version(kWireVersion + 1);
  hello.mutable_hello()->set_max_version(kWireVersion + 1);
  hello.mutable_hello()->set_client(std::string(kMaxPacketBytes - 100, 'n'));
  expect_refusal(client.ask(hello), ErrorCode::kProtocolVersion, "upgrade", 1);
}

TEST_F(HostileClient, WithDescriptorsThatNobodyAskedForLosesThem) {
  RawClient client(socket());
  client.greet();
  const UniqueFd memory(::memfd_create("gift", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(memory.get(), 10 << 20), 0);
  const std::vector<int> gifts(3, memory.get());
  for (std::uint64_t id = 2; id < 50; ++id)
    expect_refusal(client.ask(status_request(id), gifts), ErrorCode::kInvalidArgument, "3", id);
  until([&] { return descriptors_of(server_pid_) == descriptors_ + 1; }, "they are closed");
}

TEST_F(HostileClient, WithTooManyDescriptorsIsRefusedAndTheyAreClosed) {
  RawClient client(socket());
  client.greet();
  for (const std::size_t count : {kMaxPacketFds + 1, std::size_t{253}}) {
    const std::vector<int> gifts(count, STDERR_FILENO);
    expect_refusal(client.ask(status_request(count), gifts), ErrorCode::kOverBudget, "descriptors", count);
    until([&] { return descriptors_of(server_pid_) == descriptors_ + 1; }, "they are closed");
  }
  EXPECT_TRUE(client.ask(status_request(5))->has_status_reported());
}

TEST_F(HostileClient, WithGarbageAndDescriptorsLosesBoth) {
  RawClient client(socket());
  const std::vector<int> gifts(10, STDERR_FILENO);
  ASSERT_TRUE(client.send("\xff\xff", gifts));
  expect_refusal(client.receive(), ErrorCode::kBadData, "no request", 0);
  EXPECT_FALSE(client.receive().has_value());
}

TEST_F(HostileClient, ThatLeavesInMidConversationIsForgotten) {
  for (int round = 0; round < 20; ++round) {
    RawClient client(socket());
    client.send(hello_request());
    for (std::uint64_t id = 2; id < 60; ++id)
      client.send_now(id % 2 == 0 ? status_request(id) : endless_request(id, false));
    client.close();
  }
  until([&] { return witness_->status().jobs_running == 0; }, "its jobs are over");
}

TEST_F(HostileClient, ThatNeverReadsIsClosedWhileOthersAreServed) {
  RawClient client(socket());
  client.greet();
  std::uint64_t sent = 0;
  const auto is_closed = [&] {
    // As fast as they are taken, a hundred at a time.
    for (int i = 0; i < 100; ++i) sent += client.send(status_request(2 + sent)) ? 1 : 0;
    EXPECT_EQ(witness_->status().server_pid, server_pid_);
    return witness_->status().sessions == sessions_;
  };
  until(is_closed, "who reads no answer is closed");
  EXPECT_GE(sent, kMaxQueuedReplies / 2);
}

TEST_F(HostileClient, ThatOnlyConnectsCostsOneDescriptorAndNoTime) {
  std::vector<RawClient> silent;
  for (int i = 0; i < 200; ++i) silent.emplace_back(socket());
  until([&] { return witness_->status().sessions == sessions_ + 200; }, "all are there");
  EXPECT_EQ(descriptors_of(server_pid_), descriptors_ + 200);
}

TEST_F(HostileClient, OneTooManyIsRefusedWithAWord) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < kMaxSessions + 200)
    GTEST_SKIP() << "only " << limit.rlim_cur << " descriptors are allowed";
  std::vector<RawClient> crowd;
  while (crowd.size() + sessions_ < kMaxSessions) crowd.emplace_back(socket()).greet();
  RawClient late(socket());
  expect_refusal(late.receive(), ErrorCode::kOverBudget, "sessions", 0);
  EXPECT_FALSE(late.receive().has_value());
  expect_failure([&] { connect(); }, ErrorCode::kOverBudget, {"sessions"});
  crowd.clear();
  until([&] { return witness_->status().sessions == sessions_; }, "the crowd is gone");
  connect();
}

TEST_F(HostileClient, WithTooManyWaitsIsRefusedTheNextOne) {
  RawClient client(socket());
  client.greet();
  std::uint64_t id = 2;
  // One endless job, and as many waits for it as there may be.
  ASSERT_TRUE(client.send(endless_request(id++, false)));
  wire::Request wait = request(0);
  wait.mutable_wait_job()->mutable_job()->set_request(2);
  for (std::size_t waits = 1; waits < kMaxPendingRequests; ++waits) {
    wait.set_id(id++);
    ASSERT_TRUE(client.send(wait));
  }
  wait.set_id(id);
  expect_refusal(client.ask(wait), ErrorCode::kOverBudget, "waits for 4096 jobs", id);
}

TEST_F(HostileClient, OfAnotherUserIsNotAdmitted) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  // The socket's mode keeps others away; so open it, as if that were forgotten.
  std::filesystem::permissions(socket().parent_path(), std::filesystem::perms::all);
  std::filesystem::permissions(socket(), std::filesystem::perms::all);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    RawClient client(socket());
    client.send(hello_request());  // it may be closed already, with the reason waiting
    const auto reply = client.receive();
    const bool refused = reply && reply->has_failed() &&
                         reply->failed().code() == static_cast<std::uint32_t>(ErrorCode::kNotPermitted);
    ::_exit(refused ? 0 : 1);
  }
  EXPECT_EQ(wait_for(child), 0);
}

}  // namespace
}  // namespace parcompute::testing
