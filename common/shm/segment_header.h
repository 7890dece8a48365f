// SegmentHeader: the first page of every segment, which describes the array in it.
//
// A coordinator that starts after a crash or an upgrade needs nothing else to have its arrays back. It reads headers with
// pread and believes them only after decode_segment_header has checked magic, version, check sum, lengths and reach:
// anybody who may map the segment may have written there.
//
// Layout, all little endian: see segment_header.cc. The data begin on a page boundary, for segments of 2 MiB and more on
// a 2 MiB boundary (so that huge pages fit where the machine gives them to shared memory); the gap stays a hole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/array/array_mode.h"
#include "common/array/array_spec.h"
#include "common/base/error.h"

namespace parcompute {

inline constexpr std::uint64_t kSegmentHeaderBytes = 4096;
inline constexpr std::uint64_t kHugePageBytes = 2 * 1024 * 1024;

struct SegmentHeader {
  ArraySpec spec;
  std::string name;  // of the array; empty: anonymous
  std::uint32_t owner_uid = 0;
  bool complete = false;  // false while the job that makes the array runs
  std::uint64_t data_offset = 0;
  std::uint64_t data_bytes = 0;
  ArrayMode mode = ArrayMode::kPrivate;
  std::uint64_t inode = 0;  // of the memory, where that lies apart from this page; 0: the page begins it
};

// Where the data of a segment begin, and how long the segment is in all.
std::uint64_t segment_data_offset(std::uint64_t data_bytes);
inline std::uint64_t segment_bytes(std::uint64_t data_bytes) {
  return segment_data_offset(data_bytes) + data_bytes;
}
// The memory that it takes, in whole pages: the hole before the data takes none.
inline std::uint64_t segment_memory(std::uint64_t data_bytes) {
  constexpr std::uint64_t kPage = 4096;
  return kSegmentHeaderBytes + (data_bytes + kPage - 1) / kPage * kPage;
}

using SegmentHeaderPage = std::array<std::byte, kSegmentHeaderBytes>;

SegmentHeaderPage encode_segment_header(const SegmentHeader& header);

// `page`: of this version, or of the one before, which knew no modes. `segment_name` for messages, `segment_size` in bytes as fstat tells.
// kBadData: it is no header. kUnsupported: it is one of a newer server's, or the damaged one of a named array, and what it describes must not be
// taken for rubbish.
Result<SegmentHeader> decode_segment_header(std::span<const std::byte> page, std::string_view segment_name,
                                            std::uint64_t segment_size);

}  // namespace parcompute
