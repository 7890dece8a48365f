// Effects: everything that the core can do to the world.
//
// The core decides by pure functions over its state; each decision that must leave it is a call here. server/io performs
// them, tests record them. None of them calls back into the core.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/shm/segment_header.h"
#include "proto/descriptor.h"
#include "proto/parcompute.pb.h"

namespace parcompute::server {

using Instant = std::chrono::steady_clock::time_point;

struct CreatedSegment {
  SegmentId id;
  std::string name;  // in /dev/shm, or of memory that has no name in any directory
};

struct WorkPacket {
  std::uint32_t slot = 0;
  std::span<const ChunkDescriptor> chunks;
  std::chrono::microseconds limit{};        // behind which they are cut
  std::string_view description;             // empty: the worker has it in the slot
  std::span<const SegmentId> new_segments;  // whose descriptors go along
  bool is_answered_soon = false;            // before a process that sleeps would be awake, and nobody else has work: worth looking out for
};

enum class SegmentName { kKeep, kUnlink };

// Who has a segment besides the server and its workers.
enum class Custody {
  kOurs,     // nobody, and all its pages are there
  kHeld,     // somebody, by a descriptor or a mapping
  kSpoiled,  // nobody, but it is not what it was; or that cannot be told
};

// A segment whose descriptor goes to a client: a read-only one where it may not write. Without an id: none.
struct HandedSegment {
  SegmentId id;
  bool writable = false;
};

class Effects {
 public:
  virtual ~Effects() = default;

  virtual Instant now() = 0;
  // Calls Reactor::on_wake then. One call is enough: a later one takes the place of an earlier one.
  virtual void wake_at(Instant when) = 0;

  // Calls Reactor::on_second every second from now on, or no more.
  virtual void watch(bool on) = 0;

  // ---- segments: the core knows them by id; names and descriptors stay outside
  // Makes it and writes its header. Reserves its pages where that is quick (`reserve`).
  virtual Result<CreatedSegment> create_segment(const SegmentHeader& header, bool reserve) = 0;
  virtual void rewrite_header(SegmentId segment, const SegmentHeader& header) = 0;
  // Nobody finds it any more, the next server neither.
  virtual void unlink_segment(SegmentId segment) = 0;
  // Gives it up. Where it is the last to have it, this frees the memory, which takes its time: `closer` is then a worker that
  // does it, and answers as to send_forget.
  virtual void drop_segment(SegmentId segment, SegmentName name, std::optional<WorkerIndex> closer) = 0;
  virtual Custody custody(SegmentId segment) = 0;
  // What segments can still be given, also to other programs. An error where the system does not tell.
  virtual Result<std::uint64_t> free_bytes() = 0;
  // How long an attached file is now, as far as that can be told without waiting for its file system.
  virtual Result<std::uint64_t> file_size(SegmentId file) = 0;

  // ---- sessions
  // With `handed`'s descriptor. Where that cannot be had, a refusal goes instead.
  virtual void reply(SessionId session, const wire::Reply& reply, HandedSegment handed) = 0;
  // Closes its connection, behind what was sent on it. Its end comes back as an event.
  virtual void drop_session(SessionId session) = 0;

  // ---- workers
  virtual void send_work(WorkerIndex worker, const WorkPacket& packet) = 0;
  // To unmap them. When it has, Reactor::on_forgotten comes back, in the order of such messages.
  virtual void send_forget(WorkerIndex worker, std::span<const SegmentId> segments) = 0;
  virtual void fork_worker(WorkerIndex worker) = 0;
  // By a signal, as Ctrl-Z stops a program; not by a debugger.
  virtual bool is_stopped(WorkerIndex worker) = 0;
  // Ends a worker that broke the rules, or that goes no further; its loss comes back as an event.
  virtual void kill_worker(WorkerIndex worker) = 0;

  // ---- a line for the log: what was decided, and why, that no answer tells whoever keeps the server
  virtual void warn(std::string_view line) = 0;

  // ---- the server: leave. Replies so far have been given to the kernel, but for those of peers that do not read.
  virtual void stop() = 0;
};

}  // namespace parcompute::server
