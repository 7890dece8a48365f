// What becomes of an array that a job writes: whole, incomplete, shorter than planned; and what its header says meanwhile.
#include <gmock/gmock.h>

#include <cstring>

#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::HasSubstr;

class OutputTest : public TurnsTest {
 protected:
  static wire::Request into_first(const std::string& name, std::int64_t count) {
    wire::Request request = overwrite(name, {count});
    to_wire(first(count), *request.mutable_submit_job()->mutable_existing_output()->mutable_view());
    return request;
  }
  static wire::Request compress(const std::string& name) {
    wire::Request request;
    wire::SubmitJob& submit = *request.mutable_submit_job();
    submit.mutable_operation()->mutable_compress();
    submit.add_inputs()->set_name("a");
    submit.add_inputs()->set_name("mask");
    submit.set_chunk_blocks(1);
    name.empty() ? submit.set_anonymous_output(true) : submit.set_output_name(name);
    return request;
  }
  // Answers a packet; its last chunk says `length` if it has the phase's last of `blocks`.
  void answer(const Recorder::Work& packet, std::uint64_t length, std::uint64_t blocks) {
    std::vector<ChunkCompletion> completions;
    for (const ChunkDescriptor& chunk : packet.chunks) {
      ChunkCompletion completion{};
      completion.lease = chunk.lease;
      if (chunk.first_block + chunk.block_count == blocks) std::memcpy(completion.value.data(), &length, sizeof length);
      completions.push_back(completion);
    }
    core->on_completions(packet.worker, completions);
  }
  void create_masked(std::int64_t elements) {
    send(session, zeros("a", {elements}));
    send(session, zeros("mask", {elements}, DType::kBool));
    complete_everything();
    effects.replies.clear();
  }
};

TEST_F(OutputTest, ItsHeaderSaysThatItIsWrittenBeforeTheFirstByteChanges) {
  create("a");
  EXPECT_TRUE(header_is_complete("a"));
  submit(add_one("a"));
  EXPECT_FALSE(header_is_complete("a"));
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  wire::Request find;
  find.mutable_find_array()->mutable_array()->set_name("a");
  EXPECT_TRUE(ask(session, find).array_found().array().incomplete());
  complete_everything();
  EXPECT_TRUE(header_is_complete("a"));
  EXPECT_FALSE(ask(session, find).array_found().array().incomplete());
}

TEST_F(OutputTest, ItsHeaderIsWholeUntilThePhaseThatWrites) {
  create("a");
  const JobId id = submit(reverse("a"));
  EXPECT_TRUE(header_is_complete("a"));
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  step();
  EXPECT_EQ(state(id), JobState::kRunning);
  EXPECT_FALSE(header_is_complete("a"));
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  step();
  EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_TRUE(header_is_complete("a"));
}

TEST_F(OutputTest, AStoredResultThatFailsBeforeItsLastPhaseLeavesItUntouched) {
  create("a");
  const JobId id = submit(reverse("a"));
  ASSERT_EQ(effects.work.front().chunks.front().phase, 1);
  fail_step("bad");
  EXPECT_EQ(state(id), JobState::kFailed);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_TRUE(header_is_complete("a"));
}

TEST_F(OutputTest, AStoredResultThatFailsInItsLastPhaseLeavesItIncomplete) {
  create("a");
  const JobId id = submit(reverse("a"));
  step();
  ASSERT_EQ(effects.work.front().chunks.front().phase, 2);
  fail_step("bad");
  EXPECT_EQ(state(id), JobState::kFailed);
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  EXPECT_FALSE(header_is_complete("a"));
}

TEST_F(OutputTest, ADirectResultThatFailsLeavesItIncomplete) {
  create("a");
  submit(into_first("a", 8));
  fail_step("bad");
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
}

TEST_F(OutputTest, AJobThatGotNoWorkerLeavesItUntouched) {
  create("a");
  wire::Request endless = nop(1000, 1);
  const JobId before = submit(endless);
  const auto held = Recorder::take(effects.work);
  ASSERT_EQ(held.size(), 2u) << "the worker is full";
  const JobId id = submit(into_first("a", 8));
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  cancel(id);
  EXPECT_EQ(state(id), JobState::kCancelled);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_TRUE(header_is_complete("a"));
  cancel(before);
  for (const auto& packet : held) complete(packet);
}

TEST_F(OutputTest, OneThatIsCancelledWhileItIsWrittenIsIncompleteOnceTheWorkersLetGo) {
  create("a");
  const JobId id = submit(into_first("a", 8));
  cancel(id);
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  refusal(into("a", "a + 1.0", {"b"}), ErrorCode::kNotFound);
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
}

TEST_F(OutputTest, WrittenWholeAnIncompleteArrayIsWhole) {
  adopt_incomplete("a");
  submit(overwrite("a"));
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_TRUE(header_is_complete("a"));
}

TEST_F(OutputTest, WrittenWholeThroughAViewItIsWholeToo) {
  adopt_incomplete("a");
  wire::Request request = overwrite("a", {2, 4});
  to_wire({DType::kFloat64, {2, 4}, {-8, 16}, 8}, *request.mutable_submit_job()->mutable_existing_output()->mutable_view());
  submit(request);
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(OutputTest, WrittenInPartAnIncompleteArrayStaysIncomplete) {
  adopt_incomplete("a");
  const JobId id = submit(into_first("a", 7));
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  EXPECT_FALSE(header_is_complete("a"));
}

TEST_F(OutputTest, WrittenInPartAWholeArrayStaysWhole) {
  create("a");
  submit(into_first("a", 3));
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(OutputTest, AReaderBehindAPartOfAnIncompleteArrayIsToldSo) {
  adopt_incomplete("a");
  submit(into_first("a", 7));
  const JobId reader = submit(sum("a"));
  EXPECT_EQ(state(reader), JobState::kQueued);
  complete_everything();
  EXPECT_EQ(state(reader), JobState::kCancelled);
  EXPECT_THAT(why(reader), HasSubstr("array 'a' is incomplete"));
}

TEST_F(OutputTest, AnAcceptedArrayIsWholeForTheNextServerToo) {
  adopt_incomplete("a");
  EXPECT_THAT(refusal(sum("a"), ErrorCode::kBadData), HasSubstr("'parcompute-client array accept a'"));
  const wire::Reply reply = ask(session, accept("a"));
  EXPECT_TRUE(reply.array_found().was_incomplete());
  EXPECT_FALSE(reply.array_found().array().incomplete());
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_TRUE(header_is_complete("a"));
  submit(sum("a"));
  complete_everything();
}

TEST_F(OutputTest, WhoWritesAnArrayIsToldFromWhoLeftItIncomplete) {
  wire::Request find;
  find.mutable_find_array()->mutable_array()->set_name("a");
  const auto found = [&] { return ask(session, find).array_found().array(); };
  adopt_incomplete("a");
  EXPECT_TRUE(found().incomplete());
  EXPECT_EQ(found().writer_job(), 0u);
  create("b");
  submit(add_one("b"));
  const JobId writer = submit(into("a", "b + 1.0", {"b"}));
  ASSERT_EQ(state(writer), JobState::kQueued);
  EXPECT_EQ(found().writer_job(), writer.value);
  EXPECT_THAT(refusal(sum("a"), ErrorCode::kBadData), HasSubstr(fmt::format("'a' is incomplete: the job that was writing it was cancelled, failed, or was cut off when its server "
                                                                            "ended; job {0} is to write it: wait for that with 'parcompute-client job wait {0}'",
                                                                            writer.value)));
  complete_everything();
  EXPECT_FALSE(found().incomplete());
  EXPECT_EQ(found().writer_job(), 0u);
}

TEST_F(OutputTest, AcceptingAWholeArrayChangesNothing) {
  create("a");
  const wire::Reply reply = ask(session, accept("a"));
  EXPECT_TRUE(reply.has_array_found());
  EXPECT_FALSE(reply.array_found().was_incomplete());
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(OutputTest, AnAttachedFileThatWasCutShortIsNotAccepted) {
  attach("f", true);
  EXPECT_TRUE(ask(session, accept("f")).has_array_found());
  effects.file_sizes[array("f").segment] = 10;
  EXPECT_THAT(refusal(accept("f"), ErrorCode::kBadData), HasSubstr("the file of array 'f', was cut short"));
}

TEST_F(OutputTest, AnArrayThatAJobWritesOrWillWriteIsNotAccepted) {
  adopt_incomplete("a");
  create("b");
  submit(add_one("b"));
  const JobId writer = submit(into("a", "b + 1.0", {"b"}));
  ASSERT_EQ(state(writer), JobState::kQueued);
  const std::string advice = fmt::format("'parcompute-client job wait {}'", writer.value);
  EXPECT_THAT(refusal(accept("a"), ErrorCode::kBadData), HasSubstr(advice)) << "it is incomplete, but about to be written";
  step();
  ASSERT_EQ(state("a"), ArrayState::kMaking);
  EXPECT_THAT(refusal(accept("a"), ErrorCode::kBadData), HasSubstr(advice));
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(OutputTest, AFileThatWasCutShortIsNeitherReadNorWritten) {
  attach("file", true);
  create("b");
  const SegmentId descriptor = array("file").segment;
  effects.file_sizes[descriptor] = 64;
  submit(sum("file"));
  complete_everything();
  effects.file_sizes[descriptor] = 63;
  for (const wire::Request& request : {sum("file"), into("file", "b + 1.0", {"b"})}) {
    const std::string told = refusal(request, ErrorCode::kBadData);
    for (const char* words : {"'file'", "had 64 bytes", "has 63", "restore the file"}) EXPECT_THAT(told, HasSubstr(words));
  }
  effects.file_sizes[descriptor] = 65;
  submit(sum("file"));
  complete_everything();
}

TEST_F(OutputTest, WhereFreeMemoryCannotBeToldThatIsWhatIsSaid) {
  effects.shm_free = fail(ErrorCode::kSystem, "cannot ask for the free memory of '/dev/shm': Input/output error");
  const std::string told = refusal(zeros("a", {8}), ErrorCode::kSystem);
  EXPECT_THAT(told, HasSubstr("array 'a'"));
  EXPECT_THAT(told, HasSubstr("Input/output error"));
}

TEST_F(OutputTest, AnotherUsersArrayIsNotAccepted) {
  adopt_incomplete("a");
  refusal(open_session(kOwner + 1), accept("a"), ErrorCode::kNotPermitted);
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
}

TEST_F(OutputTest, AFailedPartLeavesAnIncompleteArrayAsItIs) {
  adopt_incomplete("a");
  submit(overwrite("a"));
  fail_step("bad");
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
}

TEST_F(OutputTest, AWorkersDeathInTheMiddleLeavesNoTrace) {
  create("a");
  const JobId id = submit(reverse("a"));
  step();
  effects.work.clear();
  core->on_worker_lost(0, "was killed");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  core->on_worker_forked(0, 200);
  core->on_worker_ready(0);
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_EQ(job(id).retries, 1u);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(OutputTest, WhatHasNoMemoryForItsScratchAreaChangesNothing) {
  create("a");
  effects.refuse_segments = Error{ErrorCode::kOverBudget, "no more", 0};
  EXPECT_EQ(refusal(reverse("a"), ErrorCode::kOverBudget), "no more");
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_EQ(array("a").users, 0u);
  EXPECT_TRUE(array("a").writers.empty());
  effects.refuse_segments.reset();
  submit(reverse("a"));
  complete_everything();
}

// ---- results that say at their end how long they are

TEST_F(OutputTest, IsShortenedToWhatTheJobAnswers) {
  create_masked(1000);
  const auto before = core->state().memory.bytes(MemoryState::kUsed);
  const std::uint64_t id = send(session, compress("c"));
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) answer(packet, 10, 1);
  const wire::Reply reply = effects.take_reply();
  EXPECT_EQ(reply.request_id(), id);
  EXPECT_EQ(reply.job_ended().output().spec().shape(0), 10);
  EXPECT_EQ(reply.job_ended().job().bytes_written(), 10 * sizeof(double));
  EXPECT_EQ(reply.job_ended().output().data_bytes(), 80u);
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), before + segment_memory(80));
  const SegmentHeader& header = effects.segments.at(array("c").segment);
  EXPECT_TRUE(header.complete);
  EXPECT_EQ(header.spec.shape, Dims{10});
  EXPECT_EQ(header.data_bytes, 80u);
  EXPECT_EQ(header.data_offset, segment_data_offset(8000)) << "where the longer one's data began";
  ask(session, remove("c"));
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), before);
}

TEST_F(OutputTest, IsNeverLongerThanPlannedWhateverAWorkerSays) {
  create_masked(1000);
  send(session, compress("c"));
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) answer(packet, ~std::uint64_t{0}, 1);
  EXPECT_EQ(effects.take_reply().job_ended().output().spec().shape(0), 1000);
  EXPECT_EQ(array("c").data_bytes, 8000u);
}

TEST_F(OutputTest, TheLastBlocksWordCountsWhicheverBlockComesInLast) {
  create_masked(200'000);
  send(session, compress("c"));
  std::uint64_t blocks = 0;
  while (!effects.work.empty() && effects.work.front().chunks.front().phase < 2) {
    const auto packets = Recorder::take(effects.work);
    for (const auto& packet : packets) complete(packet);
  }
  // The second phase: the worker dies with its first chunk in hand, which is so computed again, after all others.
  blocks = core->state().jobs.live().begin()->second->phase_blocks[2];
  ASSERT_GT(blocks, 1u) << "one block says nothing here";
  effects.work.clear();
  core->on_worker_lost(0, "was killed");
  effects.forked.clear();
  core->on_worker_forked(0, 200);
  core->on_worker_ready(0);
  std::vector<std::uint64_t> order;
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) {
      for (const ChunkDescriptor& chunk : packet.chunks) order.push_back(chunk.first_block);
      answer(packet, 12'345, blocks);
    }
  EXPECT_NE(order.back(), blocks - 1) << "the last block came in last";
  EXPECT_EQ(effects.take_reply().job_ended().output().spec().shape(0), 12'345);
}

TEST_F(OutputTest, AShortenedArraysSegmentIsNoSpareOne) {
  effects.custody_told = Custody::kOurs;
  create_masked(1000);
  send(session, compress(""));
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) answer(packet, 999, 1);
  const wire::Reply reply = effects.take_reply();
  const auto spare = core->state().memory.bytes(MemoryState::kSpare);
  const auto used = core->state().memory.bytes(MemoryState::kUsed);
  wire::Request gone;
  gone.mutable_remove_array()->mutable_array()->set_id(reply.job_ended().output().id());
  EXPECT_TRUE(ask(session, gone).has_done());
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kSpare), spare);
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), used - segment_memory(999 * 8));
}

TEST_F(OutputTest, BeforeItsLengthIsKnownNobodyCanPlanWithIt) {
  create_masked(1000);
  const JobId maker = submit(compress("c"));
  for (const wire::Request& request : {sum("c"), overwrite("c", {10})})
    EXPECT_EQ(refusal(request, ErrorCode::kBadData), fmt::format("array 'c' is being made, and how long it is shows at the end: wait for job {}", maker.value));
  while (!effects.work.empty())
    for (const Recorder::Work& packet : Recorder::take(effects.work)) answer(packet, 10, 1);
  const JobId reader = submit(sum("c")), writer = submit(overwrite("c", {10}));
  complete_everything();
  EXPECT_EQ(state(reader), JobState::kDone);
  EXPECT_EQ(state(writer), JobState::kDone);
  EXPECT_TRUE(header_is_complete("c"));
  EXPECT_EQ(effects.segments.at(array("c").segment).data_bytes, 80u);
}

TEST_F(OutputTest, AResultWhoseLengthShowsAtTheEndGoesIntoNoArrayThatExists) {
  create_masked(10);
  create("c", 10);
  wire::Request request = compress("");
  request.mutable_submit_job()->mutable_existing_output()->set_name("c");
  EXPECT_THAT(refusal(request, ErrorCode::kInvalidArgument), HasSubstr("let it be a new array"));
}

}  // namespace
}  // namespace parcompute::server
