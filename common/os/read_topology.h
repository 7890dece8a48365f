// Where the facts of a topology come from: hwloc, which is asked once by who starts a server, or asks what one would do.
#pragma once

#include <string>

#include "common/base/error.h"
#include "common/os/topology.h"

namespace parcompute {

// Of this machine, also CPUs that this process may not use. Takes a millisecond, more where there are many CPUs; reads files and binds
// nothing. Nothing is known where hwloc fails.
Topology read_topology();

// "pack:2 numa:2 core:4 pu:2", as hwloc describes them. Fails for what it does not understand.
Result<Topology> synthetic_topology(const std::string& description);

}  // namespace parcompute
