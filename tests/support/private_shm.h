// A small /dev/shm of this process's own, and of what it starts: a tmpfs in a mount namespace.
//
// A namespace is entered by a process of one thread. Root comes out of it again; others can make one only together with a
// namespace of users, which nobody leaves: then the process has its small /dev/shm to its end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/os/unique_fd.h"

namespace parcompute::testing {

class PrivateShm {
 public:
  PrivateShm() = default;
  PrivateShm(const PrivateShm&) = delete;
  PrivateShm& operator=(const PrivateShm&) = delete;
  // Out of the namespace, and with the last process in it the tmpfs goes.
  ~PrivateShm();

  // Enters. Why it cannot be done here; empty where it is done, and /dev/shm is of that size.
  std::string enter(std::uint64_t bytes);

  static std::uint64_t size();
  static std::uint64_t free();

 private:
  UniqueFd home_;  // the namespace to go back to
  std::filesystem::path directory_;
};

}  // namespace parcompute::testing
