// Clients that are there and do nothing, or only half of what they began; and more of them than there are descriptors.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "proto/limits.h"
#include "tests/support/raw_client.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

class Crowd : public ServerTest {
 protected:
  // Middle of so many times from a tiny job's beginning to its answer, on each of two servers in turn: whatever else the machine does
  // strikes both.
  struct Place {
    Session session;
    Array array;
    std::vector<double> seconds;
  };
  static std::array<double, 2> median_seconds(std::array<Place, 2>& places) {
    for (Place& place : places) place.seconds.clear();
    for (int i = 0; i < 401; ++i) {
      for (Place& place : places) {
        const auto from = std::chrono::steady_clock::now();
        EXPECT_EQ(place.session.submit(Reduce{.a = place.array}).wait().scalar->as<std::int64_t>(), 4950);
        place.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count());
      }
    }
    for (Place& place : places) std::ranges::nth_element(place.seconds, place.seconds.begin() + 200);
    return {places[0].seconds[200], places[1].seconds[200]};
  }
  static Place place_at(const std::filesystem::path& socket) {
    ConnectOptions options;
    options.socket = socket;
    options.start_embedded = false;
    auto session = Session::connect(options);
    auto array = session.create_arange("", DType::kInt64, {100});
    return {std::move(session), std::move(array), {}};
  }
  static double cpu_seconds(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string field;
    double ticks = 0;
    for (int number = 3; fields >> field && number <= 15; ++number)
      if (number >= 14) ticks += std::stod(field);  // utime, stime
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
};

TEST_F(Crowd, OfClientsThatFallSilentCostsThemselvesAlone) {
  start(2);
  ServerOptions options;
  options.workers = 2;
  const PrivateServer quiet(options);
  std::array places{place_at(socket()), place_at(quiet.socket())};
  Session& session = places[0].session;
  median_seconds(places);
  const pid_t server = session.status().server_pid;
  const std::uint64_t before = resident_bytes(server);

  constexpr std::uint64_t kSilent = 100;
  std::vector<RawClient> silent;
  for (std::uint64_t i = 0; i < kSilent; ++i) {
    RawClient& client = silent.emplace_back(socket());
    // Some greet and hear no more; some ask and ask, and read no answer; some have a job that ends in the void.
    ASSERT_TRUE(client.send(hello_request()));
    for (std::uint64_t id = 2; i % 3 == 1 && id < 30; ++id) ASSERT_TRUE(client.send_now(status_request(id)));
    if (i % 3 == 2) {
      wire::Request job = request(2);
      job.mutable_submit_job()->mutable_operation()->mutable_nop()->set_blocks(5);
      ASSERT_TRUE(client.send(job));
    }
  }
  until([&] { return session.status().sessions == kSilent + 1; }, "the crowd is there");
  const auto [beside, alone] = median_seconds(places);
  const std::uint64_t after = resident_bytes(server);
  std::printf("a tiny job: %.1f us alone, %.1f us beside %llu silent clients, which take %.1f KiB each\n", alone * 1e6, beside * 1e6,
              static_cast<unsigned long long>(kSilent), static_cast<double>(after - std::min(before, after)) / 1024 / kSilent);
  if (!kSanitized) {
    EXPECT_LE(after, before + kSilent * 64 * 1024);
    EXPECT_LT(beside, alone * 20 + 0.01);
  }
  EXPECT_EQ(session.status().sessions, kSilent + 1) << "who breaks no rule is not sent away";
  silent.clear();
  until([&] { return session.status().sessions == 1; }, "the crowd is gone");
  EXPECT_EQ(session.status().server_pid, server);
}

// Half a handshake is none. Who is greeted may be silent for as long as it likes.
TEST_F(Crowd, OfThoseWhoSayNoHelloIsToldWhyAndSentAway) {
  start(1);
  auto session = connect();
  RawClient greeted(socket());
  greeted.greet();
  RawClient mute(socket());
  wire::Request from_the_future = hello_request();
  from_the_future.mutable_hello()->set_min_version(1'000'000);
  from_the_future.mutable_hello()->set_max_version(1'000'000);
  RawClient foreign(socket());
  EXPECT_TRUE(foreign.ask(from_the_future)->has_failed());
  for (RawClient* client : {&mute, &foreign}) {
    const auto farewell = client->receive();  // the watchdog has the patience
    ASSERT_TRUE(farewell);
    EXPECT_EQ(farewell->failed().code(), static_cast<std::uint32_t>(ErrorCode::kTimeout));
    EXPECT_NE(farewell->failed().message().find("no Hello"), std::string::npos) << farewell->failed().message();
    EXPECT_FALSE(client->receive()) << "the session is over";
  }
  until([&] { return session.status().sessions == 2; }, "their sessions are gone");
  EXPECT_TRUE(greeted.ask(status_request(2))->has_status_reported());
}

TEST_F(Crowd, OfOneWhoSaysNoHelloKeepsNoIdleServerFromLeaving) {
  start_lasting(1, 3);
  const ProcessWatch watch(server_pid());
  const RawClient mute(lasting_socket());
  leave_alone();
  EXPECT_TRUE(watch.ends_within(60s));
}

// One that asks without end, and never reads: its queue is bounded, and so is what the server takes for it.
TEST_F(Crowd, OfClientsThatNeverReadIsClosedAtABoundedPrice) {
  start(1);
  auto session = connect();
  const Status first = session.status();
  const std::uint64_t before = resident_bytes(first.server_pid);
  for (int i = 0; i < 3; ++i) {
    RawClient greedy(socket());
    greedy.greet();
    for (std::uint64_t id = 2; greedy.send(status_request(id)); ++id) ASSERT_LT(id, 10'000'000u) << "it is never closed";
    until([&] { return session.status().sessions == 1; }, "it is closed");
  }
  const std::uint64_t after = resident_bytes(first.server_pid);
  if (!kSanitized) { EXPECT_LE(after, before + 3 * kMaxQueuedBytes); }
}

TEST_F(Crowd, OfMoreThanThereAreDescriptorsWaitsWithoutWearingTheServerOut) {
  if (kSanitized) GTEST_SKIP() << kFullTableConfusesSanitizers;
  start_lasting(1, 3600, 0);
  pool_is_whole();
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {100});
  rlimit limit{};
  ASSERT_EQ(::prlimit(server_pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  const rlimit few{64, limit.rlim_max};
  ASSERT_EQ(::prlimit(server_pid(), RLIMIT_NOFILE, &few, nullptr), 0);

  std::vector<RawClient> crowd;
  for (int i = 0; i < 500; ++i) crowd.emplace_back(socket());
  until([&] { return descriptors_of(server_pid()) >= 64; }, "the table is full");
  const double from = cpu_seconds(server_pid());
  const auto begin = std::chrono::steady_clock::now();
  const ProcessWatch watch(server_pid());
  EXPECT_FALSE(watch.ends_within(2s));
  const double share = (cpu_seconds(server_pid()) - from) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("with a full table and clients at the door the server takes %.1f %% of a CPU\n", share * 100);
  EXPECT_LT(share, 0.25);
  // Who is in is served.
  EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 4950);
  EXPECT_EQ(session.status().server_pid, server_pid());

  crowd.clear();
  until([&] { return session.status().sessions <= 2; }, "the crowd is gone");
  EXPECT_EQ(connect().find("a").size(), 100u);
  ASSERT_EQ(::prlimit(server_pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
}

TEST_F(Crowd, OfDescriptorsThatNobodyWantsLeavesTheTableAsItWas) {
  start(1);
  auto session = connect();
  std::optional<RawClient> client(std::in_place, socket());
  client->greet();
  const pid_t server = pool_is_whole().server_pid;
  const std::size_t before = descriptors_of(server);
  const std::vector<int> gifts(253, STDERR_FILENO);
  for (std::uint64_t id = 2; id < 1002; ++id) {
    const auto reply = client->ask(status_request(id), gifts);
    if (reply) {
      ASSERT_TRUE(reply->has_failed()) << id;
      ASSERT_EQ(reply->failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
      continue;
    }
    // They come faster than they are closed: who sends them then is cut off.
    client.emplace(socket());
    client->greet();
  }
  client.emplace(socket());  // the last one may have been cut off, too
  client->greet();
  until([&] { return descriptors_of(server) == before; }, "all of them are closed");
  EXPECT_EQ(session.status().server_pid, server) << "the others are served";
}

}  // namespace
}  // namespace parcompute::testing
