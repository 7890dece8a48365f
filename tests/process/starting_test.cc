// How servers start, find their place, and leave it.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <set>

#include <gmock/gmock.h>

#include "common/os/child_process.h"
#include "common/os/socket_path.h"
#include "common/os/unix_socket.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test_client.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

class Starting : public ServerTest {
 protected:
  std::filesystem::path place(const std::string& name) const {
    const std::filesystem::path made = directory() / name;
    std::filesystem::create_directory(made);
    std::filesystem::permissions(made, std::filesystem::perms::owner_all);
    return made / "control.sock";
  }
  static void connect_or_start(const std::filesystem::path& socket) {
    ConnectOptions options;
    options.socket = socket;
    Session::connect(options);
  }
  static ServerOptions at(const std::filesystem::path& socket) {
    ServerOptions options;
    options.socket = socket;
    options.workers = 1;
    return options;
  }
};

TEST_F(Starting, OfEightClientsAtOnceMakesOneServer) {
  const auto socket = std::filesystem::path(directory() / "parcompute") / "control.sock";
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(
        std::make_unique<TestClient>(std::vector<std::string>{"embedded"},
                                     std::vector<std::string>{"XDG_RUNTIME_DIR=" + directory().path(),
                                                              "PARCOMPUTE_SOCKET=" + socket.native()}));
  std::set<std::string> servers;
  for (const auto& client : clients) servers.insert(client->words());
  EXPECT_EQ(servers.size(), 1u) << ::testing::PrintToString(servers);
  ConnectOptions options;
  options.socket = socket;
  options.start_embedded = false;
  auto session = Session::connect(options);
  EXPECT_EQ(std::to_string(session.status().server_pid), *servers.begin());
  EXPECT_EQ(session.status().sessions, 9u);
  // The others that were started on the way have given up.
  const auto is_up = [](const WorkerInfo& worker) { return worker.state != WorkerInfo::State::kStarting; };
  until([&] { return std::ranges::all_of(session.status().workers, is_up); }, "the workers are up");
  std::size_t running = 0;
  for (const auto& client : clients) running += process_tree(client->pid()).size() - 1;
  EXPECT_EQ(running, 1 + 1 + session.status().workers.size()) << "a server, a forkserver and the workers";
  clients.clear();
  session.stop_server(true);
}

TEST_F(Starting, InXdgRuntimeDirIsTheDefault) {
  TestClient client({"embedded"}, {"XDG_RUNTIME_DIR=" + directory().path(), "PARCOMPUTE_SOCKET="});
  const std::string words = client.words();
  const auto socket = std::filesystem::path(directory() / "parcompute") / "control.sock";
  if (!std::filesystem::exists(socket))
    GTEST_SKIP() << "the machine has a server of its own, which answers: " << words;
  ConnectOptions options;
  options.socket = socket;
  options.start_embedded = false;
  auto session = Session::connect(options);
  EXPECT_EQ(std::to_string(session.status().server_pid), words);
  struct stat status {};
  ASSERT_EQ(::stat(socket.parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  ASSERT_EQ(::stat(socket.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  session.stop_server(true);
}

TEST_F(Starting, AServerThatIsIdleLeaves) {
  start_lasting(1, 0.1);
  const ProcessWatch watch(server_pid());
  leave_alone();
  EXPECT_TRUE(watch.ends_within(30s));
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Starting, AServerThatHoldsAnArrayStays) {
  start_lasting(1, 0.1);
  const ProcessWatch watch(server_pid());
  connect().create("a", DType::kUint8, {1});
  leave_alone();
  EXPECT_FALSE(watch.ends_within(1s));
  connect().remove("a");
  EXPECT_TRUE(watch.ends_within(30s));
}

TEST_F(Starting, AServerWithAJobOrAClientStays) {
  start_lasting(1, 0.1);
  const ProcessWatch watch(server_pid());
  std::uint64_t job = 0;
  {
    auto session = connect();
    SubmitOptions options = one_by_one();
    options.detach = true;
    job = session.submit(endless(), options).id();
  }
  leave_alone();
  EXPECT_FALSE(watch.ends_within(600ms));
  {
    auto session = connect();
    session.find_job(job).cancel();
    EXPECT_FALSE(watch.ends_within(600ms));
  }
  EXPECT_TRUE(watch.ends_within(30s));
}

TEST_F(Starting, ASecondServerOnALiveSocketIsRefused) {
  start_lasting(1);
  expect_failure([&] { start_server(at(socket())); }, ErrorCode::kAlreadyExists, {socket().native()});
  // The first one still listens there.
  EXPECT_EQ(connect().status().workers.size(), 1u);
}

TEST_F(Starting, InAPlaceThatADeadServerLeftSucceeds) {
  start_lasting(1);
  kill_server();
  EXPECT_TRUE(std::filesystem::exists(socket()));
  expect_failure([&] { connect(); }, ErrorCode::kNoServer);
  connect_or_start(socket());
  EXPECT_EQ(connect().status().arrays, 0u);
  connect().stop_server(true);
}

// A server that is killed while it starts another program leaves that one behind for a moment, with all its descriptors: the lock
// and the listening socket.
TEST_F(Starting, BehindADeadServerWhoseLockOutlivesItWaitsForThatToEnd) {
  const auto socket = place("held");
  const pid_t server = ::fork();
  ASSERT_GE(server, 0);
  if (server == 0) {
    const auto lock = lock_socket(socket);
    const auto listener = listen_at(socket);
    const pid_t left = lock && *lock && listener ? ::fork() : -1;
    if (left != 0) ::_exit(left < 0 ? 1 : 0);
    // What is left ends when the next server asks who listens here.
    pollfd asked{listener->get(), POLLIN, 0};
    ::poll(&asked, 1, 30'000);
    ::_exit(0);
  }
  ASSERT_EQ(wait_for(server), 0);
  start_server(at(socket));
  ConnectOptions options;
  options.socket = socket;
  options.start_embedded = false;
  auto session = Session::connect(options);
  EXPECT_NE(session.status().server_pid, server);
  session.stop_server(true);
}

TEST_F(Starting, InADirectoryOfSomebodyElseIsNotPermitted) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a directory away";
  const auto socket = place("theirs");
  ASSERT_EQ(::chown(socket.parent_path().c_str(), 65534, 65534), 0);
  expect_failure([&] { connect_or_start(socket); }, ErrorCode::kNotPermitted, {"theirs", "65534"});
  EXPECT_TRUE(std::filesystem::is_empty(socket.parent_path()));
}

TEST_F(Starting, InADirectoryBehindASymbolicLinkIsNotPermitted) {
  const auto socket = place("real");
  const std::filesystem::path link = directory() / "link";
  std::filesystem::create_directory_symlink(socket.parent_path(), link);
  expect_failure([&] { connect_or_start(link / "control.sock"); }, ErrorCode::kNotPermitted, {"link"});
  EXPECT_TRUE(std::filesystem::is_empty(socket.parent_path()));
}

TEST_F(Starting, InADirectoryThatOthersMayWriteIsNotPermitted) {
  const auto socket = place("open");
  std::filesystem::permissions(socket.parent_path(), std::filesystem::perms::all);
  expect_failure([&] { connect_or_start(socket); }, ErrorCode::kNotPermitted, {"open", "chmod"});
  EXPECT_TRUE(std::filesystem::is_empty(socket.parent_path()));
}

TEST_F(Starting, BehindASymbolicLinkThatWasPlantedLeavesWhatItLeadsTo) {
  const std::filesystem::path treasure = directory() / "treasure";
  write_file(treasure, "as it was");
  for (const std::string suffix : {"", ".lock", ".log"}) {
    const auto socket = place("planted" + suffix);
    std::filesystem::create_symlink(treasure, socket.native() + suffix);
    EXPECT_THROW(start_server(at(socket)), Failure) << suffix;
    EXPECT_EQ(read_file(treasure), "as it was") << suffix;
    EXPECT_TRUE(std::filesystem::is_symlink(socket.native() + suffix)) << suffix;
  }
}

TEST_F(Starting, UnderAnOpenUmaskLetsNobodyElseIn) {
  const auto socket = place("open");
  const mode_t before = ::umask(0);
  start_server(at(socket));
  ::umask(before);
  ConnectOptions options;
  options.socket = socket;
  auto session = Session::connect(options);
  session.create_arange("a", DType::kInt64, {10});
  for (const auto& file : std::filesystem::directory_iterator(socket.parent_path())) {
    struct stat status{};
    ASSERT_EQ(::lstat(file.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 077u, 0u) << file.path();
  }
  const auto names = segments_of(socket);
  EXPECT_EQ(names.size(), 1u);
  for (const std::string& name : names) {
    struct stat status{};
    ASSERT_EQ(::stat(("/dev/shm/" + name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 077u, 0u) << name;
  }
  session.stop_server(true);
}

TEST_F(Starting, IsSeenByWhoeverWaitsForTheListenerInEitherOrder) {
  for (int round = 0; round < 50; ++round) {
    const auto socket = place("awaited").parent_path() / std::to_string(round);
    auto waiting = std::async(std::launch::async, [&] { return connect_when_listening(socket, 30s); });
    // With and without a head start for the waiter: time is what varies here.
    if (round % 2 == 0) waiting.wait_for(5ms);
    auto listener = listen_at(socket);
    ASSERT_TRUE(listener);
    const auto connected = waiting.get();
    EXPECT_TRUE(connected) << connected.error().message;
    std::filesystem::remove(socket);
  }
}

TEST_F(Starting, IsWaitedForNoLongerThanAsked) {
  const auto nobody = connect_when_listening(place("nobody"), 20ms);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, ErrorCode::kNoServer);
}

TEST_F(Starting, WhereAFileLiesIsNotPermitted) {
  write_file(directory() / "file", "x");
  EXPECT_THROW(connect_or_start(std::filesystem::path(directory() / "file") / "control.sock"), Failure);
}

TEST_F(Starting, WaitsForNobodyWhoMightReadItsLog) {
  const auto socket = place("piped");
  ASSERT_EQ(::mkfifo((socket.native() + ".log").c_str(), 0600), 0);
  expect_failure([&] { start_server(at(socket)); }, ErrorCode::kCannotCreate, {"is no regular file", socket.native() + ".log"});
}

TEST_F(Starting, BelievesNoLockAndNoLogOfSomebodyElses) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give files away";
  for (const char* file : {".lock", ".log"}) {
    const auto socket = place(std::string("foreign") + file);
    write_file(socket.native() + file, "1\n");
    ASSERT_EQ(::chown((socket.native() + file).c_str(), 65534, 65534), 0);
    EXPECT_THROW(start_server(at(socket)), Failure) << file;
    EXPECT_EQ(read_file(socket.native() + file), "1\n");
  }
}

TEST_F(Starting, IsNoReasonToTrustASocketInSomebodyElsesDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a directory away";
  const auto socket = place("trap");
  auto listener = listen_at(socket);
  ASSERT_TRUE(listener);
  ASSERT_EQ(::chown(socket.parent_path().c_str(), 65534, 65534), 0);
  // As /tmp is: anybody can have made the directory in it.
  std::filesystem::permissions(directory().path(),
                               std::filesystem::perms::all | std::filesystem::perms::sticky_bit);
  expect_failure([&] { connect_or_start(socket); }, ErrorCode::kNotPermitted, {"trap", "65534"});
}

TEST_F(Starting, AtAPathTooLongForASocketSaysSo) {
  const std::filesystem::path longer = place(std::string(60, 'd')).parent_path() / std::string(60, 's');
  expect_failure([&] { connect_or_start(longer); }, ErrorCode::kInvalidArgument, {"at most 107"});
  expect_failure([&] { start_server(at(longer)); }, ErrorCode::kInvalidArgument, {"at most 107"});
}

TEST_F(Starting, AtAPathOfExactly107BytesSucceeds) {
  const std::string folder = place("f").parent_path().native() + "/";
  const std::filesystem::path exact = folder + std::string(kMaxSocketPath - folder.size(), 's');
  start_server(at(exact));
  ConnectOptions options;
  options.socket = exact;
  auto session = Session::connect(options);
  EXPECT_EQ(session.status().socket, exact.native());
  session.stop_server(true);
}

TEST_F(Starting, WithABrokenServerProgramSaysWhich) {
  ::setenv("PARCOMPUTE_SERVER", "/bin/false", 1);
  expect_failure([&] { connect_or_start(place("b")); }, ErrorCode::kNoServer, {"/bin/false"});
  ::setenv("PARCOMPUTE_SERVER", "/no/such/program", 1);
  expect_failure([&] { connect_or_start(place("b")); }, ErrorCode::kNotFound, {"/no/such/program"});
  ::unsetenv("PARCOMPUTE_SERVER");
}

TEST_F(Starting, WithABrokenWorkerProgramFailsInsteadOfTryingForEver) {
  ::setenv("PARCOMPUTE_WORKER", "/no/such/program", 1);
  expect_failure([&] { connect_or_start(place("w")); }, ErrorCode::kNotFound, {"/no/such/program"});
  ::setenv("PARCOMPUTE_WORKER", "/bin/false", 1);
  // It starts, and leaves when every forkserver has ended at once.
  const auto socket = place("x");
  try {
    start_server(at(socket));
  } catch (const Failure& failure) {
    EXPECT_NE(failure.code(), ErrorCode::kTimeout);
  }
  ::unsetenv("PARCOMPUTE_WORKER");
  until([&] { return !std::filesystem::exists(socket); }, "the server has given up");
}

// A worker program that ends at once, until somebody mends it; each start leaves a line.
class CrashLoop : public Starting {
 protected:
  void SetUp() override {
    Starting::SetUp();
    const auto real = find_program("parcompute-worker", "PARCOMPUTE_WORKER");
    ASSERT_TRUE(real) << real.error().message;
    const std::string program = directory() / "worker";
    write_file(program, "#!/bin/sh\necho >>'" + starts_ + "'\n[ -e '" + mended_ + "' ] || exit 3\nexec '" + real->native() + "' \"$@\"\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    ASSERT_EQ(::setenv("PARCOMPUTE_WORKER", program.c_str(), 1), 0);
  }
  void TearDown() override {
    ::unsetenv("PARCOMPUTE_WORKER");
    Starting::TearDown();
  }
  Session start_at(const std::filesystem::path& socket) {
    start_server(at(socket));
    ConnectOptions options;
    options.socket = socket;
    options.start_embedded = false;
    return Session::connect(options);
  }
  long starts() const {
    if (!std::filesystem::exists(starts_)) return 0;
    const std::string lines = read_file(starts_);
    return std::ranges::count(lines, '\n');
  }

  const std::string starts_ = directory() / "starts";
  const std::string mended_ = directory() / "mended";
};

TEST_F(CrashLoop, OfWorkersEndsAfterAFewTriesAndSaysWhy) {
  const auto socket = place("loop");
  auto session = start_at(socket);
  for (const WorkerInfo& worker : session.status().workers) EXPECT_EQ(worker.state, WorkerInfo::State::kStarting);
  // It waits for a worker that may come; that none does, its client is told.
  auto job = session.submit(Nop{10});
  EXPECT_THROW(
      {
        try {
          job.wait();
        } catch (const Failure& failure) {
          EXPECT_TRUE(failure.code() == ErrorCode::kSystem || failure.code() == ErrorCode::kCancelled) << failure.what();
          EXPECT_NE(std::string(failure.what()).find("parcompute-worker"), std::string::npos) << failure.what();
          throw;
        }
      },
      Failure);
  until([&] { return !std::filesystem::exists(socket); }, "the server has given up");
  EXPECT_GE(starts(), 2);
  EXPECT_LE(starts(), 6) << "the first one, and five more in 10 s";
}

TEST_F(CrashLoop, OfWorkersIsOverWhenItsCauseIs) {
  const auto socket = place("loop");
  auto session = start_at(socket);
  auto job = session.submit(Nop{10});
  until([&] { return starts() >= 2; }, "a worker was started once more");
  write_file(mended_, "");
  EXPECT_EQ(job.wait().info.state, JobState::kDone);
  session.stop_server(true);
}

TEST_F(Starting, WithoutPermissionToStartSaysHowTo) {
  ConnectOptions options;
  options.socket = place("n");
  options.start_embedded = false;
  expect_failure([&] { Session::connect(options); }, ErrorCode::kNoServer, {"parcompute-client start"});
}

}  // namespace
}  // namespace parcompute::testing
