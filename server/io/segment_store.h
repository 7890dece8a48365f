// SegmentStore: the descriptors of segments and attached files, by id. It maps none of them. Where segments come from, and how the
// next server finds them again, is its Backing's business.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/os/unique_fd.h"
#include "common/shm/segment_header.h"
#include "server/core/effects.h"
#include "server/core/requests.h"
#include "server/io/backing.h"

namespace parcompute::server {

class SegmentStore {
 public:
  // `leaves_arrays`: to the next server, those that have a name.
  SegmentStore(std::unique_ptr<Backing> backing, bool leaves_arrays);

  Result<CreatedSegment> create(const SegmentHeader& header, bool reserve);
  Result<void> write_header(SegmentId id, const SegmentHeader& header) const;
  // Takes a descriptor that a client sent, and tells what it is.
  ReceivedFile add_file(UniqueFd fd, uid_t sender);
  // The descriptor, for whoever closes it. The name goes where `name` says so.
  struct Dropped {
    UniqueFd fd;
    std::optional<uid_t> sender;  // of a file
  };
  Dropped drop(SegmentId id, SegmentName name);
  int fd(SegmentId id) const;
  // A descriptor of its own for a client, so that custody() can tell when nobody out there has the segment any more; read-only
  // for one who may not write. Empty for a file, of which the client gets fd(). kOverBudget where there can be none.
  Result<UniqueFd> open_for_client(SegmentId id, bool writable);
  // Those of Effects.
  Custody custody(SegmentId id) const;
  void unlink(SegmentId id);
  Result<std::uint64_t> file_size(SegmentId id) const;

  struct Found {
    SegmentHeader header;
    CreatedSegment segment;
  };
  // Backing::take_over(), with ids.
  Result<std::vector<Found>> take_over();
  // Takes back the descriptor that it gave up where the table was full: whenever somebody asks for something, it may be so no more.
  void keep_headroom();
  // Backing::free_bytes().
  Result<std::uint64_t> free_bytes() { return backing_->free_bytes(); }

 private:
  struct Segment {
    NamedSegment memory;  // without a name: a file
    std::uint64_t size = 0;
    std::uint64_t data_bytes = 0;
    std::optional<uid_t> sender;  // of a file that a client sent
    bool is_forgotten = false;  // the next server does not find it
  };
  Result<NamedSegment> make_memory(std::uint64_t size);

  std::unique_ptr<Backing> backing_;
  bool leaves_arrays_;
  // Making a segment, and handing it to a client, takes two descriptors for a moment and one for good. The other one is kept for when
  // the table is full, so that room for one is room for a segment.
  UniqueFd headroom_;
  std::unordered_map<SegmentId, Segment> segments_;
  std::uint64_t last_id_ = 0;
};

}  // namespace parcompute::server
