// How many bytes all segments together may take, and which voice decided.
//
// The limit is the smallest of the configured limit, the size of /dev/shm, the memory limit of every cgroup
// ancestor (v2 and v1) and physical memory. A segment past it would be answered by SIGBUS or by the
// out-of-memory killer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/os/budget_source.h"
#include "common/os/file_reader.h"

namespace parcompute {

struct MemoryBudget {
  std::vector<BudgetSource> sources;  // every source, also those that set no limit
  std::size_t decided = 0;            // index into sources
  std::uint64_t limit_bytes = 0;
};

// What the decision depends on.
struct MemoryEnvironment {
  std::optional<std::uint64_t> configured_bytes;
  std::optional<std::uint64_t> shm_bytes;  // nothing: /dev/shm is not there; 0: it has no limit of its own
  std::uint64_t physical_bytes = 0;
  FileReader read_file;  // for /proc/self and the cgroups
};

MemoryBudget decide_memory_budget(const MemoryEnvironment& environment);

// For this process.
MemoryBudget memory_budget(std::optional<std::uint64_t> configured_bytes = std::nullopt);

// What /dev/shm can still take, by its own limit. 0 where there is no /dev/shm.
std::uint64_t shm_free_bytes();

}  // namespace parcompute
