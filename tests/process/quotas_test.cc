// What the administrator allows each user of a shared server: memory, arrays, jobs and sessions.
#include <signal.h>

#include <fmt/format.h>

#include "common/base/units.h"
#include "tests/support/two_users.h"

namespace parcompute::testing {
namespace {

class Quotas : public TwoUsers {
 protected:
  static constexpr std::int64_t kMost = 8 * kMebibyte;

  void SetUp() override {
    TwoUsers::SetUp();
    begin_for_both("sealed", 0, {"--user-memory", "8MiB", "--user-arrays", "3", "--user-jobs", "2", "--user-sessions", "2"});
  }

  // All that one user may have.
  struct Share {
    std::vector<Array> arrays;
    std::vector<Job> jobs;
    std::vector<Session> sessions;
  };
  // Takes it, in an instant when the user has one session and nothing else; of each thing one more is refused.
  Share take_all(Session& session, uid_t user) {
    Share share;
    const auto expect_refused = [&](const std::function<void()>& body, const std::string& has, const std::string& may_have, const std::string& option) {
      expect_failure(body, ErrorCode::kOverBudget, {fmt::format("uid {} has {}", user, has), fmt::format("may have {} (what each user may have)", may_have), option});
    };
    share.arrays.push_back(session.create("", DType::kUint8, {kMost * 3 / 4}));
    expect_refused([&] { session.create("", DType::kUint8, {kMost / 2}); }, "6.0 MiB in 1 segments", format_bytes(kMost), "--user-memory");
    for (int i = 0; i < 2; ++i) share.arrays.push_back(session.create("", DType::kUint8, {1}));
    expect_refused([&] { session.create("", DType::kUint8, {1}); }, "3 arrays", "3", "--user-arrays");
    for (int i = 0; i < 2; ++i) share.jobs.push_back(session.submit(endless(), one_by_one()));
    expect_refused([&] { session.submit(Nop{1}).wait(); }, "2 jobs", "2", "--user-jobs");
    share.sessions.push_back(connect());
    expect_refused([&] { connect(); }, "2 sessions", "2", "--user-sessions");
    return share;
  }
};

TEST_F(Quotas, RefuseWithTheirFiguresAndHinderNobodyElse) {
  as(
      kAlice,
      [&](Session& session, const std::function<void()>& meanwhile) {
        const Share share = take_all(session, kAlice);
        meanwhile();
      },
      [&] {
        as(kBob, [&](Session& session) {
          const auto array = session.create_arange("", DType::kInt64, {1000});
          EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 499'500);
        });
        auto root = connect();  // to whom they do not apply
        std::vector<Array> arrays;
        for (int i = 0; i < 5; ++i) arrays.push_back(root.create("", DType::kUint8, {kMost}));
      });
}

TEST_F(Quotas, ReturnWhenTheClientIsKilled) {
  auto root = connect();
  for (int round = 0; round < 3; ++round) {
    const int ended = in_child([&] {
      ::close_range(STDERR_FILENO + 1, ~0U, 0);
      be(kAlice, [&](Session& session) {
        const Share share = take_all(session, kAlice);
        if (!HasFailure()) ::raise(SIGKILL);
      });
    });
    EXPECT_EQ(ended, 128 + SIGKILL) << "round " << round;
    until(
        [&] {
          const Status now = root.status();
          return now.sessions == 1 && now.arrays == 0 && now.jobs_running + now.jobs_queued == 0 && now.memory_used_bytes + now.memory_held_bytes + now.memory_freeing_bytes == 0;
        },
        "nothing is left of the client");
  }
}

}  // namespace
}  // namespace parcompute::testing
