// A pool whose CPUs become more, or fewer, while it works.
#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class PoolSize : public TurnsTest {
 protected:
  void SetUp() override {
    start(3);
    session = open_session();
  }
  void allow(unsigned workers, const std::string& source = "affinity") {
    Placement placement;
    placement.workers = workers;
    placement.limit_source = source;
    core->on_placement(placement);
  }
  // Who was handed work since it was asked last.
  std::vector<WorkerIndex> takers() {
    std::vector<WorkerIndex> all;
    for (const Recorder::Work& packet : effects.work) all.push_back(packet.worker);
    return all;
  }
  wire::StatusReported status() {
    wire::Request request;
    request.mutable_get_status();
    return ask(session, request).status_reported();
  }
  bool is_parked(int index) { return status().workers(index).parked(); }
};

TEST_F(PoolSize, ThatShrinksHandsNothingMoreToWorkersInExcess) {
  submit(nop(1000, 1));
  const auto first = Recorder::take(effects.work);
  ASSERT_EQ(first.size(), 6u) << "two packets each";
  allow(1, "cgroup v2 cpu.max");
  EXPECT_THAT(effects.work, IsEmpty());
  EXPECT_THAT(effects.killed, IsEmpty());
  for (const Recorder::Work& packet : first) complete(packet);
  for (int i = 0; i < 3; ++i) {
    for (const WorkerIndex taker : takers()) EXPECT_EQ(taker, 0u);
    for (const Recorder::Work& packet : Recorder::take(effects.work)) complete(packet);
  }
  EXPECT_EQ(status().worker_limit(), 1u);
  EXPECT_EQ(status().worker_limit_source(), "cgroup v2 cpu.max");
  EXPECT_FALSE(is_parked(0));
  EXPECT_TRUE(is_parked(1));
  EXPECT_TRUE(is_parked(2));
  complete_everything();
}

// It had all the workers that it may have, and its one is parked now.
TEST_F(PoolSize, ThatShrinksLeavesNoJobWithTheWorkerThatItHad) {
  const auto alone = [](std::uint64_t blocks) {
    wire::Request request = nop(blocks, 1);
    request.mutable_submit_job()->set_max_workers(1);
    return request;
  };
  submit(alone(1));
  submit(alone(1));
  const JobId job = submit(alone(1000));
  auto sent = Recorder::take(effects.work);
  ASSERT_EQ(sent.back().worker, 2u);
  const auto of_job = [](const Recorder::Work& packet) { return packet.worker == 2; };
  for (const Recorder::Work& packet : sent)
    if (!of_job(packet)) complete(packet);
  allow(1);
  EXPECT_THAT(effects.work, IsEmpty());
  for (const Recorder::Work& packet : sent)
    if (of_job(packet)) complete(packet);
  EXPECT_THAT(takers(), ::testing::Each(0u));
  EXPECT_THAT(takers(), ::testing::Not(IsEmpty()));
  complete_everything();
  EXPECT_EQ(core->state().jobs.find_summary(job)->state, JobState::kDone);
}

TEST_F(PoolSize, ThatGrowsAgainGoesOnWithTheWorkersThatItHas) {
  allow(1);
  submit(nop(1000, 1));
  for (const WorkerIndex taker : takers()) EXPECT_EQ(taker, 0u);
  allow(3);
  EXPECT_THAT(effects.forked, IsEmpty());
  const auto all = takers();
  EXPECT_EQ(std::set(all.begin(), all.end()), (std::set<WorkerIndex>{0, 1, 2}));
  complete_everything();
}

TEST_F(PoolSize, ThatGrowsBeyondWhatItWasGetsMoreWorkers) {
  submit(nop(1000, 1));
  Recorder::take(effects.work);
  allow(5);
  EXPECT_THAT(Recorder::take(effects.forked), ElementsAre(3, 4));
  EXPECT_THAT(effects.work, IsEmpty());
  core->on_worker_forked(3, 200);
  core->on_worker_ready(3);
  EXPECT_THAT(takers(), ::testing::Each(3));
  Recorder::take(effects.work);
  EXPECT_EQ(status().workers_size(), 5);
  allow(4);
  core->on_worker_forked(4, 201);
  core->on_worker_ready(4);
  EXPECT_THAT(effects.work, IsEmpty()) << "it came too late";
}

TEST_F(PoolSize, CountsForTheSizesOfChunks) {
  allow(1);
  submit(nop(3000));
  std::uint64_t alone = 0;
  for (const Recorder::Work& packet : effects.work)
    for (const ChunkDescriptor& chunk : packet.chunks) alone += chunk.block_count;
  complete_everything();
  allow(3);
  submit(nop(3000));
  std::uint64_t first = 0;
  for (const ChunkDescriptor& chunk : effects.work.front().chunks) first += chunk.block_count;
  EXPECT_LT(first, alone);
  complete_everything();
}

TEST_F(PoolSize, LeavesWhatAPlaceHasToRedoToIt) {
  create("a");
  submit(add_one("a"));
  ASSERT_FALSE(effects.work.empty());
  const Recorder::Work held = effects.work.front();
  const WorkerIndex place = held.worker;
  auto others = Recorder::take(effects.work);
  std::erase_if(others, [&](const Recorder::Work& packet) { return packet.worker == place; });
  for (const Recorder::Work& packet : others) complete(packet);
  Recorder::take(effects.work);
  core->on_worker_lost(place, "was killed by signal 9 (Killed)");
  Recorder::take(effects.forked);
  allow(place == 0 ? 1 : place);
  if (place == 0) return complete_everything();  // it is none of those in excess
  core->on_worker_forked(place, 300);
  core->on_worker_ready(place);
  EXPECT_THAT(takers(), ::testing::Contains(place)) << "nobody else knows how far it came";
  complete_everything();
}

TEST_F(PoolSize, DoesNotTakeAParkedWorkerForOneThatCouldTakeJobs) {
  allow(1);
  core->on_worker_lost(0, "was killed by signal 9 (Killed)");
  EXPECT_THAT(Recorder::take(effects.forked), ElementsAre(0));
  const JobId job = submit(nop(1));
  for (int i = 0; i < 5; ++i) core->on_fork_failed(0, Error{ErrorCode::kSystem, "no", 11});
  for (int i = 0; i < 10; ++i) core->on_second();
  EXPECT_EQ(state(job), JobState::kFailed);
  allow(2);
  submit(nop(1));
  EXPECT_THAT(takers(), ElementsAre(1));
  complete_everything();
}

}  // namespace
}  // namespace parcompute::server
