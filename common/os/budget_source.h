// One voice in a decision about resources: what it allows, and where that stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parcompute {

struct BudgetSource {
  std::string name;                    // "affinity", "cgroup v2 cpu.max", "SLURM_CPUS_PER_TASK", "/dev/shm"
  std::optional<std::uint64_t> value;  // CPUs or bytes; nothing: this source sets no limit
  std::string detail;  // the file that says so, what it says, or why it was ignored; may be empty
};

// The first source with the smallest value. At least one must have one.
std::size_t deciding_source(const std::vector<BudgetSource>& sources);

}  // namespace parcompute
