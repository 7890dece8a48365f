// Client processes are killed and stopped, at any point of whatever they are doing.
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "tests/fault/campaign.h"
#include "tests/fault/job_mix.h"
#include "tests/fault/victims.h"
#include "tests/fault/wanderer.h"
#include "tests/support/test_client.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kVictims = 6;
constexpr std::uint64_t kKillsPerBout = kSanitized ? 20 : 60;

class Clients : public Campaign {
 protected:
  // Many deaths, then silence: nothing may be left of them.
  void bout(const JobMix& mix) {
    employ(2, [&](CampaignClient& client) {
      for (int i = 0; i < 20 && !is_dismissed(); ++i) mix.run_one(client);
    });
    std::vector<Victim> victims(kVictims);
    for (Victim& victim : victims) victim.begin(*this);
    for (std::uint64_t kills = 0; kills < kKillsPerBout && goes_on(0, 1); ++kills) {
      pause(kSanitized ? 60ms : 12ms);
      Victim& victim = victims[below(dice(), kVictims)];
      // A stopped one keeps its place for a while: its answers pile up in its socket.
      if (!victim.is_stopped && one_in(dice(), 3)) {
        victim.is_stopped = signal_child(::getpid(), victim.client->pid(), SIGSTOP);
      } else if (victim.is_stopped && one_in(dice(), 2)) {
        victim.is_stopped = !signal_child(::getpid(), victim.client->pid(), SIGCONT);
      } else {
        victim.end(*this);
        victim.begin(*this);
      }
    }
    for (Victim& victim : victims) victim.end(*this);
    dismiss();
    look_after_detached_jobs();
    expect_rest();
  }

 private:
  struct Victim {
    std::unique_ptr<TestClient> client;
    bool is_stopped = false;

    void begin(Clients& campaign) {
      const std::uint64_t seed = campaign.dice()();
      client = std::make_unique<TestClient>(std::vector<std::string>{"wander", campaign.socket().native(), std::to_string(seed)});
      is_stopped = false;
    }
    void end(Clients& campaign) {
      client->kill();
      ++campaign.tallies_.faults;
      if (const std::string words = client->last_words(); !words.empty()) campaign.wrong("a client process: " + words);
      client.reset();
    }
  };

  // They go on without their clients, and their results are right.
  void look_after_detached_jobs() {
    const auto is_silent = [&] {
      const Status now = status();
      return now.sessions == 1 && now.jobs_running + now.jobs_queued == 0;
    };
    if (!holds_within(30s, is_silent)) wrong("sessions or jobs of dead clients stay");
    auto session = connect();
    for (const ArrayInfo& info : session.list()) {
      if (!info.name.starts_with(kWandererPrefix)) continue;
      ++left_;
      auto array = session.find(info.name);
      std::int64_t twice = -2;
      if (info.incomplete ||
          !std::ranges::all_of(array.view<const std::int64_t>(), [&](std::int64_t value) { return value == (twice += 2); }))
        wrong("'" + info.name + "', which a detached job made, is not right");
      session.remove(info.name);
    }
  }

 protected:
  std::uint64_t left_ = 0;
};

TEST_F(Clients, ThatDieOrStopTakeTheirOwnAlongAndNothingElse) {
  const JobMix mix;
  start(2, 256 * kMebibyte);
  {
    auto session = connect();
    JobMix::make_operands(session);
    session.create_arange(kWandererSource, DType::kInt64, {kWandererSize});
    session.create_arange(kWandererTarget, DType::kInt64, {kWandererSize});
    mix.run_all(session);
  }
  remember_rest();
  least_jobs_ = kSanitized ? 10u : 50u;
  while (goes_on(tallies_.faults, left_ == 0 ? ~std::uint64_t{0} : kSanitized ? 60 : 300)) bout(mix);
  EXPECT_GT(left_, 0u) << "no detached job outlived its client";
  EXPECT_GT(tallies_.jobs, least_jobs_);
  EXPECT_EQ(replaced(), 0u) << "a client's death took a worker along";
}

}  // namespace
}  // namespace parcompute::testing
