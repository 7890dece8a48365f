// Chunks that overwrite their operands: only the next worker of the place that lost them can go on with them.
#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::ElementsAre;

class RedoTest : public TurnsTest {
 protected:
  void SetUp() override {
    start(3);
    session = open_session();
    create_large("a");
    create_large("b");
  }
  // Of several blocks for each worker.
  void create_large(const std::string& name) {
    send(session, zeros(name, {1'000'000}));
    complete_everything();
    effects.replies.clear();
  }
  JobId submit_in_place(const std::string& name) {
    wire::Request request = add_one(name);
    request.mutable_submit_job()->set_chunk_blocks(1);
    return submit(request);
  }

  // What a worker holds, taken out of what was sent.
  std::vector<ChunkDescriptor> take_chunks_of(WorkerIndex worker) {
    std::vector<ChunkDescriptor> chunks;
    std::erase_if(effects.work, [&](const Recorder::Work& packet) {
      if (packet.worker != worker) return false;
      chunks.insert(chunks.end(), packet.chunks.begin(), packet.chunks.end());
      return true;
    });
    return chunks;
  }
  void lose(WorkerIndex worker) {
    core->on_worker_lost(worker, "was killed");
    EXPECT_EQ(Recorder::take(effects.forked), std::vector<WorkerIndex>{worker});
  }
  void replace(WorkerIndex worker) {
    core->on_worker_forked(worker, 200);
    core->on_worker_ready(worker);
  }
  // Two packets at a time are sent; each is answered, and the next one comes.
  std::vector<ChunkDescriptor> complete_of(WorkerIndex worker, std::size_t count) {
    std::vector<ChunkDescriptor> done;
    while (done.size() < count) {
      const auto packet = std::find_if(effects.work.begin(), effects.work.end(), [&](const auto& each) { return each.worker == worker; });
      if (packet == effects.work.end()) break;
      const Recorder::Work taken = *packet;
      effects.work.erase(packet);
      done.insert(done.end(), taken.chunks.begin(), taken.chunks.end());
      complete(taken);
    }
    return done;
  }
  static std::vector<std::uint64_t> leases(const std::vector<ChunkDescriptor>& chunks) {
    std::vector<std::uint64_t> all;
    for (const ChunkDescriptor& chunk : chunks) all.push_back(chunk.lease);
    return all;
  }
};

TEST_F(RedoTest, ReturnToTheirPlaceInTheirOrderUnderTheirNumbers) {
  submit_in_place("a");
  const auto lost = take_chunks_of(0);
  ASSERT_GT(lost.size(), 1u);
  lose(0);
  // The others compute all that is left, and nothing of these.
  std::set<std::uint64_t> begun;
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) {
      for (const ChunkDescriptor& chunk : packet.chunks) begun.insert(chunk.first_block);
      complete(packet);
    }
  for (const ChunkDescriptor& chunk : lost) EXPECT_FALSE(begun.contains(chunk.first_block));
  replace(0);
  const auto again = complete_of(0, lost.size());
  ASSERT_EQ(leases(again), leases(lost));
  for (std::size_t i = 0; i < lost.size(); ++i) {
    EXPECT_EQ(again[i].first_block, lost[i].first_block);
    EXPECT_EQ(again[i].block_count, lost[i].block_count);
    EXPECT_EQ(again[i].attempt, i == 0 ? 2 : 1) << "the first one alone may have ended the worker";
  }
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(RedoTest, ComeBeforeEverythingElseOfThePlace) {
  submit_in_place("a");
  const auto lost = take_chunks_of(0);
  submit_in_place("b");
  lose(0);
  replace(0);
  auto next = take_chunks_of(0);
  ASSERT_EQ(next.size(), 2u) << "each alone in its packet";
  EXPECT_EQ(next[0].lease, lost[0].lease);
  EXPECT_EQ(next[1].lease, lost[1].lease);
  core->on_completions(0, std::vector<ChunkCompletion>{{next[0].lease, 1, 0, 0, {}}, {next[1].lease, 1, 0, 0, {}}});
  complete_everything();
}

TEST_F(RedoTest, ThatAreLostAgainKeepTheirOrder) {
  submit_in_place("a");
  complete_of(1, 1);  // its chunks are known to be short from now on, and share packets
  const auto lost = take_chunks_of(1);
  ASSERT_GT(lost.size(), 2u);
  lose(1);
  replace(1);
  ASSERT_EQ(complete_of(1, 1).size(), 1u);
  take_chunks_of(1);
  lose(1);
  replace(1);
  auto left = leases(lost);
  left.erase(left.begin());
  EXPECT_EQ(leases(complete_of(1, left.size())), left);
  complete_everything();
}

// What it has not begun nobody has touched: anybody may compute that.
TEST_F(RedoTest, GiveBackWhatTheyHaveNoTimeForToWhoeverIsFree) {
  wire::Request request = add_one("a");
  request.mutable_submit_job()->set_chunk_blocks(5);
  const JobId id = submit(request);
  const auto lost = take_chunks_of(0);
  ASSERT_FALSE(lost.empty());
  lose(0);
  complete_everything();
  replace(0);
  const Recorder::Work again = effects.work.front();
  effects.work.erase(effects.work.begin());
  ASSERT_EQ(again.chunks[0].lease, lost[0].lease);
  cut(again, 3);
  std::map<std::uint64_t, ChunkDescriptor> rest;
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) {
      for (const ChunkDescriptor& chunk : packet.chunks) rest[chunk.first_block] = chunk;
      complete(packet);
    }
  const auto left = rest.find(lost[0].first_block + 3);
  ASSERT_NE(left, rest.end());
  EXPECT_EQ(left->second.block_count, 2u);
  EXPECT_GT(left->second.lease, lost.back().lease);
  EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(RedoTest, OfACancelledJobAreForgotten) {
  const JobId id = submit_in_place("a");
  take_chunks_of(2);
  lose(2);
  cancel(id);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kCancelled);
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  const JobId other = submit_in_place("b");
  replace(2);
  complete_everything();
  EXPECT_EQ(state(other), JobState::kDone);
}

TEST_F(RedoTest, ThatEndThreeWorkersFailTheirJobAlone) {
  const JobId id = submit_in_place("a"), other = submit_in_place("b");
  for (int death = 0; death < 3; ++death) {
    take_chunks_of(0);
    lose(0);
    if (death < 2) replace(0);
  }
  complete_everything();
  replace(0);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kFailed);
  EXPECT_THAT(why(id), ::testing::HasSubstr("3 workers died computing blocks"));
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  EXPECT_EQ(state(other), JobState::kDone);
  EXPECT_EQ(state("b"), ArrayState::kWhole);
}

TEST_F(RedoTest, AreWatchedAnewInTheNextWorkersHands) {
  const JobId id = submit_in_place("a");
  effects.stopped_workers.insert(0);
  for (int second = 0; second <= 5; ++second) core->on_second();
  EXPECT_THAT(Recorder::take(effects.killed), ElementsAre(0));
  take_chunks_of(0);
  lose(0);
  replace(0);
  for (int second = 0; second < 5; ++second) core->on_second();
  EXPECT_TRUE(effects.killed.empty());
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
}

TEST_F(RedoTest, CountAsTheWorkersThatAJobMayHave) {
  wire::Request request = add_one("a");
  request.mutable_submit_job()->set_chunk_blocks(1);
  request.mutable_submit_job()->set_max_workers(1);
  const JobId id = submit(request);
  const WorkerIndex worker = effects.work.front().worker;
  take_chunks_of(worker);
  lose(worker);
  EXPECT_TRUE(effects.work.empty()) << "for another worker";
  replace(worker);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
}

TEST_F(RedoTest, WaitForTheirPlaceHoweverLongThatTakes) {
  const JobId id = submit_in_place("a");
  take_chunks_of(0);
  lose(0);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kRunning);
  wire::Request show;
  show.mutable_get_job()->mutable_job()->set_id(id.value);
  EXPECT_THAT(ask(session, show).job_described().job().waiting_for(), ::testing::HasSubstr("worker 0"));
  for (int i = 0; i < 3; ++i) lose(0);  // it cannot be had
  EXPECT_EQ(state(id), JobState::kRunning);
  replace(0);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
}

}  // namespace
}  // namespace parcompute::server
