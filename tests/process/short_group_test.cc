// A control group that is short of memory: whom the kernel kills for it is told from whom somebody else killed.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/os/cgroup.h"
#include "common/os/system_error.h"
#include "tests/support/sanitized.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

bool write_line(const std::string& path, const std::string& line) {
  std::ofstream file(path);
  file << line << std::flush;
  return file.good();
}

// A child of this process's own control group, of either version.
class ChildGroup {
 public:
  ChildGroup() = default;
  ChildGroup(const ChildGroup&) = delete;
  ChildGroup& operator=(const ChildGroup&) = delete;
  // Its processes have ended.
  ~ChildGroup() {
    if (!path_.empty()) { EXPECT_EQ(::rmdir(path_.c_str()), 0) << system_error("remove", path_, errno).message; }
  }

  // Why it cannot be made here; empty where it is.
  std::string make() {
    std::string why = "no control group limits memory here";
    for (const auto& [controller, limit, usage] : {std::tuple{"", "memory.max", "memory.current"}, {"memory", "memory.limit_in_bytes", "memory.usage_in_bytes"}}) {
      const auto own = cgroup_directories(read_small_file, controller).directories;
      if (own.empty()) continue;
      const std::string path = fmt::format("{}/parcompute-test-{}", own.front(), ::getpid());
      if (::mkdir(path.c_str(), 0755) != 0) {
        why = system_error("make", path, errno).message;
        continue;
      }
      limit_ = path + "/" + limit;
      usage_ = path + "/" + usage;
      if (::access(limit_.c_str(), W_OK) == 0) {
        path_ = path;
        return "";
      }
      ::rmdir(path.c_str());  // the other version has the controller, or nobody handed it down
    }
    return why;
  }
  bool enter(pid_t pid) const { return write_line(path_ + "/cgroup.procs", std::to_string(pid)); }
  // Back to where this process was.
  bool leave(pid_t pid) const { return write_line(std::filesystem::path(path_).parent_path() / "cgroup.procs", std::to_string(pid)); }
  // It has so much more than it uses now.
  bool leave_room(std::uint64_t bytes) const {
    std::uint64_t used = 0;
    std::ifstream(usage_) >> used;
    return write_line(limit_, std::to_string(used + bytes));
  }

 private:
  std::string path_, limit_, usage_;
};

// A process of the group that takes more and more, until the kernel ends it.
pid_t start_hog(const ChildGroup& group) {
  const pid_t hog = ::fork();
  if (hog != 0) return hog;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  constexpr std::size_t kMost = std::size_t{1} << 30, kPage = 4096;
  auto* const memory = static_cast<volatile char*>(::mmap(nullptr, kMost, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (memory == MAP_FAILED || !group.enter(::getpid())) ::_exit(1);
  for (std::size_t at = 0; at < kMost; at += kPage) memory[at] = 1;
  ::_exit(2);
}

class ShortGroup : public ServerTest {
 protected:
  void TearDown() override {
    session_.reset();
    end_server();
    ServerTest::TearDown();
  }

  WorkerInfo busy_worker() {
    std::optional<WorkerInfo> busy;
    until(
        [&] {
          for (const WorkerInfo& worker : status().workers)
            if (worker.state == WorkerInfo::State::kBusy && worker.pid != 0) busy = worker;
          return busy.has_value();
        },
        "a worker has the chunk");
    return *busy;
  }
  void wait_for_loss(const WorkerInfo& worker) {
    until([&] { return status().workers[worker.id].replaced > worker.replaced; }, "its death is noticed");
  }

  // Each of its points creeps towards 1/2 for minutes, and no other point is there.
  const Mandelbrot endless_picture_{.nx = 64, .ny = 64, .x_min = 0.25, .x_max = 0.25, .y_min = 0, .y_max = 0, .max_iter = std::uint64_t{1} << 40};
  ChildGroup group_;  // goes after the processes in it
  std::optional<Session> session_;
};

TEST_F(ShortGroup, IsWhyTheThirdWorkerDiedAndNotWhyTheFirstTwoDid) {
  if (kSanitized) GTEST_SKIP() << "what a sanitizer needs would make the server the largest of the group";
  if (const std::string why = group_.make(); !why.empty()) GTEST_SKIP() << why;
  ASSERT_TRUE(group_.enter(::getpid())) << "this process cannot be moved";
  start(2);
  ASSERT_TRUE(group_.leave(::getpid()));
  session_.emplace(connect());
  pool_is_whole();

  SubmitOptions options;
  options.chunk_blocks = std::uint64_t{1} << 40;
  options.max_workers = 1;
  auto job = session_->submit(endless_picture_, options);
  for (int death = 0; death < 2; ++death) {
    const WorkerInfo worker = busy_worker();
    kill_now(worker.pid);
    wait_for_loss(worker);
  }
  const WorkerInfo victim = busy_worker();
  // The first that the kernel would end; the second is the largest, which is a stranger.
  ASSERT_TRUE(write_line(fmt::format("/proc/{}/oom_score_adj", victim.pid), "1000"));
  ASSERT_TRUE(group_.leave_room(64 * kMebibyte));
  const pid_t hog = start_hog(group_);
  wait_for_loss(victim);
  EXPECT_EQ(wait_for(hog), 128 + SIGKILL);

  expect_failure([&] { job.wait(); }, ErrorCode::kComputationFailed, {"3 workers died", "the last one was killed by signal 9 (Killed) by the kernel, for memory was short"});
  const JobInfo info = job.info();
  ASSERT_TRUE(info.certificate);
  ASSERT_EQ(info.certificate->deaths.size(), 3u);
  for (std::size_t death = 0; death < 3; ++death) EXPECT_EQ(info.certificate->deaths[death].by_oom_killer, death == 2) << info.certificate->deaths[death].how;
  pool_is_whole();
}

}  // namespace
}  // namespace parcompute::testing
