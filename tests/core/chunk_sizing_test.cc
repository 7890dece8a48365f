#include "server/core/chunk_sizing.h"

#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>

#include "proto/descriptor.h"

namespace parcompute::server {
namespace {

TEST(ChunkSizingTest, EveryBlockIsHandedOutForAnyEstimate) {
  for (const double block_ns : {0.0, 1.0, 1e3, 1e6, 1e9, 1e15}) {
    for (const unsigned workers : {1u, 2u, 256u}) {
      std::uint64_t remaining = 100'000;
      std::uint64_t chunks = 0;
      while (remaining > 0) {
        const std::uint64_t taken = chunk_blocks({remaining, block_ns, workers, 0});
        ASSERT_GE(taken, 1u);
        ASSERT_LE(taken, remaining);
        remaining -= taken;
        ++chunks;
      }
      EXPECT_LE(chunks, 100'000u);
    }
  }
}

TEST(ChunkSizingTest, ChunksShrinkTowardsTheEnd) {
  std::uint64_t remaining = 10'000;
  std::uint64_t last = remaining;
  while (remaining > 0) {
    const std::uint64_t taken = chunk_blocks({remaining, 200e3, 4, 0});
    EXPECT_LE(taken, last);
    last = taken;
    remaining -= taken;
  }
  EXPECT_EQ(last, 1u);
}

TEST(ChunkSizingTest, TheUsersChunkIsKept) {
  EXPECT_EQ(chunk_blocks({100, 1, 8, 7}), 7u);
  EXPECT_EQ(chunk_blocks({5, 1, 8, 7}), 5u);
}

TEST(ChunkSizingTest, NoAutomaticChunkIsLongerThanTheTimeTargetOrOneBlock) {
  EXPECT_LE(static_cast<double>(chunk_blocks({1'000'000, 1e6, 1, 0})) * 1e6, 4e6);
  EXPECT_EQ(chunk_blocks({1'000'000, 1e9, 1, 0}), 1u);
}

TEST(ChunkSizingTest, ManyWorkersHaveChunksThatLeaveTheServerTimeForAll) {
  for (const unsigned workers : {64u, 256u, 1024u, 4096u}) {
    const double chunk_ns = static_cast<double>(chunk_blocks({std::uint64_t{1} << 40, 1e3, workers, 0})) * 1e3;
    EXPECT_GE(chunk_ns, workers * 8e3) << "8 us of the server's time for each";
  }
}

TEST(ChunkSizingTest, TheLimitOfAPacketLeavesItsChunksTimeToBeDone) {
  for (const unsigned workers : {1u, 2u, 125u, 256u, 1024u, 4096u}) {
    const double limit_ns = std::chrono::duration<double, std::nano>(packet_limit(workers)).count();
    EXPECT_EQ(limit_ns, std::max(2e6, workers * 16e3));
    const double chunk_ns = static_cast<double>(chunk_blocks({std::uint64_t{1} << 40, 1e3, workers, 0})) * 1e3;
    EXPECT_LE(chunk_ns, limit_ns * 0.8);
    EXPECT_LE(expected_ns(1e3, std::uint64_t{1} << 30, workers), limit_ns) << "the rest is given back";
    EXPECT_EQ(expected_ns(1e9, 3, workers), 1e9) << "but for the block in hand";
  }
}

TEST(ChunkSizingTest, WhatWasGivenBackGoesInAutomaticChunksUpToTheUsers) {
  EXPECT_EQ(chunk_blocks({1000, 1e6, 2, 1000, true}), chunk_blocks({1000, 1e6, 2, 0}));
  EXPECT_EQ(chunk_blocks({1000, 1e3, 2, 5, true}), 5u);
}

TEST(ChunkSizingTest, NoChunkHasMoreBlocksThanItsAnswerCanCount) {
  EXPECT_EQ(chunk_blocks({std::uint64_t{1} << 47, 1e-9, 1, std::uint64_t{1} << 46}), kMaxChunkBlocks);
  EXPECT_LE(chunk_blocks({std::uint64_t{1} << 47, 1e-9, 1, 0}), kMaxChunkBlocks);
}

TEST(ChunkSizingTest, ShortChunksShareAPacketAndLongOnesDoNot) {
  EXPECT_EQ(chunks_per_packet({1'000'000, 20, 2, 1}, 1), kMaxChunksPerPacket);
  EXPECT_EQ(chunks_per_packet({1'000'000, 1e6, 2, 1}, 1), 1u);
}

TEST(ChunkSizingTest, TheLastBlocksAreNotPiledOnOneWorker) {
  EXPECT_EQ(chunks_per_packet({8, 20, 4, 1}, 1), 1u);
  EXPECT_FALSE(leaves_enough({4, 1e6, 4, 0}, 1));
  EXPECT_TRUE(leaves_enough({400, 1e6, 4, 0}, 1));
}

}  // namespace
}  // namespace parcompute::server
