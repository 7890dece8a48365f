// How servers start, find their place, and leave it.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <set>

#include <gmock/gmock.h>

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
  EXPECT_TRUE(ProcessWatch(server_pid()).ends_within(30s));
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(Starting, AServerThatHoldsAnArrayStays) {
  start_lasting(1, 0.1);
  const pid_t server = server_pid();
  const ProcessWatch watch(server);
  connect().create("a", DType::kUint8, {1});
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

TEST_F(Starting, WithoutPermissionToStartSaysHowTo) {
  ConnectOptions options;
  options.socket = place("n");
  options.start_embedded = false;
  expect_failure([&] { Session::connect(options); }, ErrorCode::kNoServer, {"parcompute-client start"});
}

}  // namespace
}  // namespace parcompute::testing
