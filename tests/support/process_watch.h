// Watching processes that are no children of the test: by pidfd for their end, in /proc for how they are.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "common/os/unique_fd.h"

namespace parcompute::testing {

// Made while the process lives: it names that one for ever, whatever becomes of its number.
class ProcessWatch {
 public:
  explicit ProcessWatch(pid_t pid);

  // Ended, though perhaps not reaped.
  bool has_ended() const { return ends_within(std::chrono::milliseconds(0)); }
  bool ends_within(std::chrono::milliseconds patience) const;

 private:
  UniqueFd pidfd_;  // none: it had ended already
};

// A line of /proc/PID/status, such as "Threads", without its name; empty where the process is gone.
std::string status_line(pid_t pid, const std::string& name);
// In bytes; exact where the kernel lets it be counted. VmRSS lags behind by what each CPU has not reported yet.
std::uint64_t resident_bytes(pid_t pid);
// Stopped by a signal.
bool is_stopped(pid_t pid);
std::size_t descriptors_of(pid_t pid);
// What its descriptors are: for messages.
std::string describe_descriptors(pid_t pid);
// The process and all that descend from it.
std::vector<pid_t> process_tree(pid_t root);

}  // namespace parcompute::testing
