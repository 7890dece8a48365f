// The protocol's version and the program's.
#pragma once

#include <cstdint>
#include <string_view>

namespace parcompute {

// Raised by a change that an older peer would misread. A peer outside [min, max] is refused by name of the side to
// upgrade.
inline constexpr std::uint32_t kWireVersion = 1;
inline constexpr std::uint32_t kMinWireVersion = 1;

inline constexpr std::string_view kProgramVersion = PARCOMPUTE_VERSION;

}  // namespace parcompute
