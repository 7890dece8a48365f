// Signals to processes that may end at any moment: to the one that is meant, or to none.
#pragma once

#include <sys/types.h>

namespace parcompute::testing {

// Sends `signal` to `pid` where it is, at this moment, a living child of `parent`. A number that was read a moment ago may be
// another process's by now: the process is held by a pidfd first and looked at then. False where nothing was sent.
bool signal_child(pid_t parent, pid_t pid, int signal);

}  // namespace parcompute::testing
