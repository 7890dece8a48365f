// The CPUs that a server uses: how many, which, and what becomes of its pool when others are allowed.
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/os/affinity.h"
#include "common/os/cgroup.h"
#include "common/os/file_reader.h"
#include "tests/support/process_state.h"
#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uid_t kNobody = 65'534;

// For the life of this object.
class Affinity {
 public:
  explicit Affinity(const std::vector<int>& cpus) { EXPECT_TRUE(set_affinity(0, cpus)); }
  ~Affinity() { EXPECT_TRUE(set_affinity(0, before_)); }

 private:
  std::vector<int> before_ = affinity_cpus();
};

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

std::string cpus_of(pid_t pid) {
  return status_line(pid, "Cpus_allowed_list");
}

class Cpus : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (all_.size() < 2) GTEST_SKIP() << "this machine gives one CPU";
    if (all_.size() < static_cast<std::size_t>(::sysconf(_SC_NPROCESSORS_ONLN))) GTEST_SKIP() << "some of this machine's CPUs alone are given to this test: its servers would pin";
  }
  // Of a server that is idle: it looks when somebody comes.
  Status fresh_status() { return connect().status(); }
  void until_limit_is(std::uint64_t workers) {
    until([&] { return fresh_status().worker_limit == workers; }, fmt::format("{} workers are given work", workers));
  }
  void narrow(pid_t pid, const std::vector<int>& cpus) { ASSERT_TRUE(set_affinity(pid, cpus)); }
  // A server with a worker for each CPU that it is given, whatever the cores are.
  void start_on(const std::vector<int>& cpus) {
    const Variable as_many("PARCOMPUTE_WORKERS", "4096");
    const Affinity mine(cpus);
    start(0);
    ASSERT_EQ(pool_is_whole().workers.size(), cpus.size());
  }
  std::vector<std::uint64_t> chunks_of_each() {
    std::vector<std::uint64_t> chunks;
    for (const WorkerInfo& worker : status().workers) chunks.push_back(worker.chunks_done);
    return chunks;
  }

  const std::vector<int> all_ = affinity_cpus();
  const std::vector<int> one_{all_.back()};
};

TEST_F(Cpus, NarrowedUnderARunningServerParkWorkersAndBackWakeThem) {
  start_on(all_);
  EXPECT_EQ(status().worker_limit_source, "affinity");
  narrow(status().server_pid, one_);
  until_limit_is(1);
  Status seen = status();
  ASSERT_EQ(seen.workers.size(), all_.size()) << "they stay";
  for (const WorkerInfo& worker : seen.workers) EXPECT_EQ(worker.parked, worker.id > 0);
  until([&] { return cpus_of(seen.workers.front().pid) == format_cpu_list(one_); }, "the worker moves");
  EXPECT_EQ(cpus_of(seen.forkserver_pid), format_cpu_list(one_));

  auto session = connect();
  session.submit(Nop{1000}, one_by_one()).wait();
  const auto chunks = chunks_of_each();
  EXPECT_EQ(chunks.front(), 1000u);
  EXPECT_EQ(*std::max_element(chunks.begin() + 1, chunks.end()), 0u) << "a parked worker was handed work";

  narrow(status().server_pid, all_);
  until_limit_is(all_.size());
  seen = status();
  for (const WorkerInfo& worker : seen.workers) {
    EXPECT_FALSE(worker.parked);
    EXPECT_EQ(worker.replaced, 0u);
    until([&] { return cpus_of(worker.pid) == format_cpu_list(all_); }, "the worker moves back");
  }
  Job job = session.submit(endless(), one_by_one());
  until([&] { return chunks_of_each().back() > 0; }, "the last worker is handed work again");
  job.cancel();
}

TEST_F(Cpus, ThatChangeWhileAJobRunsAreNoticedWithoutAnybodyAsking) {
  start_on(all_);
  auto session = connect();
  Job job = session.submit(endless(), one_by_one());
  narrow(status().server_pid, one_);
  until([&] { return status().worker_limit == 1; }, "the pool shrinks");
  until([&] { return status().workers.back().state == WorkerInfo::State::kIdle; }, "the parked worker is done");
  const auto before = chunks_of_each();
  until([&] { return chunks_of_each().front() > before.front() + 1000; }, "the other goes on");
  EXPECT_EQ(chunks_of_each().back(), before.back());
  narrow(status().server_pid, all_);
  until([&] { return chunks_of_each().back() > before.back(); }, "it is handed work again");
  job.cancel();
}

TEST_F(Cpus, ThatBecomeMoreThanThereWereGetMoreWorkers) {
  start_on(one_);
  EXPECT_EQ(status().workers.front().cpu, one_.front()) << "the CPUs are its own";
  narrow(status().server_pid, all_);
  until_limit_is(all_.size());
  const Status seen = pool_is_whole();
  ASSERT_EQ(seen.workers.size(), all_.size());
  for (const WorkerInfo& worker : seen.workers) EXPECT_EQ(worker.cpu, std::nullopt) << "they are shared now";
  auto session = connect();
  Job job = session.submit(endless(), one_by_one());
  until([&] { return chunks_of_each().back() > 0; }, "the new worker is handed work");
  // It is in the place of a worker like any other: its death is one.
  kill_worker(all_.size() - 1);
  until([&] { return pool_is_whole().workers.back().replaced == 1; }, "it is replaced");
  job.cancel();
}

TEST_F(Cpus, ChangeNothingWhereSomebodySaidHowManyWorkers) {
  start(3);
  narrow(status().server_pid, one_);
  until([&] { return cpus_of(fresh_status().workers.back().pid) == format_cpu_list(one_); }, "the workers move");
  const Status seen = pool_is_whole();
  EXPECT_EQ(seen.worker_limit, 3u);
  EXPECT_EQ(seen.worker_limit_source, "--workers");
  EXPECT_EQ(seen.workers.size(), 3u);
  for (const WorkerInfo& worker : seen.workers) EXPECT_FALSE(worker.parked);
}

// A control group below this process's own, with a quota; skips the test where none can be had.
class Quota {
 public:
  Quota() {
    for (const char* controller : {"", "cpu"}) {
      const auto found = cgroup_directories(read_small_file, controller).directories;
      if (found.empty()) continue;
      const std::filesystem::path path = std::filesystem::path(found.front()) / fmt::format("parcompute-test-{}", ::getpid());
      std::error_code refused;
      if (!std::filesystem::create_directory(path, refused)) continue;
      file_ = path / (*controller == '\0' ? "cpu.max" : "cpu.cfs_quota_us");
      is_v2_ = *controller == '\0';
      if (path_ = path; std::filesystem::exists(file_)) return;
      remove();
    }
  }
  ~Quota() { remove(); }
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  bool is_there() const { return !path_.empty(); }
  bool set(unsigned cpus) { return write(file_, is_v2_ ? fmt::format("{} 100000", cpus * 100'000) : fmt::format("{}", cpus * 100'000)); }
  bool take(pid_t pid) { return write(path_ / "cgroup.procs", fmt::format("{}", pid)); }
  const std::filesystem::path& path() const { return path_; }

 private:
  static bool write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
  }
  void remove() {
    std::error_code refused;
    if (!path_.empty()) std::filesystem::remove(path_, refused);
    path_.clear();
  }
  std::filesystem::path path_, file_;
  bool is_v2_ = false;
};

TEST_F(Cpus, OfAQuotaThatIsSetAndLiftedAreWhatThePoolUses) {
  Quota quota;
  if (!quota.is_there() || !quota.set(1)) GTEST_SKIP() << "this process may make no control group with a CPU quota";
  start_on(all_);
  ASSERT_TRUE(quota.take(status().server_pid));
  until_limit_is(1);
  EXPECT_THAT(status().worker_limit_source, HasSubstr("cgroup v"));
  ASSERT_TRUE(quota.set(static_cast<unsigned>(all_.size())));
  until_limit_is(all_.size());
  end_server();
}

TEST_F(Cpus, AreSharedByTwoUsersServersWhoseWorkersFloat) {
  const auto expect_floating = [&](const Status& seen) {
    ASSERT_EQ(seen.workers.size(), all_.size());
    for (const WorkerInfo& worker : seen.workers) {
      EXPECT_EQ(worker.cpu, std::nullopt);
      EXPECT_EQ(cpus_of(worker.pid), format_cpu_list(all_)) << "worker " << worker.id << " of " << seen.socket;
    }
  };
  start_on(all_);
  EXPECT_EQ(in_child([&] {
              // Another user's, where this one may be several.
              if (::geteuid() == 0) {
                ::unsetenv("XDG_RUNTIME_DIR");
                ASSERT_EQ(::setgroups(0, nullptr), 0);
                ASSERT_TRUE(::setgid(kNobody) == 0 && ::setuid(kNobody) == 0);
              }
              const Variable as_many("PARCOMPUTE_WORKERS", "4096");
              const PrivateServer neighbour;
              ConnectOptions options;
              options.socket = neighbour.socket();
              auto session = Session::connect(options);
              const auto is_starting = [](const WorkerInfo& worker) { return worker.state == WorkerInfo::State::kStarting; };
              until([&] { return std::ranges::none_of(session.status().workers, is_starting); }, "the neighbour's pool is whole");
              expect_floating(session.status());
            }),
            0);
  expect_floating(status());
}

class PinnedCpus : public Cpus {
 protected:
  static ServerOptions two_workers(ServerOptions::Pinning pinning) {
    ServerOptions options;
    options.workers = 2;
    options.pinning = pinning;
    return options;
  }
  Status start_pool(const ServerOptions& options) {
    start_with(options);
    const Status seen = pool_is_whole();
    for (const WorkerInfo& worker : seen.workers) EXPECT_EQ(cpus_of(worker.pid), worker.cpu ? fmt::format("{}", *worker.cpu) : cpus_of(seen.server_pid));
    return seen;
  }
};

TEST_F(PinnedCpus, HaveAWorkerEachAndAreToldWithTheirNodes) {
  const Status seen = start_pool(two_workers(ServerOptions::Pinning::kAlways));
  std::set<int> taken;
  for (const WorkerInfo& worker : seen.workers) {
    ASSERT_TRUE(worker.cpu);
    taken.insert(*worker.cpu);
    EXPECT_TRUE(worker.node);
  }
  EXPECT_EQ(taken.size(), 2u);
}

TEST_F(PinnedCpus, AreNotPinnedToWhereThatIsSwitchedOff) {
  const Affinity narrow_start(one_);
  EXPECT_EQ(start_pool({}).workers.front().cpu, one_.front());
  end_server();
  ServerOptions floating;
  floating.pinning = ServerOptions::Pinning::kNever;
  EXPECT_EQ(start_pool(floating).workers.front().cpu, std::nullopt);
}

// A sandbox that lets nobody choose CPUs, as systemd's SystemCallFilter=~@resources.
void forbid_pinning() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sched_setaffinity, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{4, program};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST_F(PinnedCpus, ThatNobodyMayChooseAreDoneWithout) {
  // The child is the server's parent: the filter is for ever.
  const std::string log = directory() / "log";
  EXPECT_EQ(in_child([&] {
              ASSERT_NE(std::freopen(log.c_str(), "a", stderr), nullptr);
              forbid_pinning();
              const PrivateServer server(two_workers(ServerOptions::Pinning::kAlways));
              ConnectOptions options;
              options.socket = server.socket();
              auto session = Session::connect(options);
              session.submit(Nop{1000}, one_by_one()).wait();
              for (const WorkerInfo& worker : session.status().workers) EXPECT_EQ(worker.cpu, std::nullopt);
            }),
            0);
  const std::string said = read_file(log);
  EXPECT_THAT(said, HasSubstr("workers float"));
  EXPECT_EQ(said.find("float"), said.rfind("float")) << "once: " << said;
}

TEST_F(PinnedCpus, ThatAreThreadsOfOneCoreHaveOneWorkerUnlessTheyAreAskedFor) {
  const std::string machine = fmt::format("pack:1 core:1 pu:{}", all_.back() + 1);
  const Variable synthetic("HWLOC_SYNTHETIC", machine.c_str());
  Status seen = start_pool({});
  EXPECT_EQ(seen.workers.size(), 1u);
  EXPECT_EQ(seen.worker_limit_source, "cores");
  end_server();
  ServerOptions all_threads;
  all_threads.hyperthreads = true;
  seen = start_pool(all_threads);
  EXPECT_EQ(seen.workers.size(), all_.size());
  EXPECT_EQ(seen.worker_limit_source, "affinity");
}

}  // namespace
}  // namespace parcompute::testing
