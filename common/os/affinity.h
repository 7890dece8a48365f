// The CPUs that a process may run on: any number of them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/error.h"

namespace parcompute {

// Of the calling thread, ascending. Empty where the kernel does not say.
std::vector<int> affinity_cpus();

// Of a process's first thread; 0: of the calling one. Those that it may not have (a cpuset) are passed over, as long as there are others.
Result<void> set_affinity(pid_t pid, const std::vector<int>& cpus);

// "0-2,7": as the kernel writes it, and `taskset -c` reads it.
std::string format_cpu_list(const std::vector<int>& cpus);

}  // namespace parcompute
