// What one user may take where several share the server.
#include "proto/limits.h"
#include "server/core/shares.h"
#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

class SharesTest : public CoreTest {
 protected:
  static constexpr uid_t kFirst = 2001, kSecond = 2002, kThird = 2003;
  static constexpr std::size_t kArrays = 100;
  static constexpr std::uint64_t kMebibyte = 1024 * 1024;

  void start_shared(ShareLimits limits = {}) {
    ReactorOptions options;
    options.identity.uid = kOwner;
    options.placement.workers = 1;
    options.memory_limit_bytes = kMemory;
    options.memory_limit_source = "the test";
    options.max_arrays = kArrays;
    options.share_limits = limits;
    start_with(options);
  }
  // Makes arrays until one is refused. How many there were.
  std::size_t make_arrays(SessionId session, std::string& refusal, std::size_t most = 2 * kArrays) {
    for (std::size_t made = 0; made < most; ++made) {
      const wire::Reply reply = ask(session, zeros(fmt::format("{}-{}", session.value, made), {8}));
      if (!reply.has_failed()) continue;
      EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
      refusal = reply.failed().message();
      return made;
    }
    return most;
  }
};

TEST_F(SharesTest, EachUserHasHalfOfWhatTheOthersLeave) {
  start_shared();
  std::string refusal;
  EXPECT_EQ(make_arrays(open_session(kFirst), refusal), 50u);
  EXPECT_THAT(refusal, ::testing::AllOf(::testing::HasSubstr("uid 2001 has 50 arrays and scratch areas of jobs, and may have 50"), ::testing::HasSubstr("--user-arrays")));
  EXPECT_EQ(make_arrays(open_session(kSecond), refusal), 25u);
  EXPECT_EQ(make_arrays(open_session(kThird), refusal), 12u);
}

TEST_F(SharesTest, TheServersOwnUserAndRootHaveAllThatIsLeft) {
  for (const uid_t uid : {kOwner, uid_t{0}}) {
    start_shared();
    std::string refusal;
    make_arrays(open_session(kFirst), refusal);
    EXPECT_EQ(make_arrays(open_session(uid), refusal), 50u);
    EXPECT_THAT(refusal, ::testing::HasSubstr("open files")) << "there are no more for anybody";
    effects.segments.clear();
  }
}

// A job that waits for hundreds costs more than one that waits for none.
TEST_F(SharesTest, OfWhatJobsWaitForHasAnEnd) {
  start_shared();
  const SessionId first = open_session(kFirst), second = open_session(kSecond), own = open_session();
  const auto detached = [](wire::Request request) {
    request.mutable_submit_job()->set_detach(true);
    return request;
  };
  // As many as may be named, and none of them ends.
  const auto fill = [&](SessionId session, std::size_t most) {
    wire::Request waiting = detached(nop(1));
    for (std::size_t i = 0; i < kMaxAfter; ++i) {
      const wire::Reply reply = ask(session, detached(nop(1)));
      EXPECT_TRUE(reply.has_job_submitted()) << reply.failed().message();
      waiting.mutable_submit_job()->add_after(reply.job_submitted().job_id());
    }
    for (std::size_t jobs = 0; jobs < most; ++jobs)
      if (const wire::Reply reply = ask(session, waiting); reply.has_failed()) {
        EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
        return std::pair(jobs, reply.failed().message());
      }
    return std::pair(most, std::string());
  };
  const std::size_t all = kMaxWaits / kMaxAfter;
  const auto of_first = fill(first, all + 1), of_second = fill(second, all + 1), of_own = fill(own, all + 1);
  EXPECT_EQ(of_first.first, all / 2);
  EXPECT_THAT(of_first.second, ::testing::HasSubstr("uid 2001 has 524288"));
  EXPECT_EQ(of_second.first, all / 4);
  EXPECT_EQ(of_own.first, all / 4);
  EXPECT_THAT(of_own.second, ::testing::HasSubstr("is the most"));
  EXPECT_EQ(core->state().waits, kMaxWaits);
  // A wait that is over costs nobody anything.
  complete(effects.work.front());
  effects.work.erase(effects.work.begin());
  EXPECT_LT(core->state().waits, kMaxWaits);
  complete_everything();
  EXPECT_EQ(core->state().waits, 0u);
  EXPECT_EQ(core->state().waits_of.of(kFirst), 0u);
  EXPECT_TRUE(ask(first, detached(nop(1))).has_job_submitted());
  complete_everything();
}

TEST_F(SharesTest, AnAdministratorsWordReplacesTheRule) {
  start_shared({.bytes = std::nullopt, .arrays = 70, .jobs = std::nullopt, .sessions = std::nullopt});
  std::string refusal;
  EXPECT_EQ(make_arrays(open_session(kFirst), refusal), 70u);
  EXPECT_THAT(refusal, ::testing::HasSubstr("what each user may have"));
}

TEST_F(SharesTest, WhatIsGivenBackMayBeTakenAgain) {
  start_shared();
  const SessionId session = open_session(kFirst);
  std::string refusal;
  make_arrays(session, refusal);
  EXPECT_TRUE(ask(session, remove(fmt::format("{}-7", session.value))).has_done());
  EXPECT_TRUE(ask(session, zeros("again", {8})).has_job_ended());
  EXPECT_TRUE(ask(session, zeros("once more", {8})).has_failed());
}

TEST_F(SharesTest, MemoryIsSharedInTheSameWay) {
  start_shared();
  const SessionId first = open_session(kFirst), second = open_session(kSecond);
  const auto make = [&](SessionId session, const std::string& name, std::uint64_t bytes) {
    send(session, zeros(name, {static_cast<std::int64_t>(bytes / 8)}));
    complete_everything();
    return effects.take_reply();
  };
  EXPECT_TRUE(make(first, "a", kMemory / 2 - kMebibyte).has_job_ended());
  const wire::Reply refused = make(first, "b", 2 * kMebibyte);
  EXPECT_EQ(refused.failed().code(), static_cast<std::uint32_t>(ErrorCode::kOverBudget));
  EXPECT_THAT(refused.failed().message(), ::testing::AllOf(::testing::HasSubstr("uid 2001 has"), ::testing::HasSubstr("--user-memory")));
  EXPECT_TRUE(make(second, "c", kMemory / 4 - kMebibyte).has_job_ended());
  EXPECT_TRUE(make(second, "d", 3 * kMebibyte).has_failed());
}

TEST_F(SharesTest, OfARemovedArrayThatItsProgramsHaveCountsAsItsOwners) {
  start_shared();
  const SessionId session = open_session(kFirst);
  std::string refusal;
  effects.custody_told = Custody::kHeld;
  for (std::size_t i = 0; i < kArrays / 2; ++i) {
    EXPECT_TRUE(ask(session, zeros("a", {8})).has_job_ended());
    EXPECT_TRUE(ask(session, remove("a")).has_done());
  }
  EXPECT_TRUE(ask(session, zeros("a", {8})).has_failed());
}

TEST_F(SharesTest, WhatTheirProgramsHaveLetGoOfMeanwhileIsTheirsAgain) {
  start_shared();
  const SessionId session = open_session(kFirst);
  effects.custody_told = Custody::kHeld;
  for (std::size_t i = 0; i < kArrays / 2; ++i) {
    ask(session, zeros("a", {8}));
    ask(session, remove("a"));
  }
  effects.custody_told = Custody::kOurs;
  EXPECT_TRUE(ask(session, zeros("a", {8})).has_job_ended());
}

TEST_F(SharesTest, JobsAndSessionsAreSharedInTheSameWay) {
  start_shared({.bytes = std::nullopt, .arrays = std::nullopt, .jobs = 3, .sessions = 2});
  const SessionId session = open_session(kFirst);
  for (int i = 0; i < 3; ++i) send(session, nop(1'000'000));
  const wire::Reply refused = ask(session, nop(1));
  EXPECT_THAT(refused.failed().message(), ::testing::HasSubstr("uid 2001 has 3 jobs waiting or running, and may have 3"));
  EXPECT_TRUE(core->check_session(kFirst));
  const SessionId other = open_session(kFirst);
  const auto full = core->check_session(kFirst);
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().message, ::testing::HasSubstr("--user-sessions"));
  EXPECT_TRUE(core->check_session(kSecond));
  core->on_session_closed(other);
  EXPECT_TRUE(core->check_session(kFirst));
  core->on_session_closed(session);
  effects.work.clear();
}

TEST_F(SharesTest, CountsAreExactAfterAHundredThousandSteps) {
  start_shared();
  std::uint64_t seed = 1;
  const auto below = [&seed](std::uint64_t n) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (seed >> 33) % n;
  };
  std::map<uid_t, std::set<std::string>> mine;
  std::map<uid_t, SessionId> sessions;
  for (const uid_t uid : {kFirst, kSecond, kThird}) sessions[uid] = open_session(uid);
  for (int step = 0; step < 100'000; ++step) {
    const uid_t uid = kFirst + static_cast<uid_t>(below(3));
    const std::string name = fmt::format("{}-{}", uid, below(60));
    effects.custody_told = below(2) == 0 ? Custody::kOurs : Custody::kSpoiled;
    if (mine[uid].contains(name)) {
      EXPECT_TRUE(ask(sessions[uid], remove(name)).has_done());
      mine[uid].erase(name);
    } else if (ask(sessions[uid], zeros(name, {8})).has_job_ended()) {
      mine[uid].insert(name);
    }
  }
  std::size_t all = 0;
  for (const auto& [uid, names] : mine) {
    EXPECT_EQ(core->state().arrays.owned_by(uid), names.size());
    EXPECT_EQ(core->state().memory.share_of(uid).bytes, names.size() * segment_memory(64));
    EXPECT_EQ(core->state().jobs.owned_by(uid), 0u);
    all += names.size();
  }
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), all * segment_memory(64));
}

}  // namespace
}  // namespace parcompute::server
