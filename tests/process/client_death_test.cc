// Clients that are killed: what goes with them, and what stays.
#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test_client.h"

namespace parcompute::testing {
namespace {

class ClientDeath : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2, 256 * kMebibyte, 0);
  }
};

TEST_F(ClientDeath, TakesAnonymousArraysAndUndetachedJobsAlong) {
  TestClient client({"hold", socket().native()});
  std::uint64_t detached = 0;
  std::uint64_t going = 0;
  std::istringstream(client.words()) >> detached >> going;
  auto session = connect();
  EXPECT_EQ(session.list().size(), 3u);
  EXPECT_EQ(session.find_job(going).info().state, JobState::kRunning);

  client.kill();
  until([&] { return session.find_job(going).info().state == JobState::kCancelled; }, "its job is cancelled");
  until([&] { return session.list().size() == 2; }, "its anonymous array is gone");

  // The rest stays.
  EXPECT_EQ(session.find("kept").size(), 10u);
  EXPECT_EQ(session.find_job(detached).wait().info.state, JobState::kDone);
  const auto expected = escape_counts({.nx = 200, .ny = 100, .max_iter = 100});
  EXPECT_TRUE(std::ranges::equal(session.find("picture").view<const std::int64_t>(), expected));
  EXPECT_EQ(segments().size(), 2u);
}

TEST_F(ClientDeath, BeforeItsDetachedJobBeganLetsThatJobEnd) {
  freeze_workers();
  TestClient client({"hold", socket().native()});
  auto session = connect();
  // The array's pages are made by workers: the client has come no further than to ask for it.
  until([&] { return session.status().jobs_running == 1; }, "the client's first request is there");
  client.kill();
  until([&] { return session.list().empty(); }, "its array is gone");
  thaw_workers();
  until([&] { return session.status().jobs_running == 0; }, "its job is gone");
  EXPECT_TRUE(segments().empty());
  EXPECT_EQ(session.submit(Nop{10}).wait().info.state, JobState::kDone);
}

TEST_F(ClientDeath, OfManyAtOnceCostsTheServerNothing) {
  const pid_t server = status().server_pid;
  pool_is_whole();
  const std::size_t before = descriptors_of(server);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<TestClient>> clients;
    for (int i = 0; i < 5; ++i)
      clients.push_back(std::make_unique<TestClient>(std::vector<std::string>{"read", socket().native()}));
    for (const auto& client : clients) EXPECT_EQ(client->words(), "waiting");
    for (const auto& client : clients) client->kill();
    until([&] { return status().sessions == 1 && status().jobs_running == 0; },
          "their sessions and jobs are gone");
  }
  until([&] { return descriptors_of(server) == before; }, "its descriptors are closed");
}

TEST_F(ClientDeath, OfTheOwnerEndsItsPrivateServer) {
  // The fixture's own server: its lifeline is this process's, and end_server() closes it as death would.
  const Status last = pool_is_whole();
  const ProcessWatch server(last.server_pid);
  const ProcessWatch worker(last.workers[0].pid);
  auto session = connect();
  auto job = session.submit(endless(), one_by_one());
  session.create("named", DType::kUint8, {1000});
  end_server();
  EXPECT_TRUE(server.has_ended());
  EXPECT_TRUE(worker.ends_within(std::chrono::seconds(10)));
  EXPECT_TRUE(segments().empty());
  EXPECT_THROW(job.wait(), Failure);
}

}  // namespace
}  // namespace parcompute::testing
