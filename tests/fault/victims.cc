#include "tests/fault/victims.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "common/os/unique_fd.h"
#include "tests/support/process_watch.h"

namespace parcompute::testing {

bool signal_child(pid_t parent, pid_t pid, int signal) {
  if (pid <= 1 || parent <= 1) return false;
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd || status_line(pid, "PPid") != std::to_string(parent)) return false;
  // What was looked at is what the pidfd holds, unless that one has ended: then the signal reaches nobody.
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace parcompute::testing
