// Bits that nobody guesses or meets again.
#pragma once

#include <cstdint>

#include "common/base/error.h"

namespace parcompute {

// From the kernel's generator.
Result<std::uint64_t> random_word();

}  // namespace parcompute
