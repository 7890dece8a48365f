// Recorder: Effects that note what the core did, and a clock that moves when told to.
//
// Tests build a state by events, send one more, and compare the notes with what they claim. Every test ends with
// nothing else noted: take() empties the notes, and the destructor insists that they are empty.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/core/reactor.h"

namespace parcompute::server {

class Recorder : public Effects {
 public:
  struct Work {
    WorkerIndex worker = 0;
    std::vector<ChunkDescriptor> chunks;
    wire::JobDescription description;
    bool has_description = false;
    std::vector<SegmentId> new_segments;
    std::chrono::microseconds limit{};
    bool is_answered_soon = false;
  };
  struct Reply {
    SessionId session;
    wire::Reply message;
    SegmentId descriptor;
    bool writable = false;  // the descriptor
  };

  ~Recorder() override {
    EXPECT_TRUE(replies.empty()) << replies.size() << " replies that the test did not expect; the first: "
                                 << replies.front().message.ByteSizeLong() << " bytes";
    EXPECT_TRUE(work.empty()) << work.size() << " packets of work that the test did not expect";
    EXPECT_TRUE(forked.empty()) << "workers were asked for";
    EXPECT_TRUE(killed.empty()) << "workers were killed";
    EXPECT_TRUE(dropped_sessions.empty()) << "sessions were ended";
    EXPECT_FALSE(stopped);
  }

  Instant now() override { return time; }
  Result<CreatedSegment> create_segment(const SegmentHeader& header, bool reserve) override {
    if (refuse_segments) return fail(*refuse_segments);
    const SegmentId id{++last_segment};
    segments[id] = header;
    if (reserve) reserved.insert(id);
    return CreatedSegment{id, fmt::format("segment-{}", id.value)};
  }
  void rewrite_header(SegmentId segment, const SegmentHeader& header) override { segments.at(segment) = header; }
  void drop_segment(SegmentId segment, SegmentName name, std::optional<WorkerIndex> closer) override {
    EXPECT_EQ(segments.erase(segment), 1u) << "segment " << segment.value << " dropped twice";
    dropped[segment] = {name, closer};
  }
  void unlink_segment(SegmentId segment) override { unlinked.insert(segment); }
  void watch(bool on) override { watches = on; }
  bool is_stopped(WorkerIndex worker) override { return stopped_workers.contains(worker); }
  Custody custody(SegmentId) override { return custody_told; }
  void wake_at(Instant when) override { wake_time = when; }
  Result<std::uint64_t> free_bytes() override { return shm_free; }
  Result<std::uint64_t> file_size(SegmentId file) override {
    const auto known = file_sizes.find(file);
    return known == file_sizes.end() ? std::uint64_t{1} << 40 : known->second;
  }
  void reply(SessionId session, const wire::Reply& message, HandedSegment handed) override {
    replies.push_back({session, message, handed.id, handed.writable});
  }
  void drop_session(SessionId session) override { dropped_sessions.push_back(session); }
  void send_work(WorkerIndex worker, const WorkPacket& packet) override {
    Work noted{worker, {packet.chunks.begin(), packet.chunks.end()}, {}, !packet.description.empty(),
               {packet.new_segments.begin(), packet.new_segments.end()}, packet.limit, packet.is_answered_soon};
    EXPECT_TRUE(noted.description.ParseFromArray(packet.description.data(), static_cast<int>(packet.description.size())));
    work.push_back(std::move(noted));
  }
  void send_forget(WorkerIndex worker, std::span<const SegmentId> ids) override {
    forgotten[worker].insert(forgotten[worker].end(), ids.begin(), ids.end());
  }
  void fork_worker(WorkerIndex worker) override { forked.push_back(worker); }
  void kill_worker(WorkerIndex worker) override { killed.push_back(worker); }
  void warn(std::string_view line) override { warnings.emplace_back(line); }
  void stop() override { stopped = true; }

  template <class T>
  static std::vector<T> take(std::vector<T>& notes) {
    return std::exchange(notes, {});
  }
  // The one reply that is there.
  wire::Reply take_reply() {
    EXPECT_EQ(replies.size(), 1u);
    if (replies.empty()) return {};
    const wire::Reply only = replies.front().message;
    replies.clear();
    return only;
  }

  Instant time{std::chrono::seconds(1)};
  Result<std::uint64_t> shm_free = std::uint64_t{1} << 40;
  std::map<SegmentId, std::uint64_t> file_sizes;  // of attached ones; others are long
  std::optional<Error> refuse_segments;
  std::uint64_t last_segment = 0;
  std::map<SegmentId, SegmentHeader> segments;
  std::set<SegmentId> reserved;
  Custody custody_told = Custody::kSpoiled;
  std::set<SegmentId> unlinked;
  std::optional<Instant> wake_time;
  struct Dropped {
    SegmentName name;
    std::optional<WorkerIndex> closer;
  };
  std::map<SegmentId, Dropped> dropped;
  std::map<WorkerIndex, std::vector<SegmentId>> forgotten;
  std::vector<Reply> replies;
  std::vector<SessionId> dropped_sessions;
  std::vector<Work> work;
  std::vector<WorkerIndex> forked;
  std::vector<WorkerIndex> killed;
  std::vector<std::string> warnings;
  bool watches = false;
  std::set<WorkerIndex> stopped_workers;
  bool stopped = false;
};

}  // namespace parcompute::server
