// SegmentStore: the descriptors of segments and attached files, by id. It maps none of them.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/os/unique_fd.h"
#include "common/shm/segment_header.h"
#include "server/core/effects.h"
#include "server/core/requests.h"

namespace parcompute::server {

class SegmentStore {
 public:
  // `prefix` of the names: see segment_prefix().
  explicit SegmentStore(std::string prefix) : prefix_(std::move(prefix)) {}

  Result<CreatedSegment> create(const SegmentHeader& header, bool reserve);
  Result<void> write_header(SegmentId id, const SegmentHeader& header) const;
  // Takes a descriptor that a client sent, and tells what it is.
  ReceivedFile add_file(UniqueFd fd);
  // The descriptor, for whoever closes it. The name goes where `name` says so.
  UniqueFd drop(SegmentId id, SegmentName name);
  int fd(SegmentId id) const;
  // A descriptor of its own for a client, so that is_reusable() can tell when nobody out there has the segment any more.
  // Empty where there can be none, or of a file: then the client gets fd(), and the segment is never reusable.
  UniqueFd open_for_client(SegmentId id);
  // Effects::is_reusable().
  bool is_reusable(SegmentId id) const;

  struct Found {
    SegmentHeader header;
    CreatedSegment segment;
  };
  // Named arrays that an earlier server of this instance left behind. What else it left is removed: nobody can find it.
  // Only the holder of the socket's lock may call this.
  std::vector<Found> take_over();

 private:
  struct Segment {
    UniqueFd fd;
    std::string name;  // empty: a file
    std::uint64_t size = 0;
    std::uint64_t data_bytes = 0;
    bool shared = false;  // somebody may have our own open file description
  };
  Result<Found> adopt(const std::string& name);

  std::string prefix_;
  std::unordered_map<SegmentId, Segment> segments_;
  std::uint64_t last_id_ = 0;
};

}  // namespace parcompute::server
