// The memory ledger: what is counted as what, and who waits for what is on its way.
#include "common/operation/reserve.h"
#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

constexpr SegmentId kFirst{1}, kSecond{2};

TEST(MemoryLedgerTest, CountsEachSegmentInOneStateAndForItsOwner) {
  MemoryLedger ledger;
  ledger.add(kFirst, 7, 100);
  ledger.add(kSecond, 8, 10);
  EXPECT_EQ(ledger.bytes(MemoryState::kUsed), 110u);
  EXPECT_EQ(ledger.share_of(7).bytes, 100u);
  ledger.apply(kFirst, MemoryEvent::kPutAway);
  EXPECT_EQ(ledger.bytes(MemoryState::kSpare), 100u);
  EXPECT_EQ(ledger.share_of(7).bytes, 0u) << "it is the server's to keep or to give back";
  ledger.apply(kSecond, MemoryEvent::kLeft);
  EXPECT_EQ(ledger.share_of(8).bytes, 10u) << "its owner's programs still have it";
  EXPECT_EQ(ledger.share_of(8).held, 1u);
  EXPECT_EQ(ledger.taken_bytes(), 10u);
  ledger.apply(kFirst, MemoryEvent::kTaken);
  EXPECT_EQ(ledger.taken_bytes(), 110u);
}

TEST(MemoryLedgerTest, IsRidOfMemoryWithTheLastAnswer) {
  MemoryLedger ledger;
  ledger.add(kFirst, 7, 100);
  ledger.let_go(kFirst, 2);
  EXPECT_EQ(ledger.bytes(MemoryState::kFreeing), 100u);
  EXPECT_FALSE(ledger.on_answer(kFirst));
  EXPECT_EQ(ledger.freed(), 0u);
  EXPECT_TRUE(ledger.on_answer(kFirst));
  EXPECT_EQ(ledger.bytes(MemoryState::kFreeing), 0u);
  EXPECT_EQ(ledger.freed(), 1u);
  EXPECT_FALSE(ledger.on_answer(kFirst)) << "of what is gone nothing is noted";
}

TEST(MemoryLedgerTest, IsRidOfMemoryAtOnceWhereNobodyHasIt) {
  MemoryLedger ledger;
  ledger.add(kFirst, 7, 100);
  ledger.let_go(kFirst, 0);
  EXPECT_EQ(ledger.bytes(MemoryState::kFreeing), 0u);
  EXPECT_EQ(ledger.freed(), 1u);
}

TEST(MemoryLedgerTest, TakesNoAnswerForMemoryThatIsInUse) {
  MemoryLedger ledger;
  ledger.add(kFirst, 7, 100);
  EXPECT_FALSE(ledger.on_answer(kFirst)) << "a worker that made room for others forgot it";
  EXPECT_EQ(ledger.bytes(MemoryState::kUsed), 100u);
}

class MemoryTest : public CoreTest {
 protected:
  static constexpr std::int64_t kLarge = 6 * kReserveBlockBytes / 8;
  const std::uint64_t kLargeBytes = segment_memory(kLarge * 8);

  const MemoryLedger& memory() const { return core->state().memory; }
  std::uint64_t bytes(MemoryState state) const { return memory().bytes(state); }

  // An array of that many elements that the worker has mapped.
  SegmentId make(SessionId session, const std::string& name, std::int64_t elements = kLarge) {
    send(session, arange(name, {elements}));
    complete_everything();
    EXPECT_TRUE(effects.take_reply().has_job_ended());
    return effects.segments.rbegin()->first;
  }
  // All messages to forget, to the worker in hand, are answered.
  void answer_forgotten(WorkerIndex worker, std::size_t count) { core->on_forgotten(worker, count); }
  // As a worker that finds no page left.
  void refuse(const Recorder::Work& packet) {
    for (const ChunkDescriptor& chunk : packet.chunks) {
      ChunkCompletion completion{};
      completion.lease = chunk.lease;
      completion.error_code = static_cast<std::uint32_t>(ErrorCode::kOverBudget);
      core->on_chunk_failed(packet.worker, completion, "no room");
    }
  }
};

TEST_F(MemoryTest, IsBeingFreedUntilEveryWorkerHasLetGo) {
  start(2);
  const SessionId session = open_session();
  const SegmentId segment = make(session, "a");
  ask(session, remove("a"));
  EXPECT_EQ(bytes(MemoryState::kUsed), 0u);
  EXPECT_EQ(bytes(MemoryState::kFreeing), kLargeBytes);
  ASSERT_TRUE(effects.dropped.at(segment).closer) << "the loop frees nothing that takes its time";
  const WorkerIndex closer = *effects.dropped.at(segment).closer;
  std::size_t answers = 0;
  for (const WorkerIndex worker : {WorkerIndex{0}, WorkerIndex{1}}) answers += effects.forgotten[worker].size();
  for (const WorkerIndex worker : {WorkerIndex{0}, WorkerIndex{1}})
    if (worker != closer) answer_forgotten(worker, effects.forgotten[worker].size());
  EXPECT_EQ(bytes(MemoryState::kFreeing), kLargeBytes);
  answer_forgotten(closer, 2);
  EXPECT_EQ(bytes(MemoryState::kFreeing), 0u);
}

TEST_F(MemoryTest, OfADeadWorkerIsLetGo) {
  start(1);
  const SessionId session = open_session();
  make(session, "a");
  ask(session, remove("a"));
  EXPECT_EQ(bytes(MemoryState::kFreeing), kLargeBytes);
  core->on_worker_lost(0, "was killed");
  EXPECT_EQ(bytes(MemoryState::kFreeing), 0u);
  Recorder::take(effects.forked);
}

TEST_F(MemoryTest, OfAWorkerThatIsStoppedIsLetGoWithTheWorker) {
  start(1);
  const SessionId session = open_session();
  make(session, "a");
  ask(session, remove("a"));
  EXPECT_TRUE(effects.watches);
  effects.stopped_workers.insert(0);
  for (int second = 0; second < 10 && effects.killed.empty(); ++second) core->on_second();
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{0});
}

TEST_F(MemoryTest, AWorkerThatForgetsMoreThanItWasToldIsEnded) {
  start(1);
  core->on_forgotten(0, 1);
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{0});
}

TEST_F(MemoryTest, OfARemovedArrayThatAClientHasIsCountedUntilItIsLetGo) {
  start(1, 2 * kLargeBytes);
  const SessionId session = open_session();
  const SegmentId segment = make(session, "a");
  effects.custody_told = Custody::kHeld;
  ask(session, remove("a"));
  EXPECT_EQ(bytes(MemoryState::kHeld), kLargeBytes);
  EXPECT_TRUE(effects.unlinked.contains(segment)) << "nobody finds it by its name any more";
  EXPECT_FALSE(effects.dropped.contains(segment));

  const wire::Reply refused = ask(session, arange("b", {2 * kLarge - 1000}));
  EXPECT_EQ(refused.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
  EXPECT_THAT(refused.failed().message(), ::testing::HasSubstr("by removed arrays that clients still have"));

  effects.custody_told = Custody::kOurs;
  ASSERT_TRUE(effects.wake_time);
  effects.time = *effects.wake_time;
  core->on_wake();
  EXPECT_TRUE(effects.dropped.contains(segment));
  EXPECT_EQ(bytes(MemoryState::kHeld), 0u);
}

TEST_F(MemoryTest, ThatAClientHasLetGoOfMeanwhileIsThereForWhoAsks) {
  start(1, 2 * kLargeBytes);
  const SessionId session = open_session();
  make(session, "a");
  effects.custody_told = Custody::kHeld;
  ask(session, remove("a"));
  effects.custody_told = Custody::kOurs;
  send(session, arange("b", {2 * kLarge - 1000}));
  EXPECT_TRUE(effects.replies.empty()) << "it is admitted, and waits until the worker has let go";
  EXPECT_TRUE(effects.work.empty());
  wire::Request show;
  show.mutable_get_job()->mutable_job()->set_id(2);
  EXPECT_THAT(ask(session, show).job_described().job().waiting_for(), ::testing::HasSubstr("giving back"));
  answer_forgotten(0, 2);
  complete_everything();
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(MemoryTest, OfAJobThatWaitsForItGoesWhenItIsCancelled) {
  start(1, 2 * kLargeBytes);
  const SessionId session = open_session();
  make(session, "a");
  ask(session, remove("a"));
  send(session, arange("b", {2 * kLarge - 1000}));
  wire::Request cancel;
  cancel.mutable_cancel_job()->mutable_job()->set_id(2);
  send(session, cancel);
  Recorder::take(effects.replies);
  EXPECT_EQ(bytes(MemoryState::kUsed), 0u);
  answer_forgotten(0, 2);
  EXPECT_TRUE(effects.work.empty());
}

TEST_F(MemoryTest, AChunkThatFoundNoPageIsTriedAgainWhenSomeAreGivenBack) {
  start(1);
  const SessionId session = open_session();
  make(session, "a");
  ask(session, remove("a"));
  send(session, arange("b", {kLarge}));
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) refuse(packet);
  EXPECT_TRUE(effects.replies.empty());
  answer_forgotten(0, 2);
  EXPECT_FALSE(effects.work.empty());
  complete_everything();
  const wire::JobInfo job = effects.take_reply().job_ended().job();
  EXPECT_EQ(job.state(), wire::JobInfo::DONE);
  EXPECT_EQ(job.retries(), 0u) << "nobody died of it";
  EXPECT_EQ(memory().promised_bytes(), 0u);
}

TEST_F(MemoryTest, AChunkThatFoundNoPageJustBeforeTheyWereGivenBackIsTriedAgainAtOnce) {
  start(1);
  const SessionId session = open_session();
  make(session, "a");
  ask(session, remove("a"));
  send(session, arange("b", {kLarge}));
  const auto packets = Recorder::take(effects.work);
  answer_forgotten(0, 2);
  for (const Recorder::Work& packet : packets) refuse(packet);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().state(), wire::JobInfo::DONE);
}

TEST_F(MemoryTest, AChunkThatFoundNoPageFailsWhereNoneIsOnItsWay) {
  start(1);
  const SessionId session = open_session();
  send(session, arange("a", {kLarge}));
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) refuse(packet);
  const wire::Reply reply = effects.take_reply();
  EXPECT_EQ(reply.job_ended().job().error().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
  EXPECT_EQ(bytes(MemoryState::kUsed), 0u);
  EXPECT_EQ(memory().promised_bytes(), 0u);
}

TEST_F(MemoryTest, ThatIsHeldStaysCountedUnlessItsDescriptorIsWhatIsShort) {
  start(1);
  const SessionId session = open_session();
  const SegmentId segment = make(session, "a");
  effects.custody_told = Custody::kHeld;
  ask(session, remove("a"));
  core->drop_spares();
  EXPECT_FALSE(effects.dropped.contains(segment));
  effects.refuse_segments = Error{ErrorCode::kOverBudget, "no room", ENOSPC};
  EXPECT_TRUE(ask(session, zeros("b", {8})).has_failed());
  EXPECT_FALSE(effects.dropped.contains(segment));
  effects.refuse_segments = Error{ErrorCode::kOverBudget, "no descriptor", EMFILE};
  EXPECT_TRUE(ask(session, zeros("b", {8})).has_failed());
  EXPECT_TRUE(effects.dropped.contains(segment));
  EXPECT_EQ(bytes(MemoryState::kHeld), 0u);
}

TEST_F(MemoryTest, OfAWorkerThatNeverLetsGoComesBackWithItsEnd) {
  start(1);
  const SessionId session = open_session();
  make(session, "a");
  ask(session, remove("a"));
  for (int second = 0; second < 100 && effects.killed.empty(); ++second) core->on_second();
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{0});
}

TEST_F(MemoryTest, ThatWasLentToAnotherUserIsNoOtherArraysEver) {
  start(1);
  const SessionId owner = open_session(2000), reader = open_session(3000);
  const SegmentId segment = make(owner, "a", 1000);
  wire::Request share;
  share.mutable_set_mode()->mutable_array()->set_name("a");
  share.mutable_set_mode()->set_mode(wire::ArrayInfo::GROUP_READ);
  EXPECT_TRUE(ask(owner, share).has_done());
  wire::Request find;
  find.mutable_find_array()->mutable_array()->set_name("a");
  EXPECT_TRUE(ask(reader, find).has_array_found());
  effects.custody_told = Custody::kOurs;
  EXPECT_TRUE(ask(owner, remove("a")).has_done());
  EXPECT_TRUE(effects.dropped.contains(segment)) << "its pages may lie in a pipe of the reader's";
}

}  // namespace
}  // namespace parcompute::server
