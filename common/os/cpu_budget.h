// How many CPUs this process may use, and which voice decided.
//
// The count is the minimum of the affinity mask, the cores that its CPUs are threads of, the CPU quotas of every
// cgroup ancestor (v2 and v1, also where both are mounted), the batch scheduler's environment and
// PARCOMPUTE_WORKERS. Quotas round down, at least to 1: a pool that runs more workers than its quota allows is
// throttled, all of it at once. Two threads of one core have one core's arithmetic between them, so a core counts
// once, unless hyperthreads are asked for: by name, or by a PARCOMPUTE_WORKERS, which says how many by itself. What
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
#include "common/os/topology.h"

namespace parcompute {

struct CpuBudget {
  std::vector<BudgetSource> sources;  // every source, also those that set no limit
  std::size_t decided = 0;            // index into sources
  std::uint32_t count = 1;
  std::vector<int> cpus;           // the affinity mask, ascending; may be longer than count
  bool affinity_narrowed = false;  // fewer CPUs than the machine has online: someone chose these for us
  std::size_t online = 0;          // CPUs of the machine; 0: unknown

  const BudgetSource& decider() const { return sources[decided]; }
};

// What the decision depends on.
struct CpuEnvironment {
  std::vector<int> affinity;                     // ascending; empty: unknown
  std::map<std::string, std::string> variables;  // those of cpu_budget_variables() that are set
  FileReader read_file;  // for /proc/self, /sys/devices/system/cpu/online and the cgroups
  Topology topology;
  bool hyperthreads = false;  // each thread of a core counts
};

// The environment variables that are asked: SLURM_CPUS_PER_TASK, ..., PARCOMPUTE_WORKERS.
const std::vector<std::string>& cpu_budget_variables();

// Fails for a PARCOMPUTE_WORKERS that is no positive number, and for nothing else.
Result<CpuBudget> decide_cpu_budget(const CpuEnvironment& environment);

// What this process finds, now; the topology is for the caller to add.
CpuEnvironment cpu_environment();

// "0-2,7": the kernel's lists of CPUs. Fails for anything else.
Result<std::vector<int>> parse_cpu_list(const std::string& text);

}  // namespace parcompute
