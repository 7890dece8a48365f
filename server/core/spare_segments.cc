#include "server/core/spare_segments.h"

#include <algorithm>

namespace parcompute::server {

void SpareSegments::add(SpareSegment spare) {
  spares_.push_back(std::move(spare));
}

std::optional<SpareSegment> SpareSegments::take(uid_t owner_uid, std::uint64_t data_bytes) {
  const auto found = std::find_if(spares_.rbegin(), spares_.rend(), [&](const SpareSegment& spare) {
    return spare.owner_uid == owner_uid && spare.data_bytes == data_bytes;
  });
  if (found == spares_.rend()) return std::nullopt;
  SpareSegment taken = std::move(*found);
  spares_.erase(std::next(found).base());
  return taken;
}

std::optional<SpareSegment> SpareSegments::take_oldest() {
  if (spares_.empty()) return std::nullopt;
  SpareSegment taken = std::move(spares_.front());
  spares_.pop_front();
  return taken;
}

}  // namespace parcompute::server
