// How much memory arrays may take, as a person writes it.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/error.h"

namespace parcompute {

// An array takes two pages at least, and so does what a job notes down: less than this serves nobody.
inline constexpr std::uint64_t kLeastMemory = 64 * 1024;

// A size of at least kLeastMemory. Who writes a bare number seldom means bytes.
Result<std::uint64_t> parse_memory_limit(std::string_view text);

}  // namespace parcompute
