#include "common/base/memory_limit.h"

#include <fmt/format.h>

#include "common/base/units.h"

namespace parcompute {

Result<std::uint64_t> parse_memory_limit(std::string_view text) {
  auto bytes = parse_size(text);
  if (!bytes || *bytes >= kLeastMemory) return bytes;
  const bool is_bare = *bytes > 0 && text.find_first_not_of("0123456789") == std::string_view::npos;
  return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is {}, too little for arrays to be made in: {}at least {} is needed", text, format_bytes(*bytes),
                                                       is_bare ? fmt::format("did you mean '{0}M', or '{0}G'? ", text) : "", format_bytes(kLeastMemory)));
}

}  // namespace parcompute
