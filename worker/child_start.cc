#include "worker/child_start.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>

#include <fmt/format.h>

#include "common/base/log.h"
#include "worker/worker_loop.h"

namespace parcompute {

void start_child(ChildStart start) {
  // The belt: the braces are the sockets, whose end both the forkserver and the worker notice. The forkserver has one
  // thread, so that its thread's end is its own.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string name = fmt::format("pc-worker-{}", start.index);
  ::prctl(PR_SET_NAME, name.c_str());
  log_start(fmt::format("worker {}", start.index), LogLevel::kWarning);
  const int status = run_worker(start.index, Channel(std::move(start.socket)), start.redo);
  // No destructors of the forkserver's state, no atexit handlers: the process that owns them is another.
  ::_exit(status);
}

}  // namespace parcompute
