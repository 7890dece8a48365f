// parcompute-test-client, a process of its own: to be killed, or to be started several times at once.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/os/unique_fd.h"

namespace parcompute::testing {

class TestClient {
 public:
  // Runs tests/process/test_client_main.cc with `arguments`.
  explicit TestClient(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment = {});
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  // kill -9, and its end.
  ~TestClient() { kill(); }

  // What it says when it has come as far as it goes; then it waits to be killed.
  std::string words();
  void kill();
  // After its end: what it has said since; empty where nothing.
  std::string last_words();
  pid_t pid() const { return pid_; }

 private:
  UniqueFd pipe_;
  pid_t pid_ = 0;
};

}  // namespace parcompute::testing
