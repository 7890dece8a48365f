// Blocks to workers and back: every block exactly once, whoever dies.
#include <algorithm>
#include <map>
#include <random>

#include "proto/limits.h"
#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

using DispatchTest = CoreTest;

TEST_F(DispatchTest, OneBlockGoesToOneWorkerAndItsAnswerEndsTheJob) {
  start(2);
  const SessionId session = open_session();
  const std::uint64_t request = send(session, nop(1));
  const auto work = Recorder::take(effects.work);
  ASSERT_EQ(work.size(), 1u);
  EXPECT_TRUE(work[0].has_description);
  ASSERT_EQ(work[0].chunks.size(), 1u);
  EXPECT_EQ(work[0].chunks[0].block_count, 1u);
  complete(work[0]);
  const wire::Reply reply = effects.take_reply();
  EXPECT_EQ(reply.request_id(), request);
  EXPECT_EQ(reply.job_ended().job().state(), wire::JobInfo::DONE);
  EXPECT_EQ(reply.job_ended().job().chunks_done(), 1u);
}

TEST_F(DispatchTest, AWorkerHoldsAtMostTwoPackets) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(1000, 1));
  auto work = Recorder::take(effects.work);
  ASSERT_EQ(work.size(), 2u);
  complete(work[0]);
  EXPECT_EQ(effects.work.size(), 1u);
  complete(work[1]);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().blocks_done(), 1000u);
}

TEST_F(DispatchTest, TheDescriptionTravelsOnceToEachWorker) {
  start(2);
  const SessionId session = open_session();
  send(session, nop(10000, 1));
  std::map<WorkerIndex, int> descriptions;
  while (!effects.work.empty()) {
    for (const auto& packet : Recorder::take(effects.work)) {
      descriptions[packet.worker] += packet.has_description;
      complete(packet);
    }
  }
  EXPECT_EQ(descriptions, (std::map<WorkerIndex, int>{{0, 1}, {1, 1}}));
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(DispatchTest, AWorkerThatIsStoppedWithAChunkInHandIsReplaced) {
  start(2);
  const SessionId session = open_session();
  core->on_second();
  EXPECT_FALSE(effects.watches);
  send(session, nop(2, 1));
  EXPECT_TRUE(effects.watches);
  effects.stopped_workers.insert(0);
  for (int second = 0; second <= 4; ++second) core->on_second();
  EXPECT_TRUE(effects.killed.empty());
  core->on_second();
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{0});
  EXPECT_EQ(effects.warnings, std::vector<std::string>{"worker 0 (pid 100) is ended: it had been stopped for 5 s with a chunk in hand (job 1, whose chunk is computed again)"});
  effects.work.erase(std::remove_if(effects.work.begin(), effects.work.end(), [](const auto& packet) { return packet.worker == 0; }), effects.work.end());
  core->on_worker_lost(0, "was killed by signal 9 (Killed)");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().blocks_done(), 2u);
  core->on_second();
  EXPECT_FALSE(effects.watches) << "nobody has anything in hand";
}

TEST_F(DispatchTest, AWorkerThatComputesForLongIsLeftAlone) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(1));
  for (int second = 0; second < 10'000; ++second) core->on_second();
  EXPECT_TRUE(effects.killed.empty());
  complete_everything();
  effects.take_reply();
}

TEST_F(DispatchTest, AStoppedWorkerThatGoesOnInTimeIsLeftAlone) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(1000, 300));
  effects.stopped_workers.insert(0);
  int answers = 0;
  for (; !effects.work.empty(); ++answers) {
    for (int second = 0; second < 5; ++second) core->on_second();
    const Recorder::Work first = effects.work.front();
    effects.work.erase(effects.work.begin());
    complete(first);
  }
  EXPECT_GT(answers, 1);
  EXPECT_TRUE(effects.killed.empty());
  effects.take_reply();
}

TEST_F(DispatchTest, AWorkerThatTakesLongToEndIsKilled) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(1));
  core->on_fault(0, "at address 0x10");
  for (int second = 0; second <= 10; ++second) core->on_second();
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{0});
  effects.work.clear();
  core->on_worker_lost(0, "was killed by signal 9 (Killed)");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  core->on_worker_forked(0, 200);
  core->on_worker_ready(0);
  complete_everything();
  effects.take_reply();
}

TEST_F(DispatchTest, LostWorkerReturnsItsBlocksOnce) {
  start(2);
  const SessionId session = open_session();
  send(session, nop(100, 10));
  std::map<std::uint64_t, int> handed_out;  // by first block
  const auto note = [&](const Recorder::Work& packet) {
    for (const auto& chunk : packet.chunks) ++handed_out[chunk.first_block];
  };
  auto work = Recorder::take(effects.work);
  const WorkerIndex victim = work.front().worker;
  std::vector<Recorder::Work> lost;
  for (const auto& packet : work) {
    note(packet);
    if (packet.worker == victim) lost.push_back(packet);
  }
  core->on_worker_lost(victim, "was killed by signal 9 (Killed)");
  EXPECT_EQ(Recorder::take(effects.forked), std::vector<WorkerIndex>{victim});
  for (const auto& packet : work)
    if (packet.worker != victim) complete(packet);
  while (!effects.work.empty()) {
    for (const auto& packet : Recorder::take(effects.work)) {
      EXPECT_NE(packet.worker, victim);
      note(packet);
      complete(packet);
    }
  }
  for (const auto& [block, times] : handed_out) {
    const bool was_lost = std::any_of(lost.begin(), lost.end(), [&](const auto& packet) {
      return std::any_of(packet.chunks.begin(), packet.chunks.end(), [&](const auto& chunk) { return chunk.first_block == block; });
    });
    EXPECT_EQ(times, was_lost ? 2 : 1) << "block " << block;
  }
  EXPECT_EQ(handed_out.size(), 10u);
  const wire::Reply reply = effects.take_reply();
  EXPECT_EQ(reply.job_ended().job().state(), wire::JobInfo::DONE);
  EXPECT_EQ(reply.job_ended().job().blocks_done(), 100u);
  EXPECT_GE(reply.job_ended().job().retries(), 1u);
}

TEST_F(DispatchTest, AChunkThatEndsThreeWorkersFailsItsJobAlone) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(1));
  for (std::uint16_t attempt = 1; attempt <= kMaxAttempts; ++attempt) {
    const auto work = Recorder::take(effects.work);
    ASSERT_EQ(work.size(), 1u);
    EXPECT_EQ(work[0].chunks[0].attempt, attempt);
    core->on_worker_lost(0, "was killed by signal 11 (Segmentation fault)");
    EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
    if (attempt < kMaxAttempts) {
      EXPECT_TRUE(effects.work.empty());
      core->on_worker_ready(0);
    }
  }
  const wire::Reply reply = effects.take_reply();
  EXPECT_EQ(reply.job_ended().job().state(), wire::JobInfo::FAILED);
  EXPECT_NE(reply.job_ended().job().error().message().find("Segmentation fault"), std::string::npos);
  EXPECT_EQ(effects.warnings, std::vector<std::string>{"job 1 has failed: " + reply.job_ended().job().error().message()});
  core->on_worker_ready(0);
  send(session, nop(1));
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().state(), wire::JobInfo::DONE);
}

TEST_F(DispatchTest, OnlyTheChunkInHandIsSuspectedOfKillingItsWorker) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(8, 1));
  const auto work = Recorder::take(effects.work);
  ASSERT_GE(work.size(), 1u);
  core->on_worker_lost(0, "was killed");
  effects.forked.clear();
  core->on_worker_ready(0);
  std::map<std::uint64_t, std::uint16_t> attempts;
  while (!effects.work.empty()) {
    for (const auto& packet : Recorder::take(effects.work)) {
      for (const auto& chunk : packet.chunks) attempts[chunk.first_block] = chunk.attempt;
      complete(packet);
    }
  }
  EXPECT_EQ(attempts.at(work[0].chunks[0].first_block), 2);
  EXPECT_EQ(std::count_if(attempts.begin(), attempts.end(), [](const auto& entry) { return entry.second == 2; }), 1);
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(DispatchTest, AWorkerThatNamedTheChunkThatEndsItIsFedNoMoreAndTheOthersAreNotSuspected) {
  start(1);
  const SessionId session = open_session();
  const std::uint64_t bad = send(session, nop(1));
  send(session, nop(5, 1));
  const auto packets = Recorder::take(effects.work);
  ASSERT_EQ(packets.size(), 2u);
  ChunkCompletion completion{};
  completion.lease = packets[0].chunks[0].lease;
  completion.error_code = static_cast<std::uint32_t>(ErrorCode::kComputationFailed);
  send(session, nop(1));
  core->on_last_words(0, completion, "its memory vanished");
  const auto failed = Recorder::take(effects.replies);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].message.request_id(), bad);
  EXPECT_TRUE(effects.work.empty()) << "it is ending";
  core->on_worker_lost(0, "exited");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  core->on_worker_ready(0);
  for (const auto& packet : effects.work)
    for (const ChunkDescriptor& chunk : packet.chunks) EXPECT_EQ(chunk.attempt, 1u);
  complete_everything();
  EXPECT_EQ(Recorder::take(effects.replies).size(), 2u);
}

TEST_F(DispatchTest, AWorkerThatHasEndedGetsNothingWhileItsLastAnswersAreRead) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(4, 1));
  const auto packets = Recorder::take(effects.work);
  core->on_worker_leaving(0);
  complete(packets[0]);
  EXPECT_TRUE(effects.work.empty());
  core->on_worker_lost(0, "was killed");
  EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
  core->on_worker_ready(0);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().blocks_done(), 4u);
}

TEST_F(DispatchTest, AWorkerWithALongBlockInHandGetsNothingThatItsNeighbourCouldDoAtOnce) {
  start(2);
  const SessionId session = open_session();
  // The job's blocks turn out to be long.
  send(session, nop(30, 1));
  for (int i = 0; i < 4; ++i)
    for (const auto& packet : Recorder::take(effects.work)) complete(packet, 5'000'000'000);
  for (const Worker& worker : core->state().workers) EXPECT_EQ(worker.packets, 1u);
  effects.work.clear();
  send(session, nop(1));
  EXPECT_TRUE(effects.work.empty()) << "it goes to the worker that is done first";
}

TEST_F(DispatchTest, AnAnswerToALeaseThatIsNotHeldEndsTheWorker) {
  start(1);
  const SessionId session = open_session();
  send(session, nop(1));
  auto work = Recorder::take(effects.work);
  work[0].chunks[0].lease += 1000;
  complete(work[0]);
  EXPECT_EQ(Recorder::take(effects.killed), std::vector<WorkerIndex>{0});
  core->on_worker_lost(0, "was killed");
  effects.forked.clear();
  core->on_worker_ready(0);
  complete_everything();
  EXPECT_EQ(effects.take_reply().job_ended().job().state(), wire::JobInfo::DONE);
}

TEST_F(DispatchTest, NoMoreWorkersTakePartThanTheJobAllows) {
  start(4);
  const SessionId session = open_session();
  wire::Request limited = nop(1000, 1);
  limited.mutable_submit_job()->set_max_workers(2);
  send(session, limited);
  while (!effects.work.empty()) {
    std::set<WorkerIndex> at_once;
    for (const Worker& worker : core->state().workers)
      if (!worker.leases.empty()) at_once.insert(worker.index);
    EXPECT_LE(at_once.size(), 2u);
    complete(effects.work.front());
    effects.work.erase(effects.work.begin());
  }
  EXPECT_TRUE(effects.take_reply().has_job_ended());
}

TEST_F(DispatchTest, JobsTakeTurns) {
  start(1);
  const SessionId session = open_session();
  const std::uint64_t first = send(session, nop(100000, 1000));
  send(session, nop(1));
  complete_everything();
  const auto replies = Recorder::take(effects.replies);
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_NE(replies[0].message.request_id(), first) << "the short job waited for the long one";
}

TEST_F(DispatchTest, AFailedChunkEndsItsJobWithTheWorkersWords) {
  start(2);
  const SessionId session = open_session();
  send(session, nop(100, 10));
  auto work = Recorder::take(effects.work);
  ChunkCompletion failed{};
  failed.lease = work[0].chunks[0].lease;
  failed.error_code = static_cast<std::uint32_t>(ErrorCode::kBadData);
  core->on_chunk_failed(work[0].worker, failed, "the file is too short");
  EXPECT_TRUE(effects.replies.empty()) << "leases are still out";
  work[0].chunks.erase(work[0].chunks.begin());
  for (const auto& packet : work)
    if (!packet.chunks.empty()) complete(packet);
  const wire::Reply reply = effects.take_reply();
  EXPECT_EQ(reply.job_ended().job().state(), wire::JobInfo::FAILED);
  EXPECT_EQ(reply.job_ended().job().error().message(), "the file is too short");
  EXPECT_TRUE(effects.work.empty()) << "a failing job hands out nothing more";
}

// Whatever order answers and deaths come in, each block counts once and every job ends.
TEST_F(DispatchTest, WhatWorkersHeldThatWereLostTogetherGoesToNoneOfThem) {
  start(3);
  const SessionId session = open_session();
  send(session, nop(300, 50));
  auto packets = Recorder::take(effects.work);
  const std::vector<LostWorker> lost{{0, "was killed"}, {1, "was killed"}};
  core->on_workers_lost(lost);
  EXPECT_EQ(Recorder::take(effects.forked), (std::vector<WorkerIndex>{0, 1}));
  std::erase_if(packets, [](const Recorder::Work& packet) { return packet.worker != 2; });
  ASSERT_FALSE(packets.empty());
  for (const auto& packet : effects.work) EXPECT_EQ(packet.worker, 2u);
  while (!packets.empty()) {
    for (const auto& packet : packets) complete(packet);
    packets = Recorder::take(effects.work);
    for (const auto& packet : packets) EXPECT_EQ(packet.worker, 2u);
  }
  const wire::JobInfo job = effects.take_reply().job_ended().job();
  EXPECT_EQ(job.state(), wire::JobInfo::DONE);
  EXPECT_EQ(job.blocks_done(), 300u);
}

TEST_F(DispatchTest, AShortJobTakesItsTurnBesideAnEndlessOneThatWorkersHoldTwoPacketsOf) {
  start(2);
  const SessionId session = open_session();
  send(session, nop(std::uint64_t{1} << 47));
  effects.work.clear();
  send(session, nop(2, 1));
  // Both workers hold two packets of the endless job; each answer makes room, and the short one takes every second turn.
  const JobId endless{1};
  for (WorkerIndex worker : {0u, 1u, 0u, 1u}) {
    Recorder::Work first{worker, {}, {}, false, {}};
    for (const Lease& lease : core->state().workers[worker].leases) {
      first.chunks.push_back({lease.id, lease.job.value, lease.blocks.first, lease.blocks.count, lease.slot, lease.phase, lease.attempt});
      if (lease.last_in_packet) break;
    }
    complete(first);
  }
  std::size_t short_ones = 0;
  for (const auto& packet : Recorder::take(effects.work)) short_ones += JobId{packet.chunks.front().job} != endless;
  EXPECT_EQ(short_ones, 2u);
}

TEST_F(DispatchTest, RandomDeathsLoseAndRepeatNoBlock) {
  std::mt19937_64 random(20261121);
  for (int round = 0; round < 50; ++round) {
    effects.work.clear();
    start(3);
    const SessionId session = open_session();
    std::uint64_t wanted = 0;
    for (int job = 0; job < 5; ++job) {
      const std::uint64_t blocks = 1 + random() % 500;
      wanted += blocks;
      send(session, nop(blocks, random() % 20));
    }
    std::vector<std::deque<Recorder::Work>> queues(3);
    std::uint64_t done = 0;
    while (effects.replies.size() < 5) {
      for (auto& packet : Recorder::take(effects.work)) queues[packet.worker].push_back(std::move(packet));
      const auto worker = static_cast<WorkerIndex>(random() % 3);
      if (random() % 10 == 0) {
        queues[worker].clear();
        core->on_worker_lost(worker, "was killed");
        EXPECT_EQ(Recorder::take(effects.forked), std::vector<WorkerIndex>{worker});
        core->on_worker_ready(worker);
      } else if (!queues[worker].empty()) {
        const auto packet = std::move(queues[worker].front());
        queues[worker].pop_front();
        complete(packet);
      }
    }
    for (const auto& reply : Recorder::take(effects.replies)) {
      const wire::JobInfo& job = reply.message.job_ended().job();
      if (job.state() == wire::JobInfo::DONE) EXPECT_EQ(job.blocks_done(), job.blocks_total());
      else EXPECT_EQ(job.state(), wire::JobInfo::FAILED);  // three deaths in a row, by chance
      done += job.blocks_total();
    }
    EXPECT_EQ(done, wanted);
    EXPECT_TRUE(core->state().jobs.live().empty());
  }
}

TEST_F(DispatchTest, ACertificateSaysWhomTheKernelKilledForMemory) {
  start(1);
  const SessionId session = open_session();
  wire::Request request = nop(1, 1);
  request.mutable_submit_job()->set_detach(true);
  const std::uint64_t job = ask(session, request).job_submitted().job_id();
  for (const bool by_oom_killer : {true, false, true}) {
    ASSERT_EQ(Recorder::take(effects.work).size(), 1u);
    const LostWorker lost{0, "was killed by signal 9 (Killed)", 4096, by_oom_killer};
    core->on_workers_lost(std::span(&lost, 1));
    EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
    core->on_worker_forked(0, 200);
    core->on_worker_ready(0);
  }
  wire::Request show;
  show.mutable_get_job()->mutable_job()->set_id(job);
  const wire::JobInfo info = ask(session, show).job_described().job();
  ASSERT_EQ(info.certificate().deaths_size(), 3);
  for (const int death : {0, 2}) {
    EXPECT_TRUE(info.certificate().deaths(death).by_oom_killer());
    EXPECT_EQ(info.certificate().deaths(death).how(), "was killed by signal 9 (Killed) by the kernel, for memory was short");
  }
  EXPECT_FALSE(info.certificate().deaths(1).by_oom_killer());
  EXPECT_EQ(info.certificate().deaths(1).how(), "was killed by signal 9 (Killed)");
  EXPECT_THAT(info.error().message(), ::testing::HasSubstr("the last one was killed by signal 9 (Killed) by the kernel, for memory was short")) << "its short form";
}

// It would look as if the kernel had, had memory run out in the same second.
TEST_F(DispatchTest, WhomTheServerEndsTheKernelDidNot) {
  start(1);
  const SessionId session = open_session();
  wire::Request request = nop(1, 1);
  request.mutable_submit_job()->set_detach(true);
  const std::uint64_t job = ask(session, request).job_submitted().job_id();
  for (int death = 0; death < 3; ++death) {
    ASSERT_EQ(Recorder::take(effects.work).size(), 1u);
    effects.stopped_workers.insert(0);
    while (effects.killed.empty()) core->on_second();
    effects.killed.clear();
    const LostWorker lost{0, "was killed by signal 9 (Killed)", 4096, true};
    core->on_workers_lost(std::span(&lost, 1));
    EXPECT_EQ(Recorder::take(effects.forked).size(), 1u);
    core->on_worker_ready(0);
  }
  wire::Request show;
  show.mutable_get_job()->mutable_job()->set_id(job);
  const wire::JobInfo info = ask(session, show).job_described().job();
  ASSERT_EQ(info.certificate().deaths_size(), 3);
  EXPECT_FALSE(info.certificate().deaths(0).by_oom_killer());
  EXPECT_THAT(info.error().message(), ::testing::HasSubstr("by the server, for it had been stopped"));
}

}  // namespace
}  // namespace parcompute::server
