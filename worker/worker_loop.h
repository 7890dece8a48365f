// The worker: receives chunks, computes them, answers. Returns when the coordinator closes the socket.
#pragma once

#include "common/base/ids.h"
#include "proto/channel.h"

namespace parcompute {

// Runs until the socket ends; the process has nothing else to do afterwards. One worker a process: the SIGBUS handler
// is its own.
void run_worker(WorkerIndex index, Channel channel);

}  // namespace parcompute
