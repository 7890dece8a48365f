// Effects: everything that the core can do to the world.
//
// The core decides by pure functions over its state; each decision that must leave it is a call here. server/io performs
// them, tests record them. None of them calls back into the core.
#pragma once

#include <chrono>
#include <cstdint>
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
  std::string name;  // in /dev/shm
};

struct WorkPacket {
  std::uint32_t slot = 0;
  std::span<const ChunkDescriptor> chunks;
  std::string_view description;             // empty: the worker has it in the slot
  std::span<const SegmentId> new_segments;  // whose descriptors go along
};

enum class SegmentName { kKeep, kUnlink };

class Effects {
 public:
  virtual ~Effects() = default;

  virtual Instant now() = 0;
  // Calls Reactor::on_wake then. One call is enough: a later one takes the place of an earlier one.
  virtual void wake_at(Instant when) = 0;

  // ---- segments: the core knows them by id; names and descriptors stay outside
  // Makes it and writes its header. Reserves its pages where that is quick (`reserve`).
  virtual Result<CreatedSegment> create_segment(const SegmentHeader& header, bool reserve) = 0;
  virtual void rewrite_header(SegmentId segment, const SegmentHeader& header) = 0;
  // Gives it up: tells `holders` to unmap it, and lets a worker, not this process, free its memory.
  virtual void drop_segment(SegmentId segment, SegmentName name, std::span<const WorkerIndex> holders) = 0;
  // Nobody but the server and its workers holds the segment, by a descriptor or a mapping, and all its pages are there.
  virtual bool is_reusable(SegmentId segment) = 0;
  virtual std::uint64_t shm_free_bytes() = 0;

  // ---- sessions
  // `descriptor`: the segment whose descriptor goes along; 0: none.
  virtual void reply(SessionId session, const wire::Reply& reply, SegmentId descriptor) = 0;

  // ---- workers
  virtual void send_work(WorkerIndex worker, const WorkPacket& packet) = 0;
  virtual void send_forget(WorkerIndex worker, std::span<const SegmentId> segments) = 0;
  virtual void fork_worker(WorkerIndex worker) = 0;
  // Ends a worker that broke the rules; its loss comes back as an event.
  virtual void kill_worker(WorkerIndex worker) = 0;

  // ---- the server: leave. Replies so far have been given to the kernel, but for those of peers that do not read.
  virtual void stop() = 0;
};

}  // namespace parcompute::server
