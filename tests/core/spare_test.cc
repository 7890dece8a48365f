// Spare segments: what of an array that is gone the next one gets, and what never.
#include "common/operation/reserve.h"
#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

class SpareTest : public CoreTest {
 protected:
  static constexpr std::int64_t kElements = 1000;
  void SetUp() override { effects.custody_told = Custody::kOurs; }

  // An array of 0, 1, 2, ..., made and removed again. Its segment.
  SegmentId leave_spare(SessionId session, std::int64_t elements = kElements) {
    send(session, arange("gone", {elements}));
    complete_everything();
    const wire::Reply reply = effects.take_reply();
    EXPECT_TRUE(reply.has_job_ended());
    const SegmentId segment = effects.segments.rbegin()->first;
    EXPECT_TRUE(ask(session, remove("gone")).has_done());
    return segment;
  }
  wire::Reply make(SessionId session, const std::string& name, std::int64_t elements = kElements) {
    send(session, arange(name, {elements}));
    complete_everything();
    return effects.take_reply();
  }
  const SpareSegments& spares() const { return core->state().spares; }
};

TEST_F(SpareTest, TheNextArrayOfItsSizeGetsItWithAFreshHeader) {
  start(1);
  const SessionId session = open_session();
  const SegmentId segment = leave_spare(session);
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 0u);
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kSpare), segment_memory(kElements * 8));
  EXPECT_EQ(effects.segments.at(segment).name, "") << "a server that ends now leaves no array 'gone'";
  make(session, "next");
  ASSERT_EQ(effects.segments.size(), 1u);
  EXPECT_EQ(effects.segments.at(segment).name, "next");
  EXPECT_TRUE(effects.segments.at(segment).complete);
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), segment_memory(kElements * 8));
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kSpare), 0u);
  EXPECT_TRUE(effects.dropped.empty());
}

TEST_F(SpareTest, ItsPagesAreNotReservedAgainAndWorkersNeedNoSecondDescriptor) {
  start(1);
  const SessionId session = open_session();
  constexpr std::int64_t kLarge = 3 * kReserveBlockBytes / 8;
  const SegmentId segment = leave_spare(session, kLarge);
  send(session, arange("next", {kLarge}));
  ASSERT_FALSE(effects.work.empty());
  EXPECT_EQ(effects.work.front().chunks.front().phase, 1) << "phase 0 reserves";
  EXPECT_TRUE(effects.work.front().new_segments.empty());
  EXPECT_EQ(effects.work.front().description.outputs(0).segment(), segment.value);
  EXPECT_EQ(core->state().memory.promised_bytes(), 0u);
  complete_everything();
  const wire::JobInfo job = effects.take_reply().job_ended().job();
  EXPECT_EQ(job.blocks_done(), job.blocks_total());
}

TEST_F(SpareTest, ZerosComeInFreshPages) {
  start(1);
  const SessionId session = open_session();
  const SegmentId spare = leave_spare(session);
  EXPECT_TRUE(ask(session, zeros("zeros", {kElements})).has_job_ended());
  EXPECT_EQ(effects.segments.at(spare).name, "");
  EXPECT_EQ(effects.segments.size(), 2u);
}

TEST_F(SpareTest, AnotherUsersArrayOrOneOfAnotherSizeNeverGetsIt) {
  start(1);
  const SegmentId spare = leave_spare(open_session(2000));
  const SessionId other = open_session(3000);
  make(other, "other");
  make(open_session(2000), "larger", kElements + 1);
  EXPECT_EQ(effects.segments.at(spare).name, "");
  EXPECT_EQ(effects.segments.size(), 3u);
}

TEST_F(SpareTest, WhatIsNotAsItWasIsNotKept) {
  start(1);
  effects.custody_told = Custody::kSpoiled;
  const SegmentId segment = leave_spare(open_session());
  EXPECT_TRUE(effects.dropped.contains(segment));
  EXPECT_EQ(spares().size(), 0u);
}

TEST_F(SpareTest, WhatSomebodyOpenedMeanwhileIsNotUsed) {
  start(1);
  const SessionId session = open_session();
  const SegmentId spare = leave_spare(session);
  effects.custody_told = Custody::kHeld;
  make(session, "next");
  EXPECT_TRUE(effects.dropped.contains(spare));
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), segment_memory(kElements * 8));
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kSpare), 0u);
}

TEST_F(SpareTest, ScratchAreasAreReused) {
  start(1);
  const SessionId session = open_session();
  make(session, "a", 100'000);  // more than one block of a sum: it needs scratch
  for (int i = 0; i < 3; ++i) {
    send(session, sum("a"));
    complete_everything();
    EXPECT_TRUE(effects.take_reply().has_job_ended());
  }
  EXPECT_EQ(effects.last_segment, 2u);
  EXPECT_TRUE(effects.dropped.empty());
}

TEST_F(SpareTest, TheOldestMakeRoomForAnArrayThatNeedsTheBudget) {
  const std::uint64_t each = segment_memory(kElements * 8);
  start(1, segment_memory(20 * kElements * 8) + each);
  const SessionId session = open_session();
  const SegmentId first = leave_spare(session);
  const SegmentId second = leave_spare(session, kElements - 1);
  EXPECT_TRUE(make(session, "large", 20 * kElements).has_job_ended());
  EXPECT_TRUE(effects.dropped.contains(first));
  EXPECT_FALSE(effects.dropped.contains(second)) << "there was room for it";
  const wire::Reply refused = make(session, "too large", 3 * kElements);
  EXPECT_EQ(refused.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
  EXPECT_FALSE(effects.dropped.contains(second)) << "dropping it would not have helped";
}

TEST_F(SpareTest, TheyMakeRoomInAFullDevShm) {
  start(1);
  const SessionId session = open_session();
  const SegmentId spare = leave_spare(session);
  effects.shm_free = kElements * 8;
  EXPECT_TRUE(ask(session, zeros("zeros", {kElements + 400})).has_job_ended());
  EXPECT_TRUE(effects.dropped.contains(spare));
}

TEST_F(SpareTest, TheyTakeAtMostAQuarterOfTheBudget) {
  const std::uint64_t each = segment_memory(kElements * 8);
  start(1, 9 * each);
  const SessionId session = open_session();
  const SegmentId first = leave_spare(session);
  leave_spare(session, kElements - 1);
  leave_spare(session, kElements - 2);
  EXPECT_EQ(spares().size(), 2u);
  EXPECT_TRUE(effects.dropped.contains(first));
  leave_spare(session, 3 * kElements);
  EXPECT_EQ(spares().size(), 2u) << "one that is larger than that goes at once";
}

TEST_F(SpareTest, TheyGoWhenNobodyWantsThemForLong) {
  start(1);
  const SessionId session = open_session();
  const SegmentId spare = leave_spare(session);
  ASSERT_TRUE(effects.wake_time);
  effects.time = *effects.wake_time - std::chrono::seconds(1);
  const SegmentId young = leave_spare(session, kElements - 1);
  effects.time = *std::exchange(effects.wake_time, std::nullopt);
  core->on_wake();
  EXPECT_TRUE(effects.dropped.contains(spare));
  EXPECT_EQ(effects.dropped.at(spare).name, SegmentName::kUnlink);
  EXPECT_FALSE(effects.dropped.contains(young));
  ASSERT_TRUE(effects.wake_time);
  effects.time = *std::exchange(effects.wake_time, std::nullopt);
  core->on_wake();
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_FALSE(effects.wake_time);
}

TEST_F(SpareTest, ALeavingServerKeepsNone) {
  start(1);
  const SessionId session = open_session();
  leave_spare(session);
  make(session, "stays", kElements - 1);
  make(session, "", kElements - 2);
  core->shut_down();
  ASSERT_EQ(effects.segments.size(), 1u);
  EXPECT_EQ(effects.segments.begin()->second.name, "stays");
}

}  // namespace
}  // namespace parcompute::server
