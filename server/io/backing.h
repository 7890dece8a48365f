// Backing: where the memory of segments comes from, and how the next server finds the arrays in it.
//
//   named   in /dev/shm, under names. A segment's first page describes its array, and the name is how the next server finds it:
//           after a crash, a stop, an upgrade. For a server of one user, who can harm but themselves.
//   sealed  memory without names that no client can make shorter. Whoever may write an array may write its first page too, so on
//           a server that several users share that page is not believed, nor written: the descriptions lie in a catalog of the
//           server's own, and it lies with the arrays' descriptors in systemd's descriptor store, which hands them to the next
//           server. They outlive a crash and a restart of the service, not its stop.
//
// SegmentStore has one of them and knows no more of it than this.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/shm/segment.h"
#include "common/shm/segment_header.h"
#include "server/io/systemd.h"

namespace parcompute::server {

enum class BackingKind { kNamed, kSealed };

// Its words for messages and for the memory budget.
struct BackingWords {
  std::string_view place;    // where memory is free, or not
  std::string_view remedy;   // what else than arrays may be taken away to have more
  bool in_dev_shm = false;
};
BackingWords words_of(BackingKind kind);

class Backing {
 public:
  virtual ~Backing() = default;

  // New memory of `size` bytes, not reserved yet, and what it is called. kCannotCreate, kOverBudget.
  virtual Result<NamedSegment> make(std::uint64_t size) = 0;
  // Remembers the array in it, in place of what was there before; one that has a name is found by the next server.
  virtual Result<void> describe(const NamedSegment& segment, const SegmentHeader& header) = 0;
  // The next server shall not find it.
  virtual void forget(const NamedSegment& segment) = 0;

  struct Found {
    NamedSegment segment;
    std::uint64_t size = 0;
    SegmentHeader header;
  };
  // Arrays that an earlier server left behind, checked. What else it left is taken away, with a word in the log; what a newer
  // server left is for one that can read it. An error where the system refused to tell: to serve without an array would be to give
  // its name away, so the server does not start, and whatever it did not get at is there for the next one.
  virtual Result<std::vector<Found>> take_over() = 0;

  // Of a segment's memory (segment_memory()), what lies in the segment itself before the data.
  virtual std::uint64_t own_pages() const = 0;
  // What segments can still be given.
  virtual Result<std::uint64_t> free_bytes() = 0;
};

// `prefix`: see segment_prefix(). `stored`: what systemd kept for this server, and `store_room`: how much it will; 0: nothing, or nobody
// would take it from there.
Result<std::unique_ptr<Backing>> make_backing(BackingKind kind, const std::string& prefix, std::vector<StoredDescriptor> stored, std::size_t store_room);

// Why there is no server, where it was refused something as it took over.
Error not_taken_over(const Error& refused);

// What holds wherever a header was found: it describes a named array, whose data lie where a server puts them.
Result<void> check_found(const SegmentHeader& header, std::string_view segment_name);

}  // namespace parcompute::server
