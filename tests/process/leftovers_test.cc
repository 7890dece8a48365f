// What a server leaves in /dev/shm whose whole tree is killed, and what the next server of the same user, anywhere, makes of it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "common/shm/segment.h"
#include "tests/support/newer_server.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

Session connect_at(const std::filesystem::path& socket) {
  ConnectOptions options;
  options.socket = socket;
  options.start_embedded = false;
  return Session::connect(options);
}

// A program with a private server and arrays in it, as with-server runs one.
class DoomedProgram {
 public:
  DoomedProgram() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd read(ends[0]);
    UniqueFd write(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) run(write.get());
    write.reset();
    std::string path;
    for (char c = 0; ::read(read.get(), &c, 1) == 1;) path.push_back(c);
    socket_ = path;
  }
  ~DoomedProgram() {
    if (!socket_.empty()) std::filesystem::remove_all(socket_.parent_path());
  }

  const std::filesystem::path& socket() const { return socket_; }

  // As a control group's end does it: nobody has time to tidy up.
  void kill() {
    const pid_t server = connect_at(socket_).status().server_pid;
    std::vector<ProcessWatch> watches;
    for (const pid_t pid : process_tree(server)) watches.emplace_back(pid);
    watches.emplace_back(pid_);
    for (const pid_t pid : {server, pid_}) kill_now(pid);
    for (const ProcessWatch& watch : watches) ASSERT_TRUE(watch.ends_within(60s));
  }

 private:
  [[noreturn]] static void run(int words) {
    try {
      ServerOptions options;
      options.workers = 1;
      options.memory_bytes = 64 * kMebibyte;
      PrivateServer server(options);
      Session session = connect_at(server.socket());
      auto named = session.create_arange("named", DType::kInt64, {1000});
      session.create_arange("held", DType::kInt64, {1000});
      auto anonymous = session.create("", DType::kInt64, {100'000});
      const std::string& path = server.socket().native();
      if (::write(words, path.data(), path.size()) < 0) ::_exit(1);
      ::close(words);
      while (true) ::pause();
    } catch (...) {
      ::_exit(1);
    }
  }

  pid_t pid_ = 0;
  std::filesystem::path socket_;
};

class Leftovers : public ServerTest {
 protected:
  // Servers start until one of them has taken it away: another that starts at that moment may have it open, to look at it.
  void expect_taken_away(const std::filesystem::path& socket, const std::vector<std::string>& all_but) {
    until(
        [&] {
          serve_once();
          return segments_of(socket) == all_but;
        },
        "the next server has taken away what is left");
  }
  static void serve_once() {
    ServerOptions options;
    options.workers = 1;
    options.memory_bytes = 64 * kMebibyte;
    PrivateServer server(options);
    connect_at(server.socket()).status();
  }
};

TEST_F(Leftovers, OfAKilledPrivateServerGoWithTheNextServerAnywhere) {
  start_lasting(1);
  auto former = connect();
  auto array = former.create_arange("lasting", DType::kInt64, {1000});
  const std::vector<std::string> of_lasting{array.info().segment_name};
  auto anonymous = former.create("", DType::kInt64, {1000});
  kill_server();

  start(1);
  auto session = connect();
  auto living = session.create_arange("living", DType::kInt64, {1000});
  auto nameless = session.create("", DType::kInt64, {1000});
  const auto of_living = segments();
  EXPECT_EQ(of_living.size(), 2u);

  DoomedProgram program;
  ASSERT_FALSE(program.socket().empty());
  EXPECT_EQ(segments_of(program.socket()).size(), 3u);
  auto held = connect_at(program.socket()).find("held");
  const auto view = held.view<const std::int64_t>();
  program.kill();
  // What a client has stays: the name, too.
  expect_taken_away(program.socket(), {held.info().segment_name});
  EXPECT_EQ(view[999], 999);
  held = Array();
  expect_taken_away(program.socket(), {});

  EXPECT_EQ(segments(), of_living);
  EXPECT_EQ(session.submit(Reduce{.a = living}).wait().scalar->as<std::int64_t>(), 499'500);
  session.create("", DType::kInt64, {1000});
  // Of the lasting server what is no array goes when nobody has it any more; the array waits for the next one on its socket.
  EXPECT_EQ(segments_of(lasting_socket()).size(), 2u);
  anonymous = Array();
  expect_taken_away(lasting_socket(), of_lasting);
  end_server();
  start_lasting(1);
  EXPECT_EQ(connect().find("lasting").view<const std::int64_t>()[999], 999);
}

TEST_F(Leftovers, AreNoArraysOfANewerServer) {
  start_lasting(1);
  connect().create_arange("a", DType::kInt64, {1000});
  const auto expected = segments();
  ASSERT_EQ(expected.size(), 1u);
  kill_server();
  SegmentHeaderPage page;
  {
    const auto fd = open_segment(expected.front());
    ASSERT_TRUE(fd);
    page = read_page(fd->get(), 0);
    write_page(fd->get(), 0, of_newer_server(page));
  }
  // Nobody has it.
  serve_once();
  EXPECT_EQ(segments_of(lasting_socket()), expected);
  const auto fd = open_segment(expected.front());
  ASSERT_TRUE(fd);
  write_page(fd->get(), 0, page);
}

}  // namespace
}  // namespace parcompute::testing
