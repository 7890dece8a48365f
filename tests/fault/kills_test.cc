// Workers and the forkserver are killed at random, while clients work.
#include <signal.h>

#include <algorithm>

#include "tests/fault/campaign.h"
#include "tests/fault/in_place.h"
#include "tests/fault/job_mix.h"
#include "tests/fault/victims.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kWorkers = 3;
constexpr std::size_t kClients = 4;

// After each end in 10 s the next forkserver is waited for twice as long.
constexpr double kForkserverPauseSeconds = 1;

class WorkersDie : public Campaign {
 protected:
  bool is_explained(const Failure& failure) const override { return is_by_third_death(failure); }

  // Operands, clients, harm until there was enough, and the five questions.
  void run(std::uint64_t enough, const std::function<void()>& harm) {
    const JobMix mix;
    start(kWorkers, 192 * kMebibyte);
    SharedCounter shared;
    {
      auto session = connect();
      JobMix::make_operands(session);
      shared.make(session);
      mix.run_all(session);
    }
    remember_rest();
    employ(kClients, [&](CampaignClient& client) { work(client, mix, shared); });
    least_jobs_ = kSanitized ? 10u : 50u;
    while (goes_on(tallies_.faults, enough)) harm();
    dismiss();
    expect_rest();
    auto session = connect();
    if (const auto complaint = shared.complaint(session); !complaint.empty()) wrong(complaint);
    mix.run_all(session);
    EXPECT_GT(tallies_.jobs, least_jobs_);
    EXPECT_GT(tallies_.retries, 0u) << "nothing was hit";
    // A third death of one chunk is rare even where it is sought.
    EXPECT_LT(tallies_.explained, tallies_.jobs / 100 + 20);
  }

 private:
  // A client's life: some arrays, many jobs.
  void work(CampaignClient& client, const JobMix& mix, SharedCounter& shared) {
    std::vector<std::unique_ptr<InPlaceArray>> arrays;
    for (int i = 0; i < 2; ++i) arrays.push_back(choose_in_place_array(client));
    for (auto& array : arrays) array->make(client);
    for (int i = 0; i < 40 && !is_dismissed(); ++i) {
      const std::uint64_t what = below(client.dice(), 8);
      if (what == 0) {
        shared.add(client);
      } else if (what < 4) {
        arrays[below(client.dice(), arrays.size())]->change(client);
      } else {
        mix.run_one(client);
      }
    }
    for (auto& array : arrays) array->remove(client);
  }
};

class Kills : public WorkersDie {
 protected:
  // A signal that ends a worker, with or without last words. Sanitizers answer the other ones with a report, which takes its time.
  int deadly() {
    if (kSanitized || one_in(dice(), 2)) return SIGKILL;
    constexpr std::array kOthers{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM};
    return kOthers[below(dice(), kOthers.size())];
  }

  void kill_one(const Status& now, bool is_up_only) {
    const WorkerInfo& worker = now.workers[below(dice(), now.workers.size())];
    if (is_up_only && worker.state == WorkerInfo::State::kStarting) return;
    tallies_.faults += signal_child(now.forkserver_pid, worker.pid, deadly());
  }

  void strike() {
    const Status now = status();
    const std::uint64_t what = below(dice(), 20);
    if (what == 0 && elapsed_seconds() - last_forkserver_ > kForkserverPauseSeconds) {
      tallies_.faults += signal_child(now.server_pid, now.forkserver_pid, SIGKILL);
      last_forkserver_ = elapsed_seconds();
    } else if (what < 2) {
      for (const WorkerInfo& worker : now.workers) tallies_.faults += signal_child(now.forkserver_pid, worker.pid, deadly());
    } else if (what < 4) {
      for (int i = 0; i < 2; ++i) kill_one(now, true);
    } else if (what < 6) {
      freeze(now);
    } else if (what == 6) {
      chase();
    } else {
      // Mostly one that has work: others die young, and their places rest for a while.
      kill_one(now, what != 7);
    }
  }

  // Whoever is at work, several times in a row: some chunk may meet its third death.
  void chase() {
    for (int death = 0; death < 8; ++death) {
      const Status now = status();
      for (const WorkerInfo& worker : now.workers)
        if (worker.state == WorkerInfo::State::kBusy) tallies_.faults += signal_child(now.forkserver_pid, worker.pid, deadly());
      pause(1ms);
    }
  }

  // Stopped for a moment, and then killed or not: it must not write what another has been given meanwhile.
  void freeze(const Status& now) {
    const pid_t pid = now.workers[below(dice(), now.workers.size())].pid;
    if (!signal_child(now.forkserver_pid, pid, SIGSTOP)) return;
    pause(10ms);
    if (one_in(dice(), 2)) tallies_.faults += signal_child(now.forkserver_pid, pid, deadly());
    signal_child(now.forkserver_pid, pid, SIGCONT);
  }

  double last_forkserver_ = 0;
};

TEST_F(Kills, OfWorkersAndOfTheForkserverLoseNoJobAndCountNoneTwice) {
  run(kSanitized ? 100 : 300, [&] {
    pause(kSanitized ? 60ms : 20ms);
    if (has_worked()) strike();
  });
}

class PoolKills : public WorkersDie {};

TEST_F(PoolKills, TakeAllWorkersAtOnceAndEachTimeAllComeBack) {
  std::vector<double> seconds;
  run(kWorkers * (kSanitized ? 15 : 60), [&] {
    pause(20ms);
    const Status before = pool_is_whole();
    const double from = elapsed_seconds();
    for (const WorkerInfo& worker : before.workers) tallies_.faults += signal_child(before.forkserver_pid, worker.pid, SIGKILL);
    const auto all_replaced = [&] {
      const Status now = status();
      return std::ranges::all_of(now.workers, [&](const WorkerInfo& worker) {
        return worker.replaced > before.workers[worker.id].replaced && worker.state != WorkerInfo::State::kStarting &&
               worker.pid != 0;
      });
    };
    if (!holds_within(30s, all_replaced)) wrong("the pool does not come back");
    seconds.push_back(elapsed_seconds() - from);
  });
  ASSERT_FALSE(seconds.empty());
  std::ranges::sort(seconds);
  const double p99 = seconds[seconds.size() * 99 / 100];
  std::printf("the pool was whole again after %.1f ms (p50), %.1f ms (p99), %.1f ms (slowest)\n", seconds[seconds.size() / 2] * 1e3, p99 * 1e3,
              seconds.back() * 1e3);
  if (is_measured()) { EXPECT_LE(p99, 0.1); }
}

}  // namespace
}  // namespace parcompute::testing
