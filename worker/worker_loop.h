// The worker: receives chunks, computes them, answers. Returns when the coordinator closes the socket.
#pragma once

#include <cstddef>
#include <span>

#include "common/base/ids.h"
#include "proto/channel.h"

namespace parcompute {

// Runs until the socket ends; the process has nothing else to do afterwards. One worker a process: what it says of signals
// (last_words.h) is its own. `redo`: the memory of the place's RedoLog. Answers the process's exit status.
int run_worker(WorkerIndex index, Channel channel, std::span<std::byte> redo);

}  // namespace parcompute
