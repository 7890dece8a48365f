// The workers are the pool: whatever a user's environment says, and whatever jobs run, no library has one of its own.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/os/thread_counts.h"
#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::Contains;

std::string name_of(const std::string& entry) {
  return entry.substr(0, entry.find('=') + 1);
}

// A process's threads: how each is, as /proc has it ("R": it runs, or could). Of one that is gone, none.
std::vector<char> threads_of(pid_t pid) {
  std::vector<char> states;
  std::error_code gone;
  for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), gone)) {
    std::ifstream file(thread.path() / "stat");
    std::string line;
    std::getline(file, line);
    if (const auto name_end = line.rfind(") "); name_end != line.npos) states.push_back(line[name_end + 2]);
  }
  return states;
}

class OnePool : public ServerTest {
 protected:
  static constexpr unsigned kWorkers = 2;

  void SetUp() override {
    ServerTest::SetUp();
    for (const std::string& entry : one_thread_environment()) ::setenv(entry.substr(0, entry.find('=')).c_str(), "8", 1);
    start(kWorkers);
    for (const std::string& entry : one_thread_environment()) ::unsetenv(entry.substr(0, entry.find('=')).c_str());
  }

  // Every kind of operation.
  static std::vector<Operation> all_kinds(Session& session) {
    const auto normal = [&](std::vector<std::int64_t> shape, std::uint64_t seed) {
      return session.submit(Random{.distribution = Random::Distribution::kNormal, .shape = std::move(shape), .seed = seed, .least = {}, .most = {}}).wait().output;
    };
    const Array reals = normal({400'000}, 1), matrix = normal({600, 600}, 2);
    const Array numbers = session.submit(Random{.distribution = Random::Distribution::kIntegers, .dtype = DType::kInt64, .shape = {100'000}, .seed = 3,
                                                .least = scalar_of(std::int64_t{0}), .most = scalar_of(std::int64_t{4999})}).wait().output;
    const Array mask = session.submit(session.evaluate("f > 0.25", {{"f", reals}})).wait().output;
    const Array sorted = session.submit(Sort{reals, {}}).wait().output;
    return {
        Reduce{.a = reals},
        Matmul{matrix, matrix},
        Matmul{numbers.viewed(".reshape(-1, 250)"), numbers.viewed(".reshape(250, -1)")},
        Mandelbrot{.nx = 300, .ny = 300, .max_iter = 500},
        Nop{10'000},
        session.evaluate("sqrt(f * f + 1.0) * sin(f)", {{"f", reals}}),
        session.evaluate("m - mean(m, axis=1, keepdims=True)", {{"m", matrix}}),
        Dot{matrix, matrix},
        Vecdot{matrix, matrix},
        Outer{reals.viewed("[:500]"), reals.viewed("[:500]")},
        Sort{reals, {}},
        Argsort{reals, {}},
        Cumsum{reals, {}},
        Cumprod{reals, {}},
        Compress{reals, mask},
        Take{reals, numbers, {}},
        Unique{numbers},
        Searchsorted{.a = sorted, .v = reals},
        Bincount{.a = numbers, .length = 5000, .weights = {}},
        Histogram{.a = reals, .bins = 100, .low = -3, .high = 3, .edges = {}, .weights = {}},
        Percentile{reals, {1, 50, 99}, {}},
        Concatenate{{matrix, matrix}, 1},
        Random{.shape = {300'000}, .seed = 4, .least = {}, .most = {}},
    };
  }
};

TEST_F(OnePool, IsToldToEveryLibraryBeforeItLoadsWhateverTheUserSays) {
  const Status seen = pool_is_whole();
  std::vector<pid_t> all{seen.forkserver_pid};
  for (const WorkerInfo& worker : seen.workers) all.push_back(worker.pid);
  for (const pid_t pid : all) {
    std::vector<std::string> entries;
    std::ifstream environment(fmt::format("/proc/{}/environ", pid));
    for (std::string entry; std::getline(environment, entry, '\0');) entries.push_back(entry);
    for (const std::string& wanted : one_thread_environment()) {
      EXPECT_THAT(entries, Contains(wanted));
      EXPECT_EQ(std::ranges::count(entries, name_of(wanted), name_of), 1) << wanted;
    }
  }
}

TEST_F(OnePool, HasOneThreadForEachWorkerAndOneForTheServerWhateverRuns) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer has a thread of its own in each process";
#endif
  auto session = connect();
  const Status seen = pool_is_whole();
  const std::vector<pid_t> tree = process_tree(seen.server_pid);
  std::set<pid_t> workers;
  for (const WorkerInfo& worker : seen.workers) workers.insert(worker.pid);
  const std::vector<Operation> kinds = all_kinds(session);
  std::set<std::size_t> indices;
  for (const Operation& kind : kinds) indices.insert(kind.index());
  ASSERT_EQ(indices.size(), std::variant_size_v<Operation>) << "a kind is missing";
  unsigned looks = 0, busy = 0;
  do {
    std::vector<Job> jobs;
    for (const Operation& kind : kinds) jobs.push_back(session.submit(kind));
    while (jobs.back().info().state == JobState::kQueued || jobs.back().info().state == JobState::kRunning) {
      unsigned runnable = 0;
      for (const pid_t pid : tree) {
        const std::vector<char> threads = threads_of(pid);
        if (workers.contains(pid)) {
          ASSERT_EQ(threads.size(), 1u) << "worker " << pid;
        }
        runnable += static_cast<unsigned>(std::ranges::count(threads, 'R'));
      }
      ASSERT_LE(runnable, kWorkers + 1);
      busy += runnable >= kWorkers;
      ++looks;
    }
    for (Job& job : jobs) job.wait();
  } while (busy < 50);
  EXPECT_GE(looks, busy);
}

}  // namespace
}  // namespace parcompute::testing
