// The thread pools that libraries bring along: in a worker each is held at one thread, for the workers are the pool.
//
// One table says how: by a variable, which most libraries read when they are loaded, and by a call, for those that are loaded by then and
// may have been told otherwise. It stands here because the server, which starts the forkserver, needs the one half of it, and the worker
// the other.
//
// Not wider, either, where a user has more CPUs than blocks: OpenBLAS cuts a product otherwise for two threads than for one, and adds up
// in another order, so that results would depend on how many CPUs there are (README.md in worker/kernels has the figure).
#pragma once

#include <string>
#include <vector>

namespace parcompute {

// "OPENBLAS_NUM_THREADS=1", ...: for the environment of a program before it starts.
const std::vector<std::string>& one_thread_environment();

// Tells those that this program has loaded. The calling thread must be the only one.
void hold_libraries_at_one_thread();

}  // namespace parcompute
