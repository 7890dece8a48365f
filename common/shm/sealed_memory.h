// Sealed memory: memory that has no name in any directory and that nobody can make shorter or longer, not even who may write it.
//
// A segment in /dev/shm cannot be sealed: whoever may write it may also truncate it, under everyone else's feet. Sealed memory
// (memfd_create(2)) refuses that with EPERM; pages may still be given back by punching holes, which then read as zeros.
// Its mode is 0600: who was sent a read-only descriptor cannot open it again for writing through /proc.
//
// No directory bounds it: /dev/shm's size is not its limit, and what does not fit is answered by the out-of-memory killer.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

// New sealed memory of `bytes`, zeros, not reserved yet. `label` is for /proc. The descriptor's open file description is the only
// one, and a write lease on it is granted for as long as that is so (a memfd's first one gets none). kOverBudget, kCannotCreate.
Result<UniqueFd> create_sealed_memory(const char* label, std::uint64_t bytes);

struct SealedMemory {
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;
};
// What a descriptor from elsewhere is, where it is such memory of this user, to be read and written. kBadData: it is not.
Result<SealedMemory> inspect_sealed_memory(int fd, std::string_view subject);

}  // namespace parcompute
