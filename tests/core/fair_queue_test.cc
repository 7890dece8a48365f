// Whose job is next: equal parts for users, then sessions, then jobs, whatever they do.
#include "server/core/fair_queue.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace parcompute::server {
namespace {

constexpr double kPacketNs = 1e6;

class FairQueueTest : public ::testing::Test {
 protected:
  struct Known {
    uid_t user = 0;
    std::uint64_t session = 0;
    int priority = 0;
    FairQueue::Entry* entry = nullptr;
    double ns = 0;  // it was given
  };

  JobId add(uid_t user, std::uint64_t session, int priority = 0) {
    const JobId id{++last_};
    Known known{user, session, priority, &queue_.add(user, SessionId{session}, id, priority), 0};
    queue_.enqueue(*known.entry);
    jobs_.emplace(id, known);
    return id;
  }
  void remove(JobId id) {
    queue_.remove(*jobs_.at(id).entry);
    jobs_.erase(id);
  }
  // Hands a packet to whoever is due, which takes `ns`.
  JobId step(double ns = kPacketNs) { return step(ns, ns); }
  JobId step(double expected_ns, double ns) {
    const JobId id = queue_.next().value();
    Known& job = jobs_.at(id);
    queue_.charge(*job.entry, expected_ns);
    queue_.settle(*job.entry, expected_ns, ns);
    job.ns += ns;
    return id;
  }
  double time_of(uid_t user) const {
    double sum = 0;
    for (const auto& [id, job] : jobs_)
      if (job.user == user) sum += job.ns;
    return sum;
  }
  void expect_near(double part, double expected) { EXPECT_NEAR(part, expected, 0.05 * expected); }

  FairQueue queue_;
  std::map<JobId, Known> jobs_;
  std::uint64_t last_ = 0;
  std::mt19937_64 random_{20261122};
};

TEST_F(FairQueueTest, AnEmptyQueueHasNobodyNext) {
  EXPECT_EQ(queue_.next(), std::nullopt);
  const JobId job = add(1, 1);
  EXPECT_EQ(queue_.next(), job);
  queue_.dequeue(*jobs_.at(job).entry);
  EXPECT_EQ(queue_.next(), std::nullopt);
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(FairQueueTest, AUserWithAHundredJobsHasNoMoreThanOneWithOne) {
  for (std::uint64_t i = 0; i < 100; ++i) add(1, i % 7);
  const JobId alone = add(2, 100);
  std::uniform_real_distribution<double> ns(0.1e6, 2e6);
  for (int packet = 0; packet < 1'000'000; ++packet) step(kPacketNs, ns(random_));
  expect_near(time_of(2) / (time_of(1) + time_of(2)), 0.5);
  EXPECT_DOUBLE_EQ(queue_.share(*jobs_.at(alone).entry), 0.5);
}

TEST_F(FairQueueTest, AUsersSessionsHaveEqualPartsAndSoHaveTheirJobs) {
  std::vector<JobId> crowd;
  for (int i = 0; i < 9; ++i) crowd.push_back(add(1, 1));
  const JobId alone = add(1, 2);
  for (int packet = 0; packet < 100'000; ++packet) step();
  const double all = time_of(1);
  expect_near(jobs_.at(alone).ns / all, 0.5);
  for (const JobId id : crowd) expect_near(jobs_.at(id).ns / all, 0.5 / 9);
}

TEST_F(FairQueueTest, APriorityStepIsAQuarterMoreAsInLinux) {
  EXPECT_DOUBLE_EQ(weight_of(0), 1);
  EXPECT_DOUBLE_EQ(weight_of(-1), 1.25);
  const JobId usual = add(1, 1), nice = add(2, 2, 5);
  for (int packet = 0; packet < 100'000; ++packet) step();
  expect_near(jobs_.at(usual).ns / jobs_.at(nice).ns, std::pow(1.25, 5));
}

TEST_F(FairQueueTest, AUserIsAsSoonAsTheSoonestOfItsJobs) {
  add(1, 1);
  add(2, 2, 19);
  const JobId usual = add(2, 3);
  EXPECT_DOUBLE_EQ(queue_.share(*jobs_.at(usual).entry), 0.5 * 1 / (1 + weight_of(19)));
  queue_.dequeue(*jobs_.at(usual).entry);
  EXPECT_NEAR(queue_.share(*jobs_.at(JobId{2}).entry), weight_of(19) / (1 + weight_of(19)), 1e-12);
}

// Its shares computed from scratch, and all that it hands out, of trees of any shape.
TEST_F(FairQueueTest, RandomTreesAreServedByTheirShares) {
  for (int round = 0; round < 20; ++round) {
    while (!jobs_.empty()) remove(jobs_.begin()->first);
    const int jobs = 2 + static_cast<int>(random_() % 30);
    for (int i = 0; i < jobs; ++i) {
      const auto user = static_cast<uid_t>(random_() % 4);
      add(user, 10 * user + random_() % 3, static_cast<int>(random_() % 9) - 4);
    }
    std::map<uid_t, double> users;
    std::map<std::uint64_t, double> sessions, jobs_in;
    for (const auto& [id, job] : jobs_) {
      users[job.user] = std::max(users[job.user], weight_of(job.priority));
      sessions[job.session] = std::max(sessions[job.session], weight_of(job.priority));
      jobs_in[job.session] += weight_of(job.priority);
    }
    double all_users = 0;
    std::map<uid_t, double> sessions_of;
    for (const auto& [user, weight] : users) all_users += weight;
    for (const auto& [session, weight] : sessions) sessions_of[static_cast<uid_t>(session / 10)] += weight;
    // Workers answer later, and what they say differs from what was expected.
    std::uniform_real_distribution<double> ns(0.2e6, 1.8e6);
    struct Given {
      JobId job;
      double ns;
    };
    std::deque<Given> in_hand;
    double total = 0;
    for (int packet = 0; packet < 200'000; ++packet) {
      const JobId id = queue_.next().value();
      queue_.charge(*jobs_.at(id).entry, kPacketNs);
      in_hand.push_back({id, ns(random_)});
      if (in_hand.size() <= 8) continue;
      const Given done = in_hand.front();
      in_hand.pop_front();
      Known& job = jobs_.at(done.job);
      queue_.settle(*job.entry, kPacketNs, done.ns);
      job.ns += done.ns;
      total += done.ns;
    }
    for (const auto& [id, job] : jobs_) {
      const double part =
          users[job.user] / all_users * (sessions[job.session] / sessions_of[job.user]) * (weight_of(job.priority) / jobs_in[job.session]);
      EXPECT_NEAR(queue_.share(*job.entry), part, 1e-12);
      EXPECT_NEAR(job.ns / total, part, 0.05 * part + 0.001);
    }
  }
}

TEST_F(FairQueueTest, WhoComesBesideALargeJobIsNextAndSavedNothingUp) {
  const JobId large = add(1, 1);
  const JobId idle = add(2, 2);
  queue_.dequeue(*jobs_.at(idle).entry);
  for (int packet = 0; packet < 1'000'000; ++packet) EXPECT_EQ(step(), large);
  queue_.enqueue(*jobs_.at(idle).entry);
  EXPECT_EQ(step(), idle);
  int in_a_row = 0, most = 0;
  for (int packet = 0; packet < 1000; ++packet) {
    in_a_row = step() == idle ? in_a_row + 1 : 0;
    most = std::max(most, in_a_row);
  }
  EXPECT_LE(most, 4);
}

// Each comes when the one before has ended.
TEST_F(FairQueueTest, OneJobAfterTheOtherHasNoMoreThanOneLargeOne) {
  const JobId large = add(1, 1);
  double small_ones = 0;
  for (std::uint64_t session = 2; session < 100'000; ++session) {
    const JobId small = add(2, session);
    while (step() != small) {}
    small_ones += kPacketNs;
    remove(small);
  }
  expect_near(small_ones / (small_ones + jobs_.at(large).ns), 0.5);
}

// A job that is handed out as a whole leaves the queue with that, before anything of it is done.
TEST_F(FairQueueTest, JobsOfOnePacketEachHaveTheirUsersPart) {
  for (const int priority : {0, 5, 19})
    for (const double ns : {1e6, 100e6}) {
      const JobId large = add(1, 1, priority);
      double small_ones = 0;
      JobId small = add(2, 2);
      for (int packet = 0; packet < 100'000; ++packet) {
        const JobId id = queue_.next().value();
        FairQueue::Entry& job = *jobs_.at(id).entry;
        queue_.charge(job, ns);
        if (id == small) queue_.dequeue(job);
        queue_.settle(job, ns, ns);
        jobs_.at(id).ns += ns;
        if (id != small) continue;
        small_ones += ns;
        remove(small);
        small = add(2, 2);
      }
      expect_near(small_ones / (small_ones + jobs_.at(large).ns), 1 / (1 + weight_of(priority)));
      remove(small);
      remove(large);
    }
}

TEST_F(FairQueueTest, ABadGuessKeepsNobodyElseWaiting) {
  const JobId guessed = add(1, 1), other = add(2, 2);
  while (queue_.next() != guessed) step();
  queue_.charge(*jobs_.at(guessed).entry, 1e10);
  for (int packet = 0; packet < 100; ++packet) EXPECT_EQ(step(), other);
  const JobId newcomer = add(3, 3);
  EXPECT_EQ(step(), newcomer);
  jobs_.at(newcomer).ns = jobs_.at(other).ns = 0;
  for (int packet = 0; packet < 9000; ++packet) step();
  expect_near(jobs_.at(newcomer).ns / (jobs_.at(newcomer).ns + jobs_.at(other).ns), 0.5);
}

// One block may be longer than all that anybody is paid back.
TEST_F(FairQueueTest, LongBlocksAreSharedByWeightToo) {
  const JobId usual = add(1, 1), sooner = add(2, 2, -5);
  std::uniform_real_distribution<double> ns(0.8e9, 1.2e9);
  for (int packet = 0; packet < 100'000; ++packet) step(1e9, ns(random_));
  expect_near(jobs_.at(sooner).ns / jobs_.at(usual).ns, std::pow(1.25, 5));
}

// Each is served once and goes, and the next one comes: a new one is there at any time.
TEST_F(FairQueueTest, WhoKeepsComingNewDoesNotKeepALargeJobWaiting) {
  const JobId large = add(1, 1);
  std::uint64_t session = 1;
  for (int i = 0; i < 50; ++i) add(1, ++session);
  int waited = 0, longest = 0, served = 0;
  for (int packet = 0; packet < 100'000; ++packet) {
    const JobId id = step();
    longest = std::max(longest, ++waited);
    if (id == large) {
      waited = 0;
      ++served;
      continue;
    }
    remove(id);
    add(1, ++session);
  }
  EXPECT_LE(longest, 500);
  expect_near(served, 100'000 / 51.0);
}

TEST_F(FairQueueTest, WhatWasGuessedFarTooHighCostsTheOthersNothing) {
  const JobId guessed = add(1, 1), other = add(2, 2);
  while (queue_.next() != guessed) step();
  queue_.charge(*jobs_.at(guessed).entry, 1e10);
  for (int packet = 0; packet < 1000; ++packet) EXPECT_EQ(step(), other);
  queue_.settle(*jobs_.at(guessed).entry, 1e10, kPacketNs);
  // It is not paid back a thousand packets.
  int in_a_row = 0;
  while (step() == guessed) ++in_a_row;
  EXPECT_GE(in_a_row, 1);
  EXPECT_LE(in_a_row, 45);
  jobs_.at(guessed).ns = jobs_.at(other).ns = 0;
  for (int packet = 0; packet < 1000; ++packet) step();
  expect_near(jobs_.at(guessed).ns / (jobs_.at(guessed).ns + jobs_.at(other).ns), 0.5);
}

TEST_F(FairQueueTest, EveryJobIsServedWithinABoundedNumberOfPackets) {
  constexpr int kJobs = 60;
  for (std::uint64_t i = 0; i < kJobs; ++i) add(static_cast<uid_t>(i % 3), i % 12);
  std::uniform_real_distribution<double> ns(0.5e6, 2e6);
  std::map<JobId, int> last;
  for (const auto& [id, job] : jobs_) last[id] = 0;
  int longest = 0;
  for (int packet = 0; packet < 300'000; ++packet) {
    const JobId id = step(kPacketNs, ns(random_));
    longest = std::max(longest, packet - std::exchange(last[id], packet));
  }
  for (const auto& [id, packet] : last) longest = std::max(longest, 300'000 - packet);
  EXPECT_LE(longest, 4 * kJobs);
}

// Also where times are so short beside those that have run that adding them changes nothing any more.
TEST_F(FairQueueTest, JobsThatTakeNoTimeTakeTurns) {
  const JobId a = add(1, 1), b = add(2, 2);
  for (int packet = 0; packet < 1000; ++packet) step(1e20);
  std::map<JobId, int> turns;
  for (int packet = 0; packet < 1000; ++packet) ++turns[step(1)];
  EXPECT_EQ(turns[a], 500);
  EXPECT_EQ(turns[b], 500);
}

// Sixty-four workers; one user's chunks take fifty times as long as the other's, and nobody knows exactly how long.
TEST_F(FairQueueTest, LongAndShortChunksSideBySideHaveEqualParts) {
  const JobId jobs[] = {add(1, 1), add(2, 2)};
  struct Chunk {
    double ends = 0;
    JobId job;
    double expected_ns = 0, ns = 0;
    bool operator<(const Chunk& other) const { return ends > other.ends; }
  };
  std::vector<Chunk> running;  // a heap: the one that ends next first
  std::uniform_real_distribution<double> error(0.95, 1.05);
  const auto hand_out = [&](double now) {
    const JobId id = queue_.next().value();
    const double ns = id == jobs[0] ? 100e6 : 2e6, expected_ns = ns * error(random_);
    queue_.charge(*jobs_.at(id).entry, expected_ns);
    running.push_back({now + ns, id, expected_ns, ns});
    std::push_heap(running.begin(), running.end());
  };
  for (int worker = 0; worker < 64; ++worker) hand_out(0);
  for (int i = 0; i < 100'000; ++i) {
    std::pop_heap(running.begin(), running.end());
    const Chunk done = running.back();
    running.pop_back();
    Known& job = jobs_.at(done.job);
    queue_.settle(*job.entry, done.expected_ns, done.ns);
    job.ns += done.ns;
    hand_out(done.ends);
  }
  expect_near(time_of(1) / (time_of(1) + time_of(2)), 0.5);
}

// A service that is asked for one short thing after the other, by programs that each come once.
TEST_F(FairQueueTest, SessionsOfShortJobsAreForgotten) {
  for (std::uint64_t session = 1; session <= 10'000; ++session) {
    const JobId job = add(static_cast<uid_t>(1 + session % 100), session);
    queue_.charge(*jobs_.at(job).entry, 5e4);
    queue_.dequeue(*jobs_.at(job).entry);
    queue_.settle(*jobs_.at(job).entry, 5e4, 4e4);
    remove(job);
  }
  EXPECT_LT(queue_.users(), 10u);
}

TEST_F(FairQueueTest, UsersAndSessionsThatHaveGoneAreForgotten) {
  add(1, 1);
  for (std::uint64_t session = 2; session < 1000; ++session) {
    const JobId job = add(static_cast<uid_t>(session), session);
    while (step() != job) {}
    remove(job);
  }
  EXPECT_LE(queue_.users(), 4u);
}

}  // namespace
}  // namespace parcompute::server
