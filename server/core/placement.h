// Placement: how many workers are given work, and on which CPUs they sit.
//
// Workers are pinned where the CPUs are the server's own and it uses all of them: where somebody narrowed its affinity mask (a batch
// system, a cpuset, taskset), and there is a worker for each core in it; or where it was told to. Elsewhere several servers and programs
// share the CPUs, and two servers that pin would crowd the same ones while others idle: workers float.
//
// A pinned pool is spread: each worker as far from those before it as can be, for memory bandwidth and caches. So worker i sits where it
// does however many there are, and a pool that shrinks stays spread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/os/cpu_budget.h"
#include "common/os/topology.h"

namespace parcompute::server {

enum class Pinning { kWhereOwn, kAlways, kNever };

struct PlacementOptions {
  unsigned workers = 0;  // that somebody asked for; 0: as many as the CPUs allow
  unsigned most = 4096;  // however many those are
  Pinning pinning = Pinning::kWhereOwn;
  Topology topology;
};

struct Placement {
  unsigned workers = 1;
  std::string limit_source;      // what says so: "affinity", "--workers"
  std::vector<int> allowed;      // CPUs that workers may use
  std::vector<int> pins;         // worker i sits on pins[i % size]; empty: workers float over those allowed
  std::vector<unsigned> nodes;   // of memory, one for each pin; empty: unknown
  std::vector<unsigned> node_workers;  // how many workers sit at each node, by its number; empty: unknown

  friend bool operator==(const Placement&, const Placement&) = default;
  std::optional<int> cpu_of(std::size_t worker) const {
    return pins.empty() ? std::nullopt : std::optional(pins[worker % pins.size()]);
  }
  std::optional<unsigned> node_of(std::size_t worker) const {
    return nodes.empty() ? std::nullopt : std::optional(nodes[worker % nodes.size()]);
  }
};

Placement place_workers(const CpuBudget& budget, const PlacementOptions& options);

// These CPUs, so that any first few of them lie spread over packages, nodes and cores, in this order: a second thread of a core comes behind
// the first ones of all.
std::vector<int> spread(const Topology& topology, const std::vector<int>& cpus);

}  // namespace parcompute::server
