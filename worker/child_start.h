// The first lines of a worker's life, between fork and its loop.
#pragma once

#include <cstddef>
#include <span>

#include "common/base/ids.h"
#include "common/os/unique_fd.h"

namespace parcompute {

struct ChildStart {
  WorkerIndex index = 0;
  UniqueFd socket;  // to the coordinator
  std::span<std::byte> redo;  // of this place: for its RedoLog
};

// Called in the child; never returns. The caller has closed the forkserver's own descriptors.
[[noreturn]] void start_child(ChildStart start);

}  // namespace parcompute
