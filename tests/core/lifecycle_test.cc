// Every cell of every lifecycle: what may follow, and that nothing else may.
#include "server/core/lifecycle.h"

#include <gtest/gtest.h>

namespace parcompute::server {
namespace {

TEST(JobLifeTest, EndedStatesAreLeftByNothing) {
  for (const JobState state : {JobState::kDone, JobState::kFailed, JobState::kCancelled}) {
    for (int event = 0; event < 5; ++event) {
      const auto next = kJobLife.next(state, static_cast<JobEvent>(event));
      EXPECT_TRUE(!next || *next == state);
    }
  }
}

TEST(JobLifeTest, EveryLiveStateCanEnd) {
  // From each live state some sequence of events leads to an ended one.
  for (int start = 0; start < 7; ++start) {
    std::array<bool, 7> reached{};
    reached[static_cast<std::size_t>(start)] = true;
    for (int round = 0; round < 7; ++round)
      for (std::size_t state = 0; state < 7; ++state)
        for (int event = 0; event < 5; ++event)
          if (reached[state])
            if (const auto next = kJobLife.next(static_cast<JobState>(state), static_cast<JobEvent>(event)))
              reached[static_cast<std::size_t>(*next)] = true;
    bool ends = false;
    for (std::size_t state = 0; state < 7; ++state) ends |= reached[state] && has_ended(static_cast<JobState>(state));
    EXPECT_TRUE(ends) << "from state " << start;
  }
}

TEST(JobLifeTest, AFailingJobStaysFailedWhenItIsCancelled) {
  EXPECT_EQ(kJobLife.next(JobState::kFailing, JobEvent::kCancel), JobState::kFailing);
  EXPECT_EQ(kJobLife.next(JobState::kCancelling, JobEvent::kChunkFailed), JobState::kCancelling);
}

TEST(WorkerLifeTest, ALostWorkerStartsAnewFromWhereverItWas) {
  for (const WorkerState state : {WorkerState::kStarting, WorkerState::kIdle, WorkerState::kBusy})
    EXPECT_EQ(kWorkerLife.next(state, WorkerEvent::kLost), WorkerState::kStarting);
}

TEST(WorkerLifeTest, NoWorkIsLeasedBeforeItIsReady) {
  EXPECT_FALSE(kWorkerLife.next(WorkerState::kStarting, WorkerEvent::kLeased));
}

TEST(ArrayLifeTest, OnlyAnArrayThatIsBeingWrittenBecomesWholeOrIncomplete) {
  EXPECT_EQ(kArrayLife.next(ArrayState::kMaking, ArrayEvent::kMade), ArrayState::kWhole);
  EXPECT_EQ(kArrayLife.next(ArrayState::kMaking, ArrayEvent::kCutOff), ArrayState::kIncomplete);
  for (const ArrayState state : {ArrayState::kWhole, ArrayState::kIncomplete})
    for (const ArrayEvent event : {ArrayEvent::kMade, ArrayEvent::kCutOff}) EXPECT_FALSE(kArrayLife.next(state, event));
}

TEST(ArrayLifeTest, OneJobAtATimeWritesAnArray) {
  EXPECT_EQ(kArrayLife.next(ArrayState::kWhole, ArrayEvent::kWrite), ArrayState::kMaking);
  EXPECT_EQ(kArrayLife.next(ArrayState::kIncomplete, ArrayEvent::kWrite), ArrayState::kMaking) << "it may be mended";
  EXPECT_FALSE(kArrayLife.next(ArrayState::kMaking, ArrayEvent::kWrite));
}

TEST(MemoryLifeTest, WhatIsGivenUpIsNeverUsedAgain) {
  for (const MemoryEvent event : {MemoryEvent::kPutAway, MemoryEvent::kTaken, MemoryEvent::kLeft, MemoryEvent::kLetGo})
    EXPECT_FALSE(kMemoryLife.next(MemoryState::kFreeing, event));
}

TEST(MemoryLifeTest, WhatClientsHaveBecomesNoOtherArrays) {
  EXPECT_FALSE(kMemoryLife.next(MemoryState::kHeld, MemoryEvent::kTaken));
  EXPECT_FALSE(kMemoryLife.next(MemoryState::kHeld, MemoryEvent::kPutAway));
  EXPECT_EQ(kMemoryLife.next(MemoryState::kHeld, MemoryEvent::kLetGo), MemoryState::kFreeing);
}

TEST(ArrayLifeTest, NothingButAnIncompleteArrayCanBeAccepted) {
  EXPECT_EQ(kArrayLife.next(ArrayState::kIncomplete, ArrayEvent::kAccept), ArrayState::kWhole);
  EXPECT_FALSE(kArrayLife.next(ArrayState::kMaking, ArrayEvent::kAccept));
  EXPECT_FALSE(kArrayLife.next(ArrayState::kWhole, ArrayEvent::kAccept));
}

TEST(LifecycleDeathTest, ATransitionThatMustNotHappenIsABug) {
  WorkerState state = WorkerState::kStarting;
  EXPECT_DEATH(kWorkerLife.apply(state, WorkerEvent::kLeased), "bug at");
}

}  // namespace
}  // namespace parcompute::server
