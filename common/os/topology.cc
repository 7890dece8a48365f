#include "common/os/topology.h"

#include <algorithm>
#include <set>

namespace parcompute {

const CpuPlace* Topology::find(int cpu) const {
  const auto found = std::lower_bound(cpus.begin(), cpus.end(), cpu, [](const CpuPlace& place, int wanted) { return place.cpu < wanted; });
  return found != cpus.end() && found->cpu == cpu ? &*found : nullptr;
}

std::size_t count_cores(const Topology& topology, const std::vector<int>& cpus) {
  std::set<unsigned> cores;
  std::size_t unknown = 0;
  for (const int cpu : cpus) {
    if (const CpuPlace* place = topology.find(cpu)) cores.insert(place->core);
    else ++unknown;
  }
  return cores.size() + unknown;
}

}  // namespace parcompute
