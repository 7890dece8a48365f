// Bytes, seconds and rates, read from and shown to people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace parcompute {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// "4096", "64k", "1.5GiB", "2G", "10MB". KiB, MiB, GiB, TiB and a bare k, M, G, T are powers of 1024; kB, MB, GB, TB
// powers of 1000. Refuses signs, unknown units and anything above 2^63.
Result<std::uint64_t> parse_size(std::string_view text);

// "17 B", "1.5 KiB", "1.0 GiB"
std::string format_bytes(std::uint64_t bytes);
// "12.3 us", "4.56 ms", "1.20 s", "2 min 05 s"
std::string format_seconds(double seconds);

}  // namespace parcompute
