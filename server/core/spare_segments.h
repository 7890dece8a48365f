// SpareSegments: the segments of arrays that are gone, kept for their owner's next array of the same size. It finds its
// pages reserved already, and in the workers mapped: fresh ones cost about half a second a GiB.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "server/core/effects.h"

namespace parcompute::server {

struct SpareSegment {
  SegmentId segment;
  std::string name;  // CreatedSegment::name
  uid_t owner_uid = 0;
  std::uint64_t data_bytes = 0;
  Instant since{};
};

class SpareSegments {
 public:
  void add(SpareSegment spare);
  // The one that was put away last: its pages are the likeliest to be in a cache.
  std::optional<SpareSegment> take(uid_t owner_uid, std::uint64_t data_bytes);
  std::optional<SpareSegment> take_oldest();

  std::size_t size() const { return spares_.size(); }
  Instant oldest() const { return spares_.front().since; }

 private:
  std::deque<SpareSegment> spares_;  // oldest first
};

}  // namespace parcompute::server
