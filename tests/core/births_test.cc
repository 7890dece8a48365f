// Workers that do not come: jobs wait for a while, are told why, and nothing of it is left when one comes.
#include <array>

#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::HasSubstr;

constexpr const char* kKilled = "was killed by signal 9 (Killed)";

class BirthsTest : public TurnsTest {
 protected:
  void SetUp() override {
    start(2);
    session = open_session();
    create("a");
    for (const WorkerIndex index : {0u, 1u}) core->on_worker_lost(index, kKilled);
    EXPECT_EQ(Recorder::take(effects.forked).size(), 2u);
  }
  void die_young(int times) {
    for (int i = 0; i < times; ++i) {
      core->on_worker_forked(1, static_cast<pid_t>(200 + i));
      core->on_worker_lost(1, kKilled);
      EXPECT_EQ(Recorder::take(effects.forked), std::vector<WorkerIndex>{1}) << "it is tried again";
    }
  }
  void pass(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      ASSERT_TRUE(effects.watches);
      core->on_second();
    }
  }
  std::string waits_for(JobId id) {
    wire::Request request;
    request.mutable_get_job()->mutable_job()->set_id(id.value);
    return ask(session, request).job_described().job().waiting_for();
  }
};

TEST_F(BirthsTest, ThatAllFailEndTheJobsThatWaitAndRefuseMore) {
  const JobId sum_of_a = submit(sum("a")), second = submit(add_one("a")), third = submit(sum("a"));
  EXPECT_THAT(waits_for(sum_of_a), ::testing::IsEmpty());
  const std::uint64_t waited_for = send(session, nop(3));
  die_young(5);
  EXPECT_THAT(waits_for(sum_of_a), HasSubstr("worker 1 was killed by signal 9"));
  pass(9);
  EXPECT_EQ(state(sum_of_a), JobState::kRunning);
  pass(1);
  const wire::Reply told = effects.take_reply();
  EXPECT_EQ(told.request_id(), waited_for);
  EXPECT_EQ(told.job_ended().job().state(), wire::JobInfo::FAILED);
  for (const JobId job : {sum_of_a, second, third}) {
    EXPECT_EQ(state(job), JobState::kFailed);
    EXPECT_THAT(why(job), HasSubstr("could not go on: no worker has been up for 10 s, and 5 that were to come failed; the last time: worker 1 was killed by signal 9"))
        << "and not for the one before it";
  }
  EXPECT_EQ(state("a"), ArrayState::kWhole) << "nobody began to write it";
  EXPECT_THAT(refusal(nop(1), ErrorCode::kSystem), HasSubstr("no worker has been up"));

  core->on_worker_ready(0);
  submit(nop(1, 1));
  complete_everything();
  core->on_second();
  EXPECT_FALSE(effects.watches);
}

TEST_F(BirthsTest, ThatFailForLackOfProcessesSaySo) {
  const JobId job = submit(nop(1));
  for (int i = 0; i < 5; ++i) core->on_fork_failed(0, Error{ErrorCode::kSystem, "cannot fork 'worker 0': Resource temporarily unavailable", 11});
  pass(10);
  EXPECT_THAT(why(job), HasSubstr("the last time: cannot fork 'worker 0': Resource temporarily unavailable"));
  EXPECT_THAT(why(job), HasSubstr("ulimit -u"));
}

TEST_F(BirthsTest, ThatAreFewOrRecentAreWaitedFor) {
  const JobId job = submit(nop(1));
  die_young(4);
  pass(100);
  EXPECT_EQ(state(job), JobState::kRunning) << "the machine may be slow";
  die_young(1);
  core->on_worker_forked(0, 300);
  core->on_worker_ready(0);
  complete_everything();
  EXPECT_EQ(state(job), JobState::kDone);
  // It begins anew with the last one's death.
  core->on_worker_lost(0, kKilled);
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  const JobId next = submit(nop(1));
  die_young(5);
  pass(9);
  EXPECT_EQ(state(next), JobState::kRunning);
  pass(1);
  EXPECT_EQ(state(next), JobState::kFailed);
}

TEST_F(BirthsTest, ThatFailWithTheForkserverFailOnceForAllPlaces) {
  const JobId job = submit(nop(1));
  const auto lose_forkserver = [&] {
    const std::array lost{LostWorker{0, "ended with the forkserver"}, LostWorker{1, "ended with the forkserver"}};
    core->on_workers_lost(lost);
    EXPECT_EQ(Recorder::take(effects.forked).size(), 2u);
  };
  for (int i = 0; i < 4; ++i) lose_forkserver();
  pass(20);
  EXPECT_EQ(state(job), JobState::kRunning);
  lose_forkserver();
  pass(1);
  EXPECT_THAT(why(job), HasSubstr("5 that were to come failed; the last time: worker 0 ended with the forkserver"));
}

TEST_F(BirthsTest, BesideAWorkerThatIsUpAreNobodysTrouble) {
  core->on_worker_ready(0);
  const JobId job = submit(nop(1));
  die_young(50);
  for (int i = 0; i < 100; ++i) core->on_second();
  EXPECT_EQ(state(job), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(job), JobState::kDone);
}

// A chunk of it is in the hands of a worker that is about to end.
TEST_F(BirthsTest, OfNoUseLeaveNoLeaseBehind) {
  core->on_worker_ready(0);
  create("b");
  const JobId job = submit(add_one("b"));
  ASSERT_FALSE(Recorder::take(effects.work).empty());
  core->on_worker_lost(0, kKilled);
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  die_young(5);
  pass(10);
  EXPECT_EQ(state(job), JobState::kFailed);
  EXPECT_EQ(state("b"), ArrayState::kIncomplete);
  core->on_worker_ready(0);
  EXPECT_TRUE(effects.work.empty()) << "what it was overwriting is not for its successor";
}

}  // namespace
}  // namespace parcompute::server
