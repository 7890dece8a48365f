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
  EXPECT_LT(measured.makespan, 1.001);
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

class Schedule : public ::testing::TestWithParam<const char*> {};

TEST_P(Schedule, Of256WorkersIsNearTheLeastMakespan) {
  const Measured measured = measure(GetParam(), 256, 1, 1000);
  EXPECT_GE(measured.makespan, 1);
  EXPECT_LE(measured.makespan, 1.03);
}

// All workers are done within 2 % of each other.
TEST_P(Schedule, OfTwoWorkersEndsThemTogether) {
  const Measured measured = measure(GetParam(), 2, 1, 1000);
  EXPECT_LE(measured.tail, 0.02);
}

std::string test_name(const ::testing::TestParamInfo<const char*>& info) {
  std::string name;
  for (const char c : std::string_view(info.param)) name += c == '-' ? '_' : c;
  return name;
}
INSTANTIATE_TEST_SUITE_P(Profiles, Schedule, ::testing::Values("flat", "rising", "falling", "skewed", "needles", "cliff", "slow-worker", "stolen"), test_name);

}  // namespace
}  // namespace parcompute::simulate
