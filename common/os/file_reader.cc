#include "common/os/file_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace parcompute {
namespace {

// mountinfo grows with the mounts: a few hundred bytes each, thousands of them on container hosts.
constexpr std::size_t kMaxSmallFile = 16 * 1024 * 1024;

}  // namespace

Result<std::string> read_small_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail(system_error("open", path, errno));
  std::string text;
  std::array<char, 16384> piece;
  while (true) {
    const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(system_error("read", path, errno));
    }
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxSmallFile)
      return fail(ErrorCode::kBadData, fmt::format("'{}' is larger than {} bytes", path, kMaxSmallFile));
  }
}

}  // namespace parcompute
