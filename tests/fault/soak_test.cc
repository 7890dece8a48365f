// The ordinary day, long: after it the coordinator and the forkserver are no larger than before.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "proto/limits.h"
#include "tests/fault/campaign.h"
#include "tests/fault/in_place.h"
#include "tests/fault/job_mix.h"
#include "tests/fault/victims.h"
#include "tests/fault/wanderer.h"
#include "tests/support/test_client.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

// What the coordinator may grow by after warm-up. Freed memory is not always given back, and which pages stay varies by some
// hundred KiB from one moment to the next. In its shortest form the campaign runs 40,000 jobs after warm-up: a leak of 32 bytes
// a job shows. In an hour it is some ten million.
constexpr std::uint64_t kMayGrow = 1024 * 1024;
constexpr std::uint64_t kEnoughJobs = kSanitized ? 2'000 : 40'000;
constexpr std::size_t kTinyJobs = 100;

class Soak : public Campaign {
 protected:
  bool is_explained(const Failure& failure) const override { return is_by_third_death(failure); }

  // Everything that clients do, until `enough` says so; then silence.
  void work(const JobMix& mix, const std::function<bool()>& goes_on) {
    employ(3, [&](CampaignClient& client) { live(client, mix); });
    std::unique_ptr<TestClient> wanderer;
    while (goes_on()) {
      // A client that comes and is killed, a worker that dies.
      wanderer = std::make_unique<TestClient>(std::vector<std::string>{"wander", socket().native(), std::to_string(dice()())});
      pause(100ms);
      wanderer->kill();
      if (const std::string words = wanderer->last_words(); !words.empty()) wrong("a client process: " + words);
      take_leftovers_away();
      const Status now = status();
      ++tallies_.faults;
      if (has_worked()) tallies_.faults += signal_child(now.forkserver_pid, now.workers[below(dice(), now.workers.size())].pid, SIGKILL);
    }
    dismiss();
    if (!holds_within(kRest, [&] { return status().sessions == 1 && status().jobs_running + status().jobs_queued == 0; }))
      leaked("sessions or jobs stay");
    take_leftovers_away();
  }

  void take_leftovers_away() {
    auto session = connect();
    for (const ArrayInfo& array : session.list())
      if (array.name.starts_with(kWandererPrefix)) session.remove(array.name);
  }

  void live(CampaignClient& client, const JobMix& mix) {
    const auto array = choose_in_place_array(client);
    array->make(client);
    for (int i = 0; i < 10 && !is_dismissed(); ++i) {
      for (int batch = 0; batch < 4; ++batch) tiny_jobs(client);
      mix.run_one(client);
      array->change(client);
    }
    array->remove(client);
  }

  // One behind the other, as fast as they are taken.
  void tiny_jobs(CampaignClient& client) {
    client.doing("tiny jobs");
    auto array = client.session().create_arange("", DType::kInt64, {10});
    std::deque<Job> jobs;
    for (std::size_t i = 0; i < kTinyJobs; ++i) jobs.push_back(client.session().submit(Reduce{.a = array}));
    for (Job& job : jobs)
      if (client.wait(job).scalar->as<std::int64_t>() != 45) client.wrong("the sum of ten numbers is another one");
  }
};

TEST_F(Soak, LeavesTheCoordinatorAsSmallAsAfterItsFirstMinutes) {
  const JobMix mix;
  start(2, 192 * kMebibyte);
  {
    auto session = connect();
    JobMix::make_operands(session);
    session.create_arange(kWandererSource, DType::kInt64, {kWandererSize});
    session.create_arange(kWandererTarget, DType::kInt64, {kWandererSize});
  }
  remember_rest();
  // Ended jobs are remembered, the last ones of them, and buffers grow to what is needed at most: then it is warm.
  const std::uint64_t warm = std::max<std::uint64_t>(4 * kMaxEndedJobs, kEnoughJobs / 4);
  const double warm_seconds = std::min(60.0, wanted_seconds() / 4);
  work(mix, [&] { return !is_over() && (tallies_.jobs < warm || elapsed_seconds() < warm_seconds); });
  expect_rest();
  const pid_t server = status().server_pid;
  const std::uint64_t before = resident_bytes(server);
  // Workers die all the time; the forkserver lives as long as the server.
  const pid_t forkserver = status().forkserver_pid;
  const std::uint64_t forkserver_before = resident_bytes(forkserver);
  const std::uint64_t jobs_before = tallies_.jobs;
  work(mix, [&] { return goes_on(tallies_.jobs - jobs_before, kEnoughJobs); });
  expect_rest();
  const std::uint64_t after = resident_bytes(server);
  std::printf("resident: %llu KiB after %llu jobs, %llu KiB after %llu more\n", static_cast<unsigned long long>(before / 1024),
              static_cast<unsigned long long>(jobs_before), static_cast<unsigned long long>(after / 1024),
              static_cast<unsigned long long>(tallies_.jobs - jobs_before));
  if (!kSanitized && after > before + kMayGrow) leaked(fmt::format("the coordinator grew from {} to {} bytes", before, after));
  EXPECT_EQ(status().forkserver_pid, forkserver);
  if (const std::uint64_t now = resident_bytes(forkserver); !kSanitized && now > forkserver_before + kMayGrow)
    leaked(fmt::format("the forkserver grew from {} to {} bytes", forkserver_before, now));
}

}  // namespace
}  // namespace parcompute::testing
