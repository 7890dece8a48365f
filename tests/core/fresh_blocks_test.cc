// Blocks for the workers of the node that has their pages.
#include "server/core/fresh_blocks.h"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>

#include "common/operation/reserve.h"
#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::ElementsAre;

std::vector<std::uint64_t> pair_of(BlockRange range) { return {range.first, range.count}; }

TEST(FreshBlocks, OfOneNodeGoOutInTheirOrderWhoeverAsks) {
  FreshBlocks blocks(std::vector<std::uint64_t>{10}, {});
  EXPECT_THAT(pair_of(blocks.take(0, 4)), ElementsAre(0u, 4u));
  EXPECT_THAT(pair_of(blocks.take(7, 4)), ElementsAre(4u, 4u));
  EXPECT_EQ(blocks.handed_out(), 8u);
  EXPECT_THAT(pair_of(blocks.take(1, 4)), ElementsAre(8u, 2u));
  EXPECT_EQ(blocks.left(), 0u);
}

TEST(FreshBlocks, OfSeveralNodesAreSharedOutByTheirWorkers) {
  // Node 1 has no workers.
  FreshBlocks blocks(std::vector<std::uint64_t>{80}, std::vector<unsigned>{1, 0, 3});
  EXPECT_THAT(pair_of(blocks.take(2, 5)), ElementsAre(20u, 5u));
  EXPECT_THAT(pair_of(blocks.take(0, 100)), ElementsAre(0u, 20u));
  // Node 0 helps, from the end.
  EXPECT_THAT(pair_of(blocks.take(0, 6)), ElementsAre(74u, 6u));
  EXPECT_THAT(pair_of(blocks.take(1, 4)), ElementsAre(70u, 4u));
  EXPECT_THAT(pair_of(blocks.take(2, 100)), ElementsAre(25u, 45u));
  EXPECT_EQ(blocks.left(), 0u);
}

TEST(FreshBlocks, OfTwoAreasAreSharedOutInEach) {
  FreshBlocks blocks(std::vector<std::uint64_t>{10, 20}, std::vector<unsigned>{1, 1});
  EXPECT_THAT(pair_of(blocks.take(1, 100)), ElementsAre(5u, 5u));
  EXPECT_THAT(pair_of(blocks.take(1, 100)), ElementsAre(20u, 10u));
  EXPECT_THAT(pair_of(blocks.take(0, 100)), ElementsAre(0u, 5u));
  EXPECT_THAT(pair_of(blocks.take(1, 4)), ElementsAre(16u, 4u));
  EXPECT_THAT(pair_of(blocks.take(0, 100)), ElementsAre(10u, 6u));
  EXPECT_EQ(blocks.left(), 0u);
}

TEST(FreshBlocks, OfUnevenNodesWithVeryManyAreNeitherLostNorDoubled) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  FreshBlocks blocks(std::vector<std::uint64_t>{kMost}, std::vector<unsigned>{4096, 1, 4095});
  std::uint64_t covered = 0;
  for (std::size_t node : {0, 1, 2}) {
    const BlockRange range = blocks.take(node, kMost);
    EXPECT_EQ(range.first, covered);
    covered += range.count;
  }
  EXPECT_EQ(covered, kMost);
}

TEST(FreshBlocks, AreHandedOutOnceInAnyOrderOfAsking) {
  std::minstd_rand random(9);
  for (int round = 0; round < 300; ++round) {
    std::vector<unsigned> nodes(random() % 9);
    for (unsigned& workers : nodes) workers = static_cast<unsigned>(random() % 5);
    const std::vector<std::uint64_t> areas{random() % 200, random() % 3 * 40};
    const std::uint64_t count = areas[0] + areas[1];
    FreshBlocks blocks(areas, nodes);
    std::vector<int> seen(count);
    while (blocks.left() > 0) {
      const std::uint64_t before = blocks.left();
      const BlockRange range = blocks.take(random() % 10, 1 + random() % 20);
      ASSERT_GT(range.count, 0u);
      ASSERT_LE(range.first + range.count, count);
      EXPECT_EQ(blocks.left(), before - range.count);
      for (std::uint64_t block = range.first; block < range.first + range.count; ++block) ++seen[block];
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(count));
  }
}

// ---- in the pool

class NodesTest : public CoreTest {
 protected:
  // Workers 0 and 2 sit at node 0, workers 1 and 3 at node 1.
  void start_at_two_nodes() {
    ReactorOptions options;
    options.identity.uid = kOwner;
    options.placement.workers = 4;
    options.placement.pins = {0, 1, 2, 3};
    options.placement.nodes = {0, 1, 0, 1};
    options.placement.node_workers = {2, 2};
    options.memory_limit_bytes = kMemory;
    start_with(options);
  }
};

TEST_F(NodesTest, ThatAreDoneHelpTheOther) {
  start_at_two_nodes();
  send(open_session(), nop(1000, 10));
  // Those of node 1 do nothing.
  std::vector<Recorder::Work> kept;
  std::uint64_t in_hand = 0, helped = 0;
  while (!effects.work.empty())
    for (Recorder::Work& packet : Recorder::take(effects.work)) {
      if (packet.worker % 2 == 1) {
        for (const ChunkDescriptor& chunk : packet.chunks) in_hand += chunk.block_count;
        kept.push_back(std::move(packet));
        continue;
      }
      for (const ChunkDescriptor& chunk : packet.chunks)
        if (chunk.first_block >= 500) helped += chunk.block_count;
      complete(packet);
    }
  EXPECT_GT(helped, 0u);
  EXPECT_EQ(helped + in_hand, 500u) << "all but what node 1 has in hand";
  for (const Recorder::Work& packet : kept) complete(packet);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().blocks_done(), 1000u);
}

// Pages lie with who reserves them.
TEST_F(NodesTest, ReserveThePagesThatTheyWillCompute) {
  start_at_two_nodes();
  constexpr std::uint64_t kPageBlocks = 256;
  send(open_session(), arange("a", {static_cast<std::int64_t>(kPageBlocks * kReserveBlockBytes / 8)}));
  const Job& job = *core->state().jobs.live().begin()->second;
  ASSERT_EQ(job.phase_blocks.size(), 2u);
  const std::vector<std::uint64_t> blocks(job.phase_blocks.begin(), job.phase_blocks.end());
  std::vector<std::uint64_t> at_own(2), at_other(2);
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) {
      for (const ChunkDescriptor& chunk : packet.chunks)
        for (std::uint64_t block = chunk.first_block; block < chunk.first_block + chunk.block_count; ++block)
          ++((block >= blocks[chunk.phase] / 2) == (packet.worker % 2 == 1) ? at_own : at_other)[chunk.phase];
      complete(packet);
    }
  for (const std::size_t phase : {0, 1}) {
    EXPECT_EQ(at_own[phase] + at_other[phase], blocks[phase]);
    EXPECT_LE(at_other[phase], blocks[phase] / 20) << "phase " << phase;
  }
  EXPECT_FALSE(effects.take_reply().job_ended().output().incomplete());
}

}  // namespace
}  // namespace parcompute::server
