// A server that has used up its own memory: not /dev/shm's, which is counted, but that of its records.
#include <sys/resource.h>

#include <vector>

#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

class ShortOfMemory : public ServerTest {
 protected:
  // The server may map so much more than it has mapped now.
  void leave_room(std::uint64_t bytes) {
    const auto mapped = std::stoull(status_line(server_pid(), "VmSize")) * 1024;
    const rlimit limit{mapped + bytes, RLIM_INFINITY};
    ASSERT_EQ(::prlimit(server_pid(), RLIMIT_AS, &limit, nullptr), 0);
  }
};

TEST_F(ShortOfMemory, ServerRefusesWhatIsNewUntilSomethingEnds) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer maps terabytes";
  start_lasting(2, 3600, 0);
  Session session = connect();
  const Array kept = session.create_arange("kept", DType::kFloat64, {1000});
  leave_room(4 * kMebibyte);

  SubmitOptions options = one_by_one();
  options.detach = true;
  std::vector<Job> jobs;
  // As many as there may be would take more than a hundred times the room.
  expect_failure([&] { while (true) jobs.push_back(session.submit(endless(), options)); }, ErrorCode::kOverBudget, {"out of memory", "cancel"});
  EXPECT_GT(jobs.size(), 100u);
  EXPECT_EQ(connect("one that looks").find("kept").size(), 1000u) << "who looks and tidies up is let in";
  expect_failure([&] { session.submit(Reduce{.a = session.find("kept")}).wait(); }, ErrorCode::kOverBudget, {"out of memory"});

  for (Job& job : jobs) job.cancel();
  until(
      [&] {
        const Status now = session.status();
        return now.jobs_running + now.jobs_queued == 0;
      },
      "all jobs have ended");
  EXPECT_EQ(session.submit(Reduce{.a = session.find("kept")}).wait().scalar.value().as<double>(), 999.0 * 1000 / 2);
  EXPECT_EQ(session.status().server_pid, server_pid());
}

}  // namespace
}  // namespace parcompute::testing
