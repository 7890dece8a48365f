// CpuWatch: how many CPUs this process may use, looked at again and again while it runs.
//
// Somebody may narrow its affinity mask, move it to another cgroup or give its cgroup another quota at any time, and no event tells. A
// look costs some 50 us: what cannot change, and what is long (the list of mounts, but for cgroups), is read once.
#pragma once

#include <memory>
#include <optional>

#include "common/os/cpu_budget.h"

namespace parcompute {

class CpuWatch {
 public:
  explicit CpuWatch(CpuEnvironment environment);

  // Fails as decide_cpu_budget() does. What cannot be read for want of memory or descriptors is no limit that was lifted: then nothing has
  // changed.
  Result<CpuBudget> look();

 private:
  CpuEnvironment environment_;
  std::shared_ptr<bool> is_short_ = std::make_shared<bool>(false);  // of what it takes to read a file; the reader tells
  std::optional<CpuBudget> last_;
};

}  // namespace parcompute
