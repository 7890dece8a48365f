// The server dies or is stopped: what ends with it, and what the next one finds.
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/os/socket_path.h"
#include "common/shm/segment.h"
#include "common/shm/segment_header.h"
#include "tests/support/newer_server.h"
#include "tests/support/npy_bytes.h"
#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::Eq;
using ::testing::Pointwise;
using namespace std::chrono_literals;

class ServerDeath : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start_lasting();
  }
};

TEST_F(ServerDeath, EndsItsForkserverAndWorkers) {
  const Status before = pool_is_whole();
  std::vector<ProcessWatch> watches;
  watches.emplace_back(before.forkserver_pid);
  for (const WorkerInfo& worker : before.workers) watches.emplace_back(worker.pid);
  auto session = connect();
  session.submit(endless(), detached(""));
  kill_server();
  for (const ProcessWatch& watch : watches) EXPECT_TRUE(watch.ends_within(kSoon));
}

TEST_F(ServerDeath, EndsWorkersThatAreStopped) {
  const Status before = pool_is_whole();
  std::vector<ProcessWatch> watches;
  for (const WorkerInfo& worker : before.workers) watches.emplace_back(worker.pid);
  freeze_workers();
  kill_server();
  for (const ProcessWatch& watch : watches) EXPECT_TRUE(watch.ends_within(kSoon));
}

// It has not asked yet to die with its parent.
TEST_F(ServerDeath, EndsAWorkerThatWasStoppedAsItWasBorn) {
  const auto children_of = [](pid_t pid) {
    std::istringstream list(read_file(fmt::format("/proc/{0}/task/{0}/children", pid)));
    return std::set<pid_t>(std::istream_iterator<pid_t>(list), {});
  };
  pid_t caught = 0;
  for (int attempt = 0; attempt < 300 && caught == 0; ++attempt) {
    const Status before = pool_is_whole();
    const auto others = children_of(before.forkserver_pid);
    kill_now(before.workers[0].pid);
    while (caught == 0)
      for (const pid_t pid : children_of(before.forkserver_pid))
        if (!others.contains(pid)) caught = pid;
    ASSERT_EQ(::kill(caught, SIGSTOP), 0);
    until([&] { return is_stopped(caught); }, "the newborn worker is stopped");
    // One that has asked has a name of its own by then.
    if (status_line(caught, "Name").starts_with("parcompute")) break;
    ASSERT_EQ(::kill(std::exchange(caught, 0), SIGCONT), 0);
  }
  if (caught == 0) GTEST_SKIP() << "no worker was caught as young as that";
  const ProcessWatch watch(caught);
  kill_server();
  EXPECT_TRUE(watch.ends_within(kSoon));
  kill_now(caught);
}

TEST_F(ServerDeath, IsToldToEveryClientThatWaits) {
  auto session = connect();
  auto other = connect();
  auto job = session.submit(endless(), one_by_one());
  job.id();  // it is there
  auto detached_job = other.submit(endless(), detached(""));
  kill_server();
  expect_failure([&] { job.wait(); }, ErrorCode::kNoServer, {"server has gone"});
  expect_failure([&] { session.status(); }, ErrorCode::kNoServer);
  expect_failure([&] { detached_job.wait(); }, ErrorCode::kNoServer);
  expect_failure([&] { connect(); }, ErrorCode::kNoServer, {"parcompute-client start"});
}

TEST_F(ServerDeath, LeavesMappedArraysReadable) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kInt64, {100'000});
  const auto view = array.view<const std::int64_t>();
  kill_server();
  EXPECT_EQ(view[99'999], 99'999);
}

TEST_F(ServerDeath, LeavesNamedArraysToTheNextServerWithTheSameBits) {
  std::vector<double> bits(300'000);
  fill_with_rough_numbers(std::span(bits), 5);
  std::uint64_t used = 0;
  {
    auto session = connect();
    auto array = session.create("large", DType::kFloat64, {3, 100'000});
    std::ranges::copy(bits, array.view<double>().begin());
    session.create("empty", DType::kUint8, {0});
    session.create("point", DType::kComplex128, {}).view<std::complex<double>>()[0] = {1, -2};
    used = session.status().memory_used_bytes;
  }
  kill_server();
  start_lasting();
  auto session = connect();
  EXPECT_EQ(session.list().size(), 3u);
  EXPECT_EQ(session.status().memory_used_bytes, used);
  auto large = session.find("large");
  EXPECT_FALSE(large.info().incomplete);
  EXPECT_THAT(large.shape(), ::testing::ElementsAre(3, 100'000));
  EXPECT_TRUE(std::ranges::equal(large.view<const double>(), bits));
  EXPECT_EQ(session.find("point").view<const std::complex<double>>()[0], std::complex<double>(1, -2));
  EXPECT_EQ(session.find("empty").size(), 0u);
  // They are arrays as any other.
  session.submit(Reduce{.a = large}).wait();
  large = Array();
  session.remove("large");
  EXPECT_EQ(session.list().size(), 2u);
  expect_failure([&] { session.create("point", DType::kUint8, {1}); }, ErrorCode::kAlreadyExists);
}

TEST_F(ServerDeath, InTheMiddleOfAJobLeavesItsOutputMarkedIncomplete) {
  {
    auto session = connect();
    freeze_workers();
    session.submit(Mandelbrot{.nx = 500, .ny = 500, .max_iter = 10}, detached("picture"));
    session.submit(Mandelbrot{.nx = 10, .ny = 10, .max_iter = 10}, detached("small"));
  }
  kill_server();
  start_lasting();
  auto session = connect();
  for (const char* name : {"picture", "small"}) {
    auto array = session.find(name);
    EXPECT_TRUE(array.info().incomplete) << name;
    expect_failure([&] { session.submit(Reduce{.a = array}).wait(); }, ErrorCode::kBadData,
                   {name, "incomplete"});
  }
  // Still after another death.
  kill_server();
  start_lasting();
  auto later = connect();
  EXPECT_TRUE(later.find("picture").info().incomplete);
  later.remove("picture");
  later.create("picture", DType::kUint8, {1});
  // Unless somebody takes it as it is.
  EXPECT_TRUE(later.accept("small"));
  EXPECT_FALSE(later.accept("small"));
  kill_server();
  start_lasting();
  auto last = connect();
  EXPECT_FALSE(last.find("small").info().incomplete);
  last.submit(Reduce{.a = last.find("small")}).wait();
}

TEST_F(ServerDeath, LeavesNothingThatIsNoNamedArray) {
  auto session = connect();
  auto anonymous = session.create("", DType::kFloat64, {1'000'000});
  session.create("named", DType::kFloat64, {1'000'000});
  freeze_workers();
  SubmitOptions options;
  options.detach = true;
  session.submit(Reduce{.a = session.find("named")}, options);  // with a scratch area
  auto job = session.submit(Mandelbrot{.nx = 100, .ny = 100, .max_iter = 10});
  job.id();  // it is there
  EXPECT_EQ(segments().size(), 4u);
  kill_server();
  start_lasting();
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_EQ(connect().list().size(), 1u);
}

TEST_F(ServerDeath, KeepsARemovedNameRemovedThoughAJobStillReadIt) {
  {
    auto session = connect();
    auto old = session.create_arange("a", DType::kInt64, {1000});
    freeze_workers();
    SubmitOptions options;
    options.detach = true;
    session.submit(Reduce{.a = old}, options);
    session.remove("a");
    session.create("a", DType::kUint8, {5});
    session.create("b", DType::kUint8, {5});
    session.submit(Reduce{.a = session.find("b")}, options);
    session.remove("b");
  }
  kill_server();
  start_lasting();
  auto session = connect();
  EXPECT_EQ(session.list().size(), 1u);
  EXPECT_EQ(session.find("a").dtype(), DType::kUint8);
  EXPECT_EQ(segments().size(), 1u);
}

TEST_F(ServerDeath, LeavesDamagedArraysWhereTheyAre) {
  for (const char* name : {"short", "flipped", "whole"}) connect().create_arange(name, DType::kInt64, {1000});
  std::map<std::string, std::string> segment_of;
  for (const ArrayInfo& array : connect().list()) segment_of[array.name] = "/dev/shm/" + array.segment_name;
  kill_server();
  std::filesystem::resize_file(segment_of["short"], 5000);
  std::string bytes = read_file(segment_of["flipped"]);
  bytes[100] = static_cast<char>(~bytes[100]);
  write_file(segment_of["flipped"], bytes);
  for (int start = 0; start < 2; ++start) {
    start_lasting();
    auto session = connect();
    EXPECT_EQ(session.list().size(), 1u);
    EXPECT_EQ(session.find("whole").size(), 1000u);
    for (const char* name : {"short", "flipped"}) {
      EXPECT_TRUE(std::filesystem::exists(segment_of[name])) << name;
      // Its name is free.
      session.create(name, DType::kUint8, {1});
      session.remove(name);
    }
    kill_server();
  }
  for (const char* name : {"short", "flipped"}) std::filesystem::remove(segment_of[name]);
  start_lasting();
}

// Somebody took the lock's file away, and so another server could start on the socket.
TEST_F(ServerDeath, LeavesTheSocketToAnotherServerThatHasItByNow) {
  const pid_t first = server_pid();
  std::filesystem::remove(socket().native() + ".lock");
  std::filesystem::remove(socket());
  start_lasting();
  ASSERT_NE(server_pid(), first);
  const ProcessWatch watch(first);
  ::kill(first, SIGTERM);
  EXPECT_TRUE(watch.ends_within(30s));
  EXPECT_NE(connect().status().server_pid, first);
  EXPECT_TRUE(lock_holder(socket()).has_value());
}

TEST_F(ServerDeath, IsNotBroughtAboutByTheForkserversThatComeUp) {
  auto session = connect();
  pid_t last = 0;
  for (int death = 0; death < 7; ++death) {
    Status now;
    until([&] { return (now = session.status()).forkserver_pid > 0 && now.forkserver_pid != last && std::ranges::all_of(now.workers, [](const WorkerInfo& worker) { return worker.state == WorkerInfo::State::kIdle; }); }, "the workers are up");
    ::kill(last = now.forkserver_pid, SIGKILL);
  }
  EXPECT_EQ(session.submit(Nop{5}).wait().info.blocks_done, 5u);
}

TEST_F(ServerDeath, WithAForeignOrBrokenSegmentAmongItsOwnIsSurvivedByTheNext) {
  std::string prefix;
  {
    auto session = connect();
    session.create("a", DType::kUint8, {5});
    prefix = session.list()[0].segment_name;
    prefix.resize(prefix.rfind('-') + 1);
  }
  kill_server();
  write_file("/dev/shm/" + prefix + "0000000000000001", "this is no array");
  write_file("/dev/shm/" + prefix + "0000000000000002", "");
  // A copy of the good one: two arrays would have one name.
  std::string original;
  for (const std::string& name : segments())
    if (read_file("/dev/shm/" + name).size() > 4096) original = name;
  write_file("/dev/shm/" + prefix + "ffffffffffffffff", read_file("/dev/shm/" + original));
  start_lasting();
  auto session = connect();
  EXPECT_EQ(session.list().size(), 2u);
  for (const char* name : {"a", "a_2"}) EXPECT_EQ(session.find(name).size(), 5u);
  EXPECT_EQ(segments().size(), 2u);
}

// An upgrade that was taken back: what the newer server left is for the next one of its kind.
TEST_F(ServerDeath, LeavesArraysOfANewerServerToOneThatCanReadThem) {
  connect().create_arange("a", DType::kInt64, {1000});
  kill_server();
  ASSERT_EQ(segments().size(), 1u);
  const std::string name = segments().front();
  SegmentHeaderPage page;
  {
    const auto fd = open_segment(name);
    ASSERT_TRUE(fd);
    page = read_page(fd->get(), 0);
    write_page(fd->get(), 0, of_newer_server(page));
  }
  start_lasting();
  EXPECT_TRUE(connect().list().empty());
  EXPECT_EQ(segments(), std::vector{name});
  connect().stop_server(true);
  {
    const auto fd = open_segment(name);
    ASSERT_TRUE(fd);
    write_page(fd->get(), 0, page);
  }
  start_lasting();
  EXPECT_EQ(connect().find("a").view<const std::int64_t>()[999], 999);
}

// Names are taken more strictly than they once were: what has one keeps it.
TEST_F(ServerDeath, LeavesArraysWhoseNamesNoNewOneMayHave) {
  connect().create_arange("a", DType::kInt64, {5});
  kill_server();
  ASSERT_EQ(segments().size(), 1u);
  const std::string path = "/dev/shm/" + segments().front();
  std::string bytes = read_file(path);
  auto header = *decode_segment_header(std::as_bytes(std::span(bytes).first(kSegmentHeaderBytes)), path, bytes.size());
  header.name = "x[1]";
  const SegmentHeaderPage page = encode_segment_header(header);
  std::memcpy(bytes.data(), page.data(), page.size());
  write_file(path, bytes);
  start_lasting();
  auto session = connect();
  EXPECT_EQ(session.find("x[1]").view<const std::int64_t>()[4], 4);
  expect_failure([&] { session.create("y[1]", DType::kInt64, {5}); }, ErrorCode::kInvalidArgument, {"reads as a view of 'y'"});
}

TEST_F(ServerDeath, EndsAttachedArraysButNotTheirFiles) {
  const std::string path = directory() / "f.npy";
  write_file(path, npy_file(1, "|u1", false, "(3,)", "abc"));
  connect().attach_npy("f", path);
  kill_server();
  start_lasting();
  expect_failure([&] { connect().find("f"); }, ErrorCode::kNotFound);
  EXPECT_TRUE(std::filesystem::exists(path));
}

class ServerStop : public ServerDeath {};

TEST_F(ServerStop, KeepsNamedArraysForTheNextServer) {
  {
    auto session = connect();
    session.create_arange("a", DType::kInt64, {1000});
    auto anonymous = session.create("", DType::kInt64, {1000});
    session.stop_server(false);
  }
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(socket()));
  start_lasting();
  auto array = connect().find("a");
  EXPECT_FALSE(array.info().incomplete);
  EXPECT_EQ(array.view<const std::int64_t>()[999], 999);
}

TEST_F(ServerStop, BySigtermIsAsOrderlyAndASighupIsNone) {
  auto session = connect();
  session.create_arange("a", DType::kInt64, {1000});
  auto anonymous = session.create("", DType::kInt64, {1000});
  const ProcessWatch watch(server_pid());
  ASSERT_EQ(::kill(server_pid(), SIGHUP), 0);
  EXPECT_EQ(session.status().server_pid, server_pid());
  ASSERT_EQ(::kill(server_pid(), SIGTERM), 0);
  EXPECT_TRUE(watch.ends_within(30s));
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(socket()));
  start_lasting();
  EXPECT_EQ(connect().find("a").view<const std::int64_t>()[999], 999);
}

TEST_F(ServerStop, DropsAllArraysWhereToldTo) {
  auto session = connect();
  session.create("a", DType::kInt64, {1000});
  session.stop_server(true);
  EXPECT_TRUE(segments().empty());
  start_lasting();
  EXPECT_TRUE(connect().list().empty());
}

TEST_F(ServerStop, EndsJobsAndSaysSo) {
  auto session = connect();
  auto job = session.submit(endless(), one_by_one());
  job.id();  // it is there
  SubmitOptions options = detached("picture");
  auto other = connect();
  freeze_workers();
  other.submit(Mandelbrot{.nx = 1000, .ny = 1000, .max_iter = 10}, options);
  other.stop_server(false);
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled, {"server is stopping"});
  // An output that was not finished does not stay.
  EXPECT_TRUE(segments().empty());
}

TEST_F(ServerStop, OfAPrivateServerLeavesNoArraysWhateverIsAskedFor) {
  connect().stop_server(true);
  start();
  {
    auto session = connect();
    session.create("a", DType::kInt64, {1000});
    session.stop_server(false);
  }
  EXPECT_TRUE(segments().empty());
}

TEST_F(ServerStop, TwiceAtOnceIsOneStop) {
  auto first = connect();
  auto second = connect();
  first.stop_server(false);
  expect_failure([&] { second.stop_server(false); }, ErrorCode::kNoServer);
}

}  // namespace
}  // namespace parcompute::testing
