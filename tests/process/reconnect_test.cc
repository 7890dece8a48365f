// A session whose server has gone: one call says so, the next one speaks to the server that came after it.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <vector>

#include <gmock/gmock.h>

#include "common/os/unix_socket.h"
#include "proto/channel.h"
#include "proto/limits.h"
#include "proto/parcompute.pb.h"
#include "proto/version.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

class Reconnecting : public ServerTest {
 protected:
  void expect_gone(Session& session) {
    expect_failure([&] { session.status(); }, ErrorCode::kNoServer, {"server has gone"});
  }
};

TEST_F(Reconnecting, TakesTheNextServerWhenOneCallHasFailed) {
  start_lasting();
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {1000});
  const auto view = array.view<const std::int64_t>();
  const auto first = session.status();
  kill_server();
  expect_gone(session);
  // For as long as there is none.
  expect_failure([&] { session.list(); }, ErrorCode::kNoServer, {"no server answers"});
  expect_failure([&] { session.find("a"); }, ErrorCode::kNoServer, {"no server answers"});
  start_lasting();
  EXPECT_NE(session.status().server_pid, first.server_pid);
  EXPECT_EQ(session.submit(Reduce{.a = session.find("a")}).wait().scalar->as<std::int64_t>(), 499'500);
  EXPECT_EQ(view[999], 999);
  // What is mapped is the array that the next server has.
  array.view<std::int64_t>()[0] = 500;
  EXPECT_EQ(session.submit(Reduce{.a = session.find("a")}).wait().scalar->as<std::int64_t>(), 500'000);
}

TEST_F(Reconnecting, TellsASessionThatWasIdleOnce) {
  start_lasting();
  auto session = connect();
  session.create("a", DType::kUint8, {8});
  kill_server();
  start_lasting();
  expect_gone(session);
  EXPECT_EQ(session.find("a").size(), 8u);
}

TEST_F(Reconnecting, TakesNoArrayForOneOfTheSameNumber) {
  start_lasting();
  auto session = connect();
  auto nameless = session.create_arange("", DType::kInt64, {10});
  auto named = session.create_arange("b", DType::kInt64, {10});
  const std::uint64_t numbers[] = {nameless.info().id, named.info().id};
  auto found_by_another = connect().find("b");
  kill_server();
  start_lasting();
  expect_gone(session);
  session.create("c", DType::kFloat64, {5});
  const auto now = session.list();
  ASSERT_TRUE(std::ranges::any_of(now, [&](const ArrayInfo& array) { return std::ranges::count(numbers, array.id) > 0; })) << "a number is another array's";
  expect_failure([&] { session.submit(Reduce{.a = nameless}); }, ErrorCode::kNotFound, {"anonymous array", "int64, 10", "has gone"});
  for (const Array& stale : {named, named.viewed("[::2]"), found_by_another})
    expect_failure([&] { session.submit(Reduce{.a = stale}); }, ErrorCode::kNotFound, {"array 'b'", "has gone", "find it again"});
  SubmitOptions options;
  options.into = named;
  expect_failure([&] { session.submit(session.evaluate("b + 1"), options); }, ErrorCode::kNotFound, {"array 'b'"});
  EXPECT_EQ(session.submit(session.evaluate("sum(b)")).wait().scalar->as<std::int64_t>(), 45);
  // Their last handles go now. The next server's arrays stay.
  nameless = named = Array();
  EXPECT_EQ(session.list().size(), now.size());
}

TEST_F(Reconnecting, RepeatsNothingThatWasUnderWay) {
  start_lasting();
  auto session = connect();
  auto job = session.submit(endless(), one_by_one());
  job.id();  // it is there
  kill_server();
  start_lasting();
  expect_failure([&] { job.wait(); }, ErrorCode::kNoServer, {"jobs that ran are lost"});
  EXPECT_EQ(session.jobs().size(), 0u);
  // The job stays lost, also to those who ask later, and takes nothing of the session with it.
  expect_failure([&] { job.wait(); }, ErrorCode::kNoServer);
  expect_failure([&] { job.info(); }, ErrorCode::kNoServer);
  EXPECT_EQ(session.jobs().size(), 0u);
}

TEST_F(Reconnecting, StartsAServerWhereConnectingWouldHave) {
  ConnectOptions options;
  options.socket = lasting_socket();
  std::filesystem::create_directory(options.socket.parent_path());
  std::filesystem::permissions(options.socket.parent_path(), std::filesystem::perms::owner_all);
  int started = 0;
  options.on_start = [&](const std::string&) { ++started; };
  auto session = Session::connect(options);
  const auto first = session.status();
  ASSERT_EQ(started, 1);
  session.create("a", DType::kUint8, {8});
  const ProcessWatch watch(first.server_pid);
  kill_now(first.server_pid);
  ASSERT_TRUE(watch.ends_within(kSoon));
  expect_gone(session);
  EXPECT_EQ(session.find("a").size(), 8u);
  EXPECT_EQ(started, 2);
  EXPECT_NE(session.status().server_pid, first.server_pid);
  serve_at(options.socket, session.status().server_pid);
  session.stop_server(true);
  // Whose end it asked for it does not start anew to end it again.
  expect_failure([&] { session.stop_server(); }, ErrorCode::kNoServer);
  EXPECT_EQ(started, 2);
  serve_at(options.socket, 0);
}

TEST_F(Reconnecting, KeepsThePatienceThatItWasTold) {
  start_lasting();
  auto session = connect();
  kill_server();
  start_lasting();
  expect_gone(session);
  session.set_patience(std::chrono::seconds(7));
  const pid_t server = session.status().server_pid;
  ASSERT_EQ(::kill(server, SIGSTOP), 0);
  expect_failure([&] { session.status(); }, ErrorCode::kTimeout, {"7 s", std::to_string(server)});
  ::kill(server, SIGCONT);
}

// Answers one Hello in a protocol version of its own.
class StrangeServer : public ::testing::Test {
 protected:
  Failure refusal(const std::function<void(wire::Reply&)>& answer) {
    const std::filesystem::path place = std::filesystem::path(directory_ / "s") / "control.sock";
    std::filesystem::create_directory(place.parent_path());
    std::filesystem::permissions(place.parent_path(), std::filesystem::perms::owner_all);
    const auto listener = listen_at(place);
    EXPECT_TRUE(listener);
    const auto serve = std::async(std::launch::async, [&] {
      Channel channel(UniqueFd(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC)));
      std::vector<std::byte> buffer(kMaxPacketBytes);
      Packet packet;
      if (channel.receive(buffer, packet) != Transfer::kDone) return;
      wire::Request request;
      request.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()));
      wire::Reply reply;
      reply.set_request_id(request.id());
      answer(reply);
      const std::string bytes = reply.SerializeAsString();
      channel.send(std::as_bytes(std::span(bytes)));
    });
    ConnectOptions options;
    options.socket = place;
    options.start_embedded = false;
    try {
      Session::connect(options);
    } catch (const Failure& failure) {
      return failure;
    }
    return {ErrorCode::kSystem, "it was taken for a server"};
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(StrangeServer, ThatIsNewerSaysWhichSideToUpgrade) {
  const Failure refused = refusal([](wire::Reply& reply) {
    reply.mutable_welcome()->set_version(kWireVersion + 1);
    reply.mutable_welcome()->set_server("parcompute-server 9.0");
  });
  EXPECT_EQ(refused.code(), ErrorCode::kProtocolVersion);
  EXPECT_THAT(refused.what(), ::testing::HasSubstr("parcompute-server 9.0"));
  EXPECT_THAT(refused.what(), ::testing::EndsWith("upgrade the client"));
}

TEST_F(StrangeServer, ThatIsOlderSaysWhichSideToUpgrade) {
  const Failure refused = refusal([](wire::Reply& reply) { reply.mutable_welcome()->set_version(kMinWireVersion - 1); });
  EXPECT_EQ(refused.code(), ErrorCode::kProtocolVersion);
  EXPECT_THAT(refused.what(), ::testing::EndsWith("upgrade the server"));
}

TEST_F(StrangeServer, ThatDoesNotWelcomeIsNone) {
  const Failure refused = refusal([](wire::Reply& reply) { reply.mutable_done(); });
  EXPECT_EQ(refused.code(), ErrorCode::kBadData);
  EXPECT_THAT(refused.what(), ::testing::HasSubstr("no parcompute-server"));
}

}  // namespace
}  // namespace parcompute::testing
