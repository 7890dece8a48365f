// ArrayMode: what others than its owner may do with an array. As with files, but that there is one group: everybody whom the
// server admits.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/error.h"

namespace parcompute {

// Numbers are part of segment headers and of the protocol.
enum class ArrayMode : std::uint32_t { kPrivate = 0, kGroupRead = 1, kGroupWrite = 2 };

std::optional<ArrayMode> array_mode_from_number(std::uint32_t number);

// "private", "group-read", "group-write"
std::string_view name(ArrayMode mode);

// Those words, or 600, 640, 660. kInvalidArgument.
Result<ArrayMode> parse_array_mode(std::string_view text);

}  // namespace parcompute
