// Chunks that take longer than they may: the worker gives the rest back, and others have it.
#include <algorithm>
#include <map>
#include <random>

#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::HasSubstr;

class CutTest : public TurnsTest {
 protected:
  void SetUp() override {
    start(2);
    session = open_session();
  }
  Recorder::Work take() {
    EXPECT_FALSE(effects.work.empty());
    const Recorder::Work first = effects.work.front();
    effects.work.erase(effects.work.begin());
    return first;
  }
  static std::uint64_t blocks_of(const Recorder::Work& packet) {
    std::uint64_t blocks = 0;
    for (const ChunkDescriptor& chunk : packet.chunks) blocks += chunk.block_count;
    return blocks;
  }
  wire::JobExplained explain(JobId id) {
    wire::Request request;
    request.mutable_explain_job()->mutable_job()->set_id(id.value);
    return ask(session, request).job_explained();
  }
  const Job& live(JobId id) const { return *core->state().jobs.live().at(id); }
};

TEST_F(CutTest, TheRestGoesToWhoeverIsFree) {
  const JobId id = submit(nop(1000, 1000));
  const Recorder::Work all = take();
  ASSERT_EQ(blocks_of(all), 1000u);
  ASSERT_TRUE(effects.work.empty());
  cut(all, 10);
  std::map<WorkerIndex, std::uint64_t> shares;
  for (const Recorder::Work& packet : effects.work) {
    shares[packet.worker] += blocks_of(packet);
    EXPECT_EQ(packet.chunks.front().attempt, 1u);
    EXPECT_GT(packet.limit.count(), 0);
  }
  EXPECT_EQ(shares.size(), 2u) << "the other one was idle";
  for (const auto& [worker, blocks] : shares) EXPECT_LE(blocks, 10u) << "a block takes a millisecond";
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_EQ(job(id).blocks_done, 1000u);
  EXPECT_EQ(job(id).retries, 0u);
}

TEST_F(CutTest, EveryBlockIsDoneOnceHoweverChunksAreCut) {
  std::mt19937 random(7);
  for (const std::uint64_t chunk : {0u, 1u, 7u, 300u, 2000u}) {
    const JobId id = submit(nop(2000, chunk));
    std::map<std::uint64_t, int> times;
    while (!effects.work.empty()) {
      const Recorder::Work packet = take();
      // A packet's first block is done in any case.
      const std::uint64_t done = random() % 3 == 0 ? blocks_of(packet) : 1 + random() % blocks_of(packet);
      std::uint64_t left = done;
      for (const ChunkDescriptor& each : packet.chunks)
        for (std::uint64_t block = each.first_block; block < each.first_block + each.block_count && left > 0; ++block, --left) ++times[block];
      cut(packet, done, 1 + random() % 1'000'000);
    }
    EXPECT_EQ(times.size(), 2000u);
    for (const auto& [block, count] : times) ASSERT_EQ(count, 1) << "block " << block << " of chunks of " << chunk;
    EXPECT_EQ(state(id), JobState::kDone);
    EXPECT_EQ(job(id).blocks_done, 2000u);
  }
}

TEST_F(CutTest, ACancelledJobGetsNothingOfTheRest) {
  const JobId id = submit(nop(1000, 500));
  const Recorder::Work one = take(), other = take();
  ASSERT_TRUE(effects.work.empty());
  cancel(id);
  cut(one, 10);
  EXPECT_TRUE(effects.work.empty());
  EXPECT_EQ(state(id), JobState::kCancelling);
  EXPECT_EQ(explain(id).blocks_in_hand(), 500u) << "the other worker's";
  cut(other, 10);
  EXPECT_TRUE(effects.work.empty());
  EXPECT_EQ(state(id), JobState::kCancelled);
  EXPECT_EQ(job(id).blocks_done, 20u);
}

TEST_F(CutTest, AWorkerThatDiesWithTheRestHasDoneWhatItGaveAnswerOf) {
  const JobId id = submit(nop(1000, 1000));
  const Recorder::Work all = take();
  cut(all, 10);
  const WorkerIndex victim = all.worker;
  const auto lost = std::find_if(effects.work.begin(), effects.work.end(), [&](const auto& packet) { return packet.worker == victim; });
  ASSERT_NE(lost, effects.work.end());
  const ChunkDescriptor in_hand = lost->chunks.front();
  std::erase_if(effects.work, [&](const auto& packet) { return packet.worker == victim; });
  core->on_worker_lost(victim, "was killed");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  std::map<std::uint64_t, std::uint16_t> attempts;
  while (!effects.work.empty()) {
    const Recorder::Work packet = take();
    for (const ChunkDescriptor& chunk : packet.chunks) attempts[chunk.first_block] = chunk.attempt;
    complete(packet);
  }
  EXPECT_EQ(attempts.begin()->first, 10u) << "nothing is done again";
  for (const auto& [first, attempt] : attempts) EXPECT_EQ(attempt, first == in_hand.first_block ? 2 : 1);
  EXPECT_EQ(job(id).blocks_done, 1000u);
}

// A cut is no fault, but does not clear a suspect either.
TEST_F(CutTest, TheRestOfASuspectIsOneAndItsDeathsAreAllCertified) {
  start(1);
  session = open_session();
  const JobId id = submit(nop(100, 100));
  for (int death = 0; death < 3; ++death) {
    Recorder::Work packet = take();
    ASSERT_EQ(packet.chunks.size(), 1u);
    EXPECT_EQ(packet.chunks[0].attempt, death + 1);
    if (death == 1) {
      cut(packet, 60);
      packet = take();
      EXPECT_EQ(packet.chunks[0].first_block, 60u);
      EXPECT_EQ(packet.chunks[0].block_count, 40u);
      EXPECT_EQ(packet.chunks[0].attempt, 2u);
    }
    core->on_worker_lost(0, "was killed");
    EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
    core->on_worker_ready(0);
  }
  EXPECT_EQ(state(id), JobState::kFailed);
  EXPECT_THAT(why(id), HasSubstr("3 workers died computing blocks 60 to 99"));
  ASSERT_TRUE(job(id).certificate);
  EXPECT_EQ(job(id).certificate->deaths.size(), 3u);
}

TEST_F(CutTest, AWorkerThatGivesBackMoreThanItHadIsEnded) {
  const JobId id = submit(nop(1000, 1000));
  Recorder::Work all = take();
  all.chunks.front().block_count += 5;
  cut(all, 4);
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{all.worker});
  EXPECT_EQ(job(id).blocks_done, 0u);
  core->on_worker_lost(all.worker, "was killed");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  complete_everything();
  EXPECT_EQ(job(id).blocks_done, 1000u) << "nothing of it is lost";
}

// It would be given the same chunk for ever.
TEST_F(CutTest, AWorkerThatDoesNothingOfAPacketIsEnded) {
  submit(nop(100'000, 1));
  while (effects.work.front().chunks.size() == 1) complete(take());
  const Recorder::Work packet = take();
  ASSERT_GT(packet.chunks.size(), 1u);
  cut(packet, 0);
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{packet.worker});
  effects.work.clear();
}

TEST_F(CutTest, ChunksOfAPacketThatWereNotBegunComeAgain) {
  const JobId id = submit(nop(100'000, 1));
  while (effects.work.front().chunks.size() == 1) complete(take());
  const std::uint64_t chunks = job(id).chunks_done, blocks = job(id).blocks_done;
  const Recorder::Work packet = take();
  ASSERT_GT(packet.chunks.size(), 2u);
  cut(packet, 2);
  EXPECT_EQ(job(id).chunks_done, chunks + 2);
  EXPECT_EQ(job(id).blocks_done, blocks + 2);
  EXPECT_TRUE(effects.killed.empty());
  complete_everything();
  EXPECT_EQ(job(id).blocks_done, 100'000u);
  EXPECT_EQ(job(id).chunks_done, 100'000u) << "in chunks of the user's size";
}

// Its whole chunk was charged until then, as far as that may take.
TEST_F(CutTest, AUserWhoseChunksAreCutHasHisPartOfTheWorkersTime) {
  constexpr std::uint64_t kEndless = std::uint64_t{1} << 40;
  const SessionId alice = open_session(1001), bob = open_session(1002);
  const JobId large = submit(alice, nop(kEndless, kEndless)), small = submit(bob, nop(kEndless, 1));
  for (int packet = 0; packet < 20'000; ++packet) cut(take(), 2, 1'000'000);
  EXPECT_NEAR(static_cast<double>(job(large).busy_ns) / static_cast<double>(job(small).busy_ns), 1, 0.05);
  effects.work.clear();
}

TEST_F(CutTest, ExplainTellsTheRestFromWhatIsInHand) {
  const JobId id = submit(nop(1000, 1000));
  const Recorder::Work all = take();
  EXPECT_EQ(explain(id).blocks_in_hand(), 1000u);
  cut(all, 10);
  std::uint64_t in_hand = 0;
  for (const Recorder::Work& packet : effects.work) in_hand += blocks_of(packet);
  const wire::JobExplained now = explain(id);
  EXPECT_EQ(now.phase_blocks_done(), 10u);
  EXPECT_EQ(now.blocks_in_hand(), in_hand);
  EXPECT_EQ(live(id).fresh.left(), 990 - in_hand);
  EXPECT_NEAR(now.seconds_left(), 0.99 / 2, 0.01);
  complete_everything();
}

TEST_F(CutTest, MemoryThatWasReservedBeforeACutIsPromisedNoMore) {
  send(session, zeros("a", {std::int64_t{1} << 22}));
  const std::uint64_t promised = core->state().memory.promised_bytes();
  ASSERT_GT(promised, 0u);
  cut(take(), 1);
  EXPECT_LT(core->state().memory.promised_bytes(), promised);
  complete_everything();
  EXPECT_EQ(core->state().memory.promised_bytes(), 0u);
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

}  // namespace
}  // namespace parcompute::server
