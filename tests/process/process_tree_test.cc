// How many processes and threads there are, and how they are held.
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::UnorderedElementsAreArray;

class ProcessTree : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(3);
  }
};

TEST_F(ProcessTree, IsTheServerTheForkserverAndOneProcessPerWorker) {
  const Status status = pool_is_whole();
  std::vector<pid_t> expected{status.server_pid, status.forkserver_pid};
  for (const WorkerInfo& worker : status.workers) expected.push_back(worker.pid);
  EXPECT_THAT(process_tree(status.server_pid), UnorderedElementsAreArray(expected));
}

// The server has a second one as soon as there was something of clients to close: it does nothing else.
TEST_F(ProcessTree, HoldsOneThreadEachAndTheServersCloserAlsoInAMatrixProduct) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer has a thread of its own in each process";
#endif
  auto session = connect();
  auto a = session.create("a", DType::kFloat64, {1500, 1500});
  auto job = session.submit(Matmul{a, a}, one_by_one());
  until([&] { return job.info().blocks_done > 0; }, "the product is being computed");
  std::size_t looks = 0;
  do {
    const pid_t server = status().server_pid;
    for (const pid_t pid : process_tree(server)) {
      const std::string threads = status_line(pid, "Threads");
      EXPECT_TRUE(threads == "1" || (pid == server && threads == "2") || threads.empty()) << "process " << pid << ": " << threads;
    }
    ++looks;
  } while (job.info().state == JobState::kRunning && looks < 50);
  EXPECT_GE(looks, 1u);
  job.cancel();
}

TEST_F(ProcessTree, IsASessionOfItsOwnSoThatCtrlCDoesNotReachIt) {
  const Status status = pool_is_whole();
  for (const pid_t pid : process_tree(status.server_pid)) {
    EXPECT_EQ(::getsid(pid), status.server_pid);
    EXPECT_NE(::getpgid(pid), ::getpgrp());
  }
}

TEST_F(ProcessTree, HoldsNoDescriptorsOfTheProgramThatStartedIt) {
  const std::string path = directory() / "mine";
  end_server();
  // Not close-on-exec: what a careless program has open when it starts a server.
  std::FILE* careless = std::fopen(path.c_str(), "w");
  ASSERT_NE(careless, nullptr);
  start(2);
  const Status status = pool_is_whole();
  for (const pid_t pid : process_tree(status.server_pid))
    EXPECT_EQ(describe_descriptors(pid).find(path), std::string::npos) << "process " << pid;
  std::fclose(careless);
}

TEST_F(ProcessTree, WorkersHoldTheirOwnSocketAlone) {
  const Status status = pool_is_whole();
  for (const WorkerInfo& worker : status.workers) {
    const std::string all = describe_descriptors(worker.pid);
    std::size_t sockets = 0;
    for (auto at = all.find("socket:"); at != all.npos; at = all.find("socket:", at + 1)) ++sockets;
    EXPECT_EQ(sockets, 1u) << all;
  }
}

TEST_F(ProcessTree, MapsNoArrayDataInTheCoordinator) {
  auto session = connect();
  auto array = session.create_full("a", scalar_of(std::uint8_t{1}), {10'000'000});
  session.submit(Reduce{.a = array}).wait();
  const Status status = pool_is_whole();
  EXPECT_EQ(read_file(fmt::format("/proc/{}/maps", status.server_pid)).find(array.info().segment_name),
            std::string::npos);
}

}  // namespace
}  // namespace parcompute::testing
