// How many processes of this one's control group the kernel has killed for memory.
#pragma once

#include <cstdint>
#include <optional>

#include "common/os/file_reader.h"

namespace parcompute {

// Since the group began; nothing where no group counts. Of version 2 memory.events has it, of version 1 memory.oom_control.
std::optional<std::uint64_t> oom_kills(const FileReader& read_file);

}  // namespace parcompute
