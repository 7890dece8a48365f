// What an administrator allows each user, besides the server's own and root. Where nothing is said, see shares.h.
#pragma once

#include <cstdint>
#include <optional>

namespace parcompute::server {

struct ShareLimits {
  std::optional<std::uint64_t> bytes, arrays, jobs, sessions;
};

}  // namespace parcompute::server
