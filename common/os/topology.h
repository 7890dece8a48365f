// Topology: which CPU is a hardware thread of which core, in which package, beside which memory. Plain facts: what is made of them
// is decided elsewhere (cpu_budget.h, server/core/placement.h), whence they come in read_topology.h.
#pragma once

#include <cstddef>
#include <vector>

namespace parcompute {

// Numbers of the kernel's for CPUs and nodes; cores and packages are counted from 0.
struct CpuPlace {
  int cpu = 0;
  unsigned core = 0;
  unsigned package = 0;
  unsigned node = 0;  // of memory: NUMA

  friend bool operator==(const CpuPlace&, const CpuPlace&) = default;
};

struct Topology {
  std::vector<CpuPlace> cpus;  // ascending; empty: nothing is known

  // Null for a CPU of which nothing is known.
  const CpuPlace* find(int cpu) const;
};

// How many cores these CPUs are threads of. One of which nothing is known is a core of its own.
std::size_t count_cores(const Topology& topology, const std::vector<int>& cpus);

}  // namespace parcompute
