// ServiceManager: what systemd is to parcompute.service, without systemd. It listens in the server's place, starts it with
// $LISTEN_FDS and $NOTIFY_SOCKET, keeps the descriptors that it hands in, and gives them to the next one.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/os/unique_fd.h"
#include "tests/support/temporary_directory.h"

namespace parcompute::testing {

class ServiceManager {
 public:
  // `room`: how many descriptors it keeps at most (FileDescriptorStoreMax=).
  ServiceManager(std::filesystem::path socket, std::size_t room);
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;
  // kill -9 where it still runs. The socket goes.
  ~ServiceManager();

  // LimitNOFILE=, from the next start on.
  void limit_open_files(std::size_t most) { open_files_ = most; }
  // Returns when the server is ready, or has ended: then false.
  bool start(const std::vector<std::string>& options);
  pid_t pid() const { return pid_; }
  void kill();
  // SIGTERM, as at a restart; the exit status. The store stays.
  int terminate();
  // Waits for a server that was told to leave otherwise.
  int wait();

  struct Stored {
    std::string name;
    UniqueFd fd;
  };
  // What it keeps; the server must not run, or have nothing to say. The names, sorted.
  std::vector<std::string> stored_names();
  std::vector<Stored>& store();

 private:
  void listen_to_notifications();
  void take(const std::string& state, std::vector<UniqueFd> fds);
  // Everything that was sent before has been taken.
  void catch_up();

  TemporaryDirectory directory_;
  std::filesystem::path socket_;
  std::size_t room_;
  UniqueFd listener_;
  UniqueFd notifications_;
  pid_t pid_ = 0;
  std::size_t open_files_ = 0;  // 0: as this process

  std::mutex mutex_;
  std::condition_variable taken_;
  std::vector<Stored> store_;
  bool is_ready_ = false;
  bool is_ending_ = false;
  std::uint64_t marks_sent_ = 0, marks_seen_ = 0;
  std::thread thread_;
};

}  // namespace parcompute::testing
