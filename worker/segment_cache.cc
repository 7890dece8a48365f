#include "worker/segment_cache.h"

#include <fmt/format.h>

namespace parcompute {

void SegmentCache::add(SegmentId id, UniqueFd fd) {
  segments_[id] = Segment{std::move(fd), {}, Access::kRead, 0, 0, {}};
}

void SegmentCache::forget(SegmentId id) {
  segments_.erase(id);
}

Result<SegmentCache::Mapped> SegmentCache::map(const wire::Operand& operand) {
  const auto found = segments_.find(SegmentId{operand.segment()});
  if (found == segments_.end())
    return fail(ErrorCode::kComputationFailed,
                fmt::format("this worker was not given the memory of '{}' (segment {})", operand.label(), operand.segment()));
  Segment& segment = found->second;
  const bool same_range = segment.data_offset == operand.data_offset() && segment.data_bytes == operand.data_bytes();
  const bool enough_access = segment.access == Access::kReadWrite || !operand.writable();
  if (segment.mapping.data() == nullptr || !same_range || !enough_access) {
    const Access access = operand.writable() ? Access::kReadWrite : Access::kRead;
    auto mapping = Mapping::map(segment.fd.get(), operand.data_offset(), operand.data_bytes(), access, operand.label());
    if (!mapping) return fail(mapping.error());
    segment.mapping = std::move(*mapping);
    segment.access = access;
    segment.data_offset = operand.data_offset();
    segment.data_bytes = operand.data_bytes();
  }
  segment.label = fmt::format("'{}'", operand.label());  // its memory may have been another array's when it was mapped
  return Mapped{segment.mapping.data(), segment.fd.get()};
}

const char* SegmentCache::label_of(const void* address) const {
  const auto* at = static_cast<const std::byte*>(address);
  for (const auto& [id, segment] : segments_) {
    const std::byte* first = segment.mapping.data();
    if (first != nullptr && first <= at && at < first + segment.data_bytes) return segment.label.c_str();
  }
  return nullptr;
}

}  // namespace parcompute
