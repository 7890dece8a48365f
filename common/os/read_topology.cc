#include "common/os/read_topology.h"

#include <hwloc.h>

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace parcompute {
namespace {

using Handle = std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)>;

Handle make_handle() {
  hwloc_topology_t made = nullptr;
  if (hwloc_topology_init(&made) != 0) return {nullptr, hwloc_topology_destroy};
  return {made, hwloc_topology_destroy};
}

// Caches and devices are of no use here; groups are what a node hangs on that is a part of a package. Its x86 part would bind this process to
// one CPU after the other.
bool load(hwloc_topology_t topology) {
  hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
  hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_CORE, HWLOC_OBJ_PACKAGE})
    hwloc_topology_set_type_filter(topology, type, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_type_filter(topology, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
  hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED | HWLOC_TOPOLOGY_FLAG_NO_DISTANCES | HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
  return hwloc_topology_load(topology) == 0;
}

Topology facts_of(hwloc_topology_t topology) {
  Topology facts;
  for (hwloc_obj_t thread = nullptr; (thread = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, thread)) != nullptr;) {
    CpuPlace place;
    place.cpu = static_cast<int>(thread->os_index);
    // Where no core is told, each thread is one.
    const hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, thread);
    const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, thread);
    place.core = core == nullptr ? thread->logical_index : core->logical_index;
    place.package = package == nullptr ? 0 : package->logical_index;
    // Of several memories beside it (HBM, say) the first is the one of the system's.
    if (thread->nodeset != nullptr)
      if (const int node = hwloc_bitmap_first(thread->nodeset); node >= 0) place.node = static_cast<unsigned>(node);
    facts.cpus.push_back(place);
  }
  std::sort(facts.cpus.begin(), facts.cpus.end(), [](const CpuPlace& a, const CpuPlace& b) { return a.cpu < b.cpu; });
  return facts;
}

}  // namespace

Topology read_topology() {
  const Handle topology = make_handle();
  if (!topology || !load(topology.get())) return {};
  return facts_of(topology.get());
}

Result<Topology> synthetic_topology(const std::string& description) {
  const Handle topology = make_handle();
  if (!topology || hwloc_topology_set_synthetic(topology.get(), description.c_str()) != 0 || !load(topology.get()))
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no topology that hwloc understands", description));
  return facts_of(topology.get());
}

}  // namespace parcompute
