// Strong identifiers: a job's number is not a worker's.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace parcompute {

template <class Tag>
struct Id {
  std::uint64_t value = 0;  // 0 names nothing

  explicit operator bool() const { return value != 0; }
  friend auto operator<=>(Id, Id) = default;
};

using ArrayId = Id<struct ArrayTag>;
using JobId = Id<struct JobTag>;
using SegmentId = Id<struct SegmentTag>;
using SessionId = Id<struct SessionTag>;

// A worker's place in the pool, 0 to N-1: a worker that replaces a dead one takes its number over.
using WorkerIndex = std::uint32_t;

}  // namespace parcompute

template <class Tag>
struct std::hash<parcompute::Id<Tag>> {
  std::size_t operator()(parcompute::Id<Tag> id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
