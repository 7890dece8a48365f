// How many CPUs this process may use, and which voice decided.
//
// The count is the minimum of the affinity mask, the CPU quotas of every cgroup ancestor (v2 and v1, also
// where both are mounted), the batch scheduler's environment and PARCOMPUTE_WORKERS. Quotas round down, at
// least to 1: a pool that runs more workers than its quota allows is throttled, all of it at once. What
// cannot be understood is left out with a note in its source's detail; PARCOMPUTE_WORKERS alone, which
// someone has written for us, must be right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/os/budget_source.h"
#include "common/os/file_reader.h"

namespace parcompute {

struct CpuBudget {
  std::vector<BudgetSource> sources;  // every source, also those that set no limit
  std::size_t decided = 0;            // index into sources
  std::uint32_t count = 1;
  std::vector<int> cpus;           // the affinity mask, ascending; may be longer than count
  bool affinity_narrowed = false;  // fewer CPUs than the machine has online: someone chose these for us
};

// What the decision depends on.
struct CpuEnvironment {
  std::vector<int> affinity;                     // ascending; empty: unknown
  std::map<std::string, std::string> variables;  // those of cpu_budget_variables() that are set
  FileReader read_file;  // for /proc/self, /sys/devices/system/cpu/online and the cgroups
};

// The environment variables that are asked: SLURM_CPUS_PER_TASK, ..., PARCOMPUTE_WORKERS.
const std::vector<std::string>& cpu_budget_variables();

// Fails for a PARCOMPUTE_WORKERS that is no positive number, and for nothing else.
Result<CpuBudget> decide_cpu_budget(const CpuEnvironment& environment);

// For this process.
Result<CpuBudget> cpu_budget();

// The CPUs that the calling thread may run on, ascending; any number of CPUs. Empty where the kernel does not
// say.
std::vector<int> affinity_cpus();

// "0-2,7": the kernel's lists of CPUs. Fails for anything else.
Result<std::vector<int>> parse_cpu_list(const std::string& text);

}  // namespace parcompute
