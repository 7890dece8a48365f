// How many bytes all segments together may take, and which voice decided.
//
// The limit is the smallest of the configured limit, the size of /dev/shm (of segments that lie there: memory without a name
// does not), the memory limit of every cgroup ancestor (v2 and v1) and physical memory. A segment past it would be answered by
// SIGBUS or by the out-of-memory killer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/os/budget_source.h"
#include "common/os/file_reader.h"
#include "common/os/unique_fd.h"

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
  bool in_dev_shm = true;  // segments lie there
};

MemoryBudget decide_memory_budget(const MemoryEnvironment& environment);

// For this process.
MemoryBudget memory_budget(std::optional<std::uint64_t> configured_bytes = std::nullopt, bool in_dev_shm = true);

// What /dev/shm can still take, by its own limit.
Result<std::uint64_t> shm_free_bytes();

// What the machine can still give away before it has to swap, as the kernel estimates it: MemAvailable.
class AvailableMemory {
 public:
  static Result<AvailableMemory> open();
  // Now. What it was before where the kernel does not say.
  std::uint64_t bytes();

 private:
  UniqueFd meminfo_;  // kept open: it is asked also when the table of open files is full
  std::uint64_t last_ = 0;
};

// Of /proc/meminfo.
std::optional<std::uint64_t> parse_available_memory(std::string_view meminfo);

}  // namespace parcompute
