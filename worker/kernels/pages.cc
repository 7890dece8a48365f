#include "worker/kernels/pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "common/base/checked.h"

namespace parcompute {

void free_pages_behind(const View& output, std::uint64_t bytes) {
  if (output.fd < 0) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t first = round_up(output.data_offset + output.spec.offset + bytes, page);
  const std::uint64_t end = output.data_offset + output.spec.offset + byte_count(output.spec);
  if (first >= end) return;
  // The last page ends behind the array, in its segment.
  [[maybe_unused]] const int refused =
      ::fallocate(output.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(first),
                  static_cast<off_t>(round_up(end, page) - first));
}

ScalarBytes length_bytes(std::uint64_t length) {
  ScalarBytes bytes{};
  static_assert(sizeof bytes >= sizeof length);
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes;
}

}  // namespace parcompute
