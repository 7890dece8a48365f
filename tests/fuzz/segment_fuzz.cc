// Any bytes as a segment's header page, as they are and with a check sum that is right: whoever may map a segment may
// also compute one. Refused, or an array inside its data that is written and read back as the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "common/base/invariant.h"
#include "common/shm/segment_header.h"

namespace {

using namespace parcompute;

// Of version 1, and of those after it.
constexpr std::size_t kFirstLayoutBytes = 832;
constexpr std::size_t kLayoutBytes = 848;
constexpr std::size_t kVersionAt = 16;
constexpr std::size_t kChecksumAt = 8;
constexpr std::uint64_t kSegmentSize = 1 << 20;

void set_checksum(SegmentHeaderPage& page) {
  const auto checksum = std::span(page).subspan(kChecksumAt, sizeof(std::uint64_t));
  std::fill(checksum.begin(), checksum.end(), std::byte{0});
  std::uint64_t hash = 0xcbf29ce484222325;
  const std::size_t length = page[kVersionAt] == std::byte{1} ? kFirstLayoutBytes : kLayoutBytes;
  for (const std::byte byte : std::span(page).first(length))
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  std::memcpy(checksum.data(), &hash, sizeof hash);
}

// Whether it was taken for a header.
bool decode(const SegmentHeaderPage& page) {
  const auto header = decode_segment_header(page, "fuzz", kSegmentSize);
  if (!header) {
    PARCOMPUTE_INVARIANT(header.error().code == ErrorCode::kBadData || header.error().code == ErrorCode::kUnsupported);
    return false;
  }
  PARCOMPUTE_INVARIANT(header->data_offset >= kSegmentHeaderBytes && header->data_offset <= kSegmentSize);
  PARCOMPUTE_INVARIANT(header->data_bytes <= kSegmentSize - header->data_offset);
  PARCOMPUTE_INVARIANT(check_spec(header->spec, header->data_bytes));
  const auto again = decode_segment_header(encode_segment_header(*header), "again", kSegmentSize);
  PARCOMPUTE_INVARIANT(again && again->spec == header->spec && again->name == header->name);
  PARCOMPUTE_INVARIANT(again->owner_uid == header->owner_uid && again->complete == header->complete);
  PARCOMPUTE_INVARIANT(again->data_offset == header->data_offset && again->data_bytes == header->data_bytes);
  PARCOMPUTE_INVARIANT(again->mode == header->mode && again->inode == header->inode);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SegmentHeaderPage page{};
  std::memcpy(page.data(), data, std::min(size, page.size()));
  decode(page);
  set_checksum(page);
  decode(page);
  return 0;
}
