#include "common/os/unique_fd.h"

#include <unistd.h>

namespace parcompute {

void UniqueFd::reset(int fd) {
  // EINTR from close leaves the descriptor closed on Linux: never repeat it.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace parcompute
