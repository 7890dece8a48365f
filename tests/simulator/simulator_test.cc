// What the scheduler makes of work on nodes of many workers: exact, for the clock is virtual and nothing is random.
#include <gmock/gmock.h>

#include "tests/simulator/node.h"

namespace parcompute::simulate {
namespace {

const Profile& profile(std::string_view name) {
  for (const Profile& candidate : profiles())
    if (candidate.name == name) return candidate;
  ADD_FAILURE() << "there is no profile " << name;
  return profiles().front();
}

struct Measured {
  double makespan, tail, loop_busy;
  std::map<uid_t, double> ns;
};

Measured measure(std::string_view name, unsigned workers, double seconds, std::uint64_t blocks_per_worker) {
  LoadOptions options;
  options.workers = workers;
  options.seconds = seconds;
  options.blocks_per_worker = blocks_per_worker;
  const Load load = profile(name).make(options);
  const Outcome outcome = run(load, {});
  return {outcome.makespan_ns / load.least_makespan_ns(), outcome.tail_ns / outcome.makespan_ns, outcome.loop_busy, outcome.ns_while_all_wanted};
}

// The least makespan itself: nothing but one worker's work, and the time of its messages.
TEST(Simulator, OfOneWorkerTakesAsLongAsTheWork) {
  const Measured measured = measure("skewed", 1, 1, 1000);
  EXPECT_GE(measured.makespan, 1);
  EXPECT_LT(measured.makespan, 1.003);
  EXPECT_EQ(measured.tail, 0);
}

TEST(Simulator, TakesASlowWorkerIntoItsLeastMakespan) {
  LoadOptions options;
  options.workers = 2;
  EXPECT_NEAR(profile("slow-worker").make(options).least_makespan_ns(), 2e9 / 1.25, 1);
  // The first half at full speed, then 1.5 CPUs for what two would have done in half a second.
  EXPECT_NEAR(profile("stolen").make(options).least_makespan_ns(), 0.5e9 + 1e9 / 1.5, 1);
  // No block is cut.
  options.blocks_per_worker = 1;
  options.workers = 3;
  EXPECT_NEAR(profile("rising").make(options).least_makespan_ns(), 1.5e9, 1);
}

TEST(Simulator, IsTheSameEachTime) {
  const Measured once = measure("needles", 16, 0.2, 500), again = measure("needles", 16, 0.2, 500);
  EXPECT_EQ(once.makespan, again.makespan);
  EXPECT_EQ(once.tail, again.tail);
}

struct Bounds {
  const char* profile;
  double makespan = 1.03;       // of 256 workers, against the least
  double makespan_1024 = 1.05;  // of 1024, for whose messages the loop alone takes some percent of the time
  double tail = 0.02;           // of two workers: they are done within 2 % of each other, or one block's time

  friend void PrintTo(const Bounds& bounds, std::ostream* out) { *out << bounds.profile; }
};

class Schedule : public ::testing::TestWithParam<Bounds> {};

TEST_P(Schedule, Of256WorkersIsNearTheLeastMakespan) {
  const Measured measured = measure(GetParam().profile, 256, 1, 1000);
  EXPECT_GE(measured.makespan, 1);
  EXPECT_LE(measured.makespan, GetParam().makespan);
}

TEST_P(Schedule, Of1024WorkersIsNearTheLeastMakespan) {
  EXPECT_LE(measure(GetParam().profile, 1024, 1, 1000).makespan, GetParam().makespan_1024);
}

TEST_P(Schedule, OfTwoWorkersEndsThemTogether) {
  EXPECT_LE(measure(GetParam().profile, 2, 1, 1000).tail, GetParam().tail);
}

// A user's hundred jobs have no more of the workers' time than another's one, while both want it.
TEST(Simulator, SharesWorkersEvenlyBetweenUsers) {
  for (const unsigned workers : {2u, 64u, 256u}) {
    const auto shares = measure("users", workers, 1, 1000).ns;
    ASSERT_EQ(shares.size(), 2u);
    EXPECT_NEAR(shares.begin()->second / shares.rbegin()->second, 1, 0.05) << workers;
  }
}

std::string test_name(const ::testing::TestParamInfo<Bounds>& info) {
  std::string name;
  for (const char c : std::string_view(info.param.profile)) name += c == '-' ? '_' : c;
  return name;
}
INSTANTIATE_TEST_SUITE_P(Profiles, Schedule, 
                         // The last needle takes 50 ms, nobody knows where it is, and it may wait behind another.
                         ::testing::Values(Bounds{"flat"}, Bounds{"rising"}, Bounds{"falling"}, Bounds{"skewed"}, Bounds{"needles", 1.1, 1.1, 0.06}, Bounds{"cliff"},
                                           Bounds{"slow-worker"}, Bounds{"stolen"}),
                         test_name);

}  // namespace
}  // namespace parcompute::simulate
