// SegmentCache: the segments that this worker holds, and where they are mapped.
//
// The coordinator decides what is kept: it sends each segment's descriptor once, and says when to forget it. So a job
// on an array that the worker has seen costs no system call.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/os/unique_fd.h"
#include "common/shm/mapping.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

class SegmentCache {
 public:
  struct Mapped {
    std::byte* data = nullptr;  // first data byte; null where there are none
    int fd = -1;
  };

  void add(SegmentId id, UniqueFd fd);
  void forget(SegmentId id);

  // The data of an operand's segment, mapped writable where the operand is. The range is the segment's own: every
  // operand that names a segment names the same one.
  Result<Mapped> map(const wire::Operand& operand);

  // What the memory at an address is called; null where it is no segment's. For signal handlers, too.
  const char* label_of(const void* address) const;

 private:
  struct Segment {
    UniqueFd fd;
    Mapping mapping;
    Access access = Access::kRead;
    std::uint64_t data_offset = 0;
    std::uint64_t data_bytes = 0;
    std::string label;  // of the operand that it was mapped for
  };
  std::unordered_map<SegmentId, Segment> segments_;
};

}  // namespace parcompute
