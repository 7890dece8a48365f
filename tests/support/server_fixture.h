// A test's own server, the verbs to treat it well or badly, and the check that nothing of it stays behind.
//
// Afterwards there must be no process (the test adopts orphans, so that it sees the server's children too),
// no more descriptors than before, no name in /dev/shm and no socket. A watchdog ends a test that hangs, and
// what it started.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client/cpp/parcompute.h"
#include "tests/support/process_watch.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace parcompute::testing {

inline constexpr std::uint64_t kMebibyte = 1024 * 1024;

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // ---- a server's life
  // A server for this test; its arrays go with it. `spare_bytes` 0 where the test counts segments or descriptors.
  void start(unsigned workers = 2, std::uint64_t memory_bytes = 256 * kMebibyte,
             std::optional<std::uint64_t> spare_bytes = std::nullopt);
  void start_with(const ServerOptions& options);
  // A server that named arrays outlive, at lasting_socket(). May be started again after it ended. Where it leaves when it is idle it
  // stays until leave_alone(), at least.
  void start_lasting(unsigned workers = 2, std::optional<double> idle_seconds = 3600,
                     std::optional<std::uint64_t> spare_bytes = std::nullopt);
  std::filesystem::path lasting_socket() const {
    return std::filesystem::path(directory_ / "s") / "control.sock";
  }
  // The fixture's session ends, which keeps a server that is idle otherwise.
  void leave_alone() { control_.reset(); }
  // Ends the server of start().
  void end_server();
  // A server that somebody else started, and ends: the one to connect to. Without a number: there is none any more.
  void serve_at(const std::filesystem::path& socket, pid_t server);
  // kill -9 for the one of start_lasting(), when it has served all that came before. Its workers may live a moment longer.
  void kill_server();
  // The same, in the middle of whatever it is doing.
  void kill_server_at_once();

  Session connect(const std::string& client_name = "test");
  // Through a session that the fixture keeps.
  Status status();

  // ---- workers
  pid_t worker_pid(std::size_t index) { return status().workers.at(index).pid; }
  std::vector<pid_t> worker_pids();
  // SIGSTOP: until thaw_workers() jobs are handed out and none moves on.
  void freeze_workers();
  void thaw_workers();
  void kill_worker(std::size_t index);
  // All workers are there, idle or busy; returns the status then.
  Status pool_is_whole();
  std::uint64_t replaced();
  // Of all sessions the fixture's alone is left, and the server has closed what the others had: a thread of its own does that, later than
  // their end shows.
  void others_are_gone();

  pid_t server_pid() const { return server_pid_; }

  // ---- waiting
  // For a test that is meant to take long and looks itself whether it still moves: the watchdog's time begins again.
  static void rearm_watchdog();
  // Looks until `condition` holds.
  void until(const std::function<bool()>& condition, const std::string& what);

  // Names in /dev/shm that belong to the server at `socket`.
  static std::vector<std::string> segments_of(const std::filesystem::path& socket);
  std::vector<std::string> segments() const { return segments_of(socket_); }

  const std::filesystem::path& socket() const { return socket_; }
  // For files of the test.
  const TemporaryDirectory& directory() const { return directory_; }

 private:
  void reap_everything();

  TemporaryDirectory directory_;
  std::filesystem::path socket_;
  std::optional<PrivateServer> server_;
  std::optional<Session> control_;
  std::vector<std::filesystem::path> sockets_;  // all that there were
  std::vector<pid_t> frozen_;
  pid_t server_pid_ = 0;
  bool killed_ = false;
  std::size_t descriptors_before_ = 0;
  std::string described_before_;
};

// The Failure that `body` throws: its code, and that its message holds each of `words`. A test failure where
// there is none.
void expect_failure(const std::function<void()>& body, ErrorCode code, std::vector<std::string> words = {});

// Makes array-0, array-1, ... until the server, which is left so few descriptors, refuses one more. How many there are.
int make_until_descriptors_are_out(Session& session, pid_t server, std::uint64_t descriptors);

// The exit status of a child; 128 + n for signal n.
int wait_for(pid_t child);

// SIGKILL to a process that the test started, directly or not.
void kill_now(pid_t pid);

// What ends because another process did ends within a second: the coordinator's campaign measures it where it is given time. Among other
// tests a machine may be as busy as it likes.
inline constexpr std::chrono::seconds kSoon{20};

// Blocks that never end by themselves: each takes no time, but there are too many.
inline Nop endless() {
  return Nop{std::uint64_t{1} << 47};
}
inline SubmitOptions detached(const std::string& output) {
  SubmitOptions options;
  options.output = output;
  options.detach = true;
  return options;
}
inline SubmitOptions one_by_one() {
  SubmitOptions options;
  options.chunk_blocks = 1;
  return options;
}

}  // namespace parcompute::testing
