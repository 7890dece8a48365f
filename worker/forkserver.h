// The forkserver: exec'ed once, it has everything loaded that a worker needs and forks one whenever it is asked.
//
// It has one thread at every fork (checked), opens no files and runs no kernels. It is the workers' parent: it reaps them
// and tells the coordinator how they ended. When the coordinator's socket ends it ends, and its workers with it.
#pragma once

#include <cstddef>
#include <span>

#include "proto/channel.h"

namespace parcompute {

// `redo`: kRedoPlaceBytes for each worker's place. Serves until the socket ends. Returns in the forkserver alone, never in a worker.
void run_forkserver(Channel channel, std::span<std::byte> redo);

}  // namespace parcompute
