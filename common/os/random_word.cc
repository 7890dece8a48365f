#include "common/os/random_word.h"

#include <sys/random.h>

#include <cerrno>

#include "common/os/system_error.h"

namespace parcompute {

Result<std::uint64_t> random_word() {
  std::uint64_t word = 0;
  while (::getrandom(&word, sizeof word, 0) != static_cast<ssize_t>(sizeof word)) {
    if (errno != EINTR) return fail(system_error("read", "getrandom", errno));
  }
  return word;
}

}  // namespace parcompute
