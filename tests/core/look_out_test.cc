// When it is worth looking out for an answer.
#include "server/io/look_out.h"

#include <gtest/gtest.h>

#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

// Of 1,000 answers that are expected, how many are looked out for.
int begun_of_thousand(LookOut& look_out, bool comes) {
  int begun = 0;
  for (int i = 0; i < 1000; ++i) {
    if (!look_out.begin()) continue;
    ++begun;
    EXPECT_TRUE(look_out.is_on());
    EXPECT_FALSE(look_out.begin()) << "one at a time";
    comes ? look_out.end_well() : look_out.end_in_vain();
    EXPECT_FALSE(look_out.is_on());
  }
  return begun;
}

TEST(LookOut, IsDoneWhileAnswersCome) {
  LookOut look_out;
  EXPECT_EQ(begun_of_thousand(look_out, true), 1000);
}

TEST(LookOut, IsAllButGivenUpWhereItIsInVainAndTakenUpAgain) {
  LookOut look_out;
  EXPECT_EQ(begun_of_thousand(look_out, false), 9);
  EXPECT_LE(begun_of_thousand(look_out, false), 1);
  int rounds = 0;
  while (begun_of_thousand(look_out, true) < 1000) ASSERT_LT(++rounds, 10);
}

TEST(LookOut, AnAnswerThatNobodyLookedOutForChangesNothing) {
  LookOut look_out;
  ASSERT_TRUE(look_out.begin());
  look_out.end_in_vain();
  look_out.end_well();
  EXPECT_FALSE(look_out.begin());
  EXPECT_TRUE(look_out.begin());
}

class AnsweredSoon : public CoreTest {
 protected:
  void start_on(std::vector<int> cpus) {
    ReactorOptions options;
    options.identity.uid = kOwner;
    options.placement.workers = 2;
    options.placement.allowed = std::move(cpus);
    options.memory_limit_bytes = kMemory;
    start_with(options);
  }
  // The first packets of a job.
  bool is_answered_soon(const wire::Request& request) {
    send(open_session(), request);
    const bool soon = effects.work.at(0).is_answered_soon;
    complete_everything();
    EXPECT_TRUE(effects.take_reply().has_job_ended());
    return soon;
  }
};

TEST_F(AnsweredSoon, IsWhatTakesNoTimeWhileNobodyElseHasWork) {
  start_on({0, 1});
  EXPECT_TRUE(is_answered_soon(nop(1)));
  EXPECT_FALSE(is_answered_soon(nop(1000, 1))) << "there are more blocks";
}

TEST_F(AnsweredSoon, IsNothingWhereTheWorkerNeedsTheServersCpu) {
  start_on({0});
  EXPECT_FALSE(is_answered_soon(nop(1)));
}

}  // namespace
}  // namespace parcompute::server
