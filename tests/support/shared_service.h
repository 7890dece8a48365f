// A server that several users share, as parcompute.service is one: under a ServiceManager, which restarts it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/server_fixture.h"
#include "tests/support/service_manager.h"

namespace parcompute::testing {

class SharedService : public ServerTest {
 protected:
  static constexpr std::size_t kRoom = 64;

  void TearDown() override {
    end();
    ServerTest::TearDown();
  }

  // The first of the test, with room for so many descriptors. `options` hold for those after it, too.
  void begin(std::vector<std::string> options = {}, std::size_t room = kRoom, std::size_t open_files = 0) {
    options_ = std::move(options);
    for (const auto& [option, value] : {std::pair{"--workers", "2"}, {"--memory", "256MiB"}, {"--backing", "sealed"}})
      if (std::find(options_.begin(), options_.end(), option) == options_.end()) options_.insert(options_.end(), {option, value});
    std::filesystem::permissions(directory().path(), std::filesystem::perms(0755));
    manager_.emplace(lasting_socket(), room);
    manager_->limit_open_files(open_files);
    start_again();
  }
  void start_again() {
    ASSERT_TRUE(manager_->start(options_)) << "the server did not start; its exit status is " << manager_->wait();
    serve_at(lasting_socket(), manager_->pid());
  }
  void kill_and_start_again() {
    serve_at(lasting_socket(), 0);
    manager_->kill();
    start_again();
  }
  // The server with all its arrays.
  void end() {
    if (!manager_) return;
    if (manager_->pid() > 0) {
      connect().stop_server(true);
      serve_at(lasting_socket(), 0);
      EXPECT_EQ(manager_->wait(), 0);
      EXPECT_LE(manager_->stored_names().size(), 1u) << "the catalog alone may be left";
    }
    manager_.reset();
  }

  // A descriptor of this process that shows an array's memory; none where there is none.
  static UniqueFd memory_of(const Array& array) {
    const std::string name = array.info().segment_name;
    if (!name.starts_with("memfd:")) return {};
    const ino_t inode = std::strtoull(name.c_str() + std::string("memfd:").size(), nullptr, 10);
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      struct stat status {};
      const int fd = std::atoi(entry.path().filename().c_str());
      if (::fstat(fd, &status) == 0 && status.st_ino == inode && ::fcntl(fd, F_GET_SEALS) > 0) return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    }
    return {};
  }
  static std::uint64_t pages_of(const Array& array) {
    struct stat status {};
    EXPECT_EQ(::fstat(memory_of(array).get(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  std::optional<ServiceManager> manager_;
  std::vector<std::string> options_;
};

}  // namespace parcompute::testing
