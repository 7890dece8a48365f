// Any bytes as what happens to a server: clients' packets, workers' packets, deaths, time. The core must come through with its
// books right: no job without an end, no memory without an owner, and nothing at all when it has left.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "common/base/invariant.h"
#include "proto/version.h"
#include "proto/worker_message.h"
#include "server/core/reactor.h"

namespace parcompute::server {
namespace {

constexpr unsigned kWorkers = 3;
constexpr uid_t kOwner = 1000;
constexpr std::size_t kMostSessions = 6;

// The world, as far as the core can see it.
class World : public Effects {
 public:
  struct Sent {
    std::uint64_t lease = 0;
    std::uint64_t blocks = 0;
    bool is_first = false;  // of its packet
  };

  Instant now() override { return time; }
  void wake_at(Instant) override { wakes = true; }
  void watch(bool on) override { watches = on; }
  Result<CreatedSegment> create_segment(const SegmentHeader&, bool) override {
    if (refuses) return fail(ErrorCode::kOverBudget, "no room");
    const SegmentId id{++last_segment};
    segments.insert(id);
    return CreatedSegment{id, "segment"};
  }
  void rewrite_header(SegmentId segment, const SegmentHeader&) override { PARCOMPUTE_INVARIANT(segments.contains(segment)); }
  void unlink_segment(SegmentId segment) override { PARCOMPUTE_INVARIANT(segments.contains(segment)); }
  void drop_segment(SegmentId segment, SegmentName, std::optional<WorkerIndex> closer) override {
    PARCOMPUTE_INVARIANT(segments.erase(segment) == 1);
    if (closer) ++forgets[*closer];
  }
  Custody custody(SegmentId segment) override {
    PARCOMPUTE_INVARIANT(segments.contains(segment));
    return custody_told;
  }
  Result<std::uint64_t> free_bytes() override { return shm_free; }
  Result<std::uint64_t> file_size(SegmentId file) override {
    PARCOMPUTE_INVARIANT(segments.contains(file));
    return std::uint64_t{refuses ? 200u : 4096u};
  }
  void reply(SessionId, const wire::Reply& reply, HandedSegment handed) override {
    PARCOMPUTE_INVARIANT(reply.ByteSizeLong() <= kMaxPacketBytes);
    PARCOMPUTE_INVARIANT(!handed.id || segments.contains(handed.id));
    if (reply.has_failed()) PARCOMPUTE_INVARIANT(!reply.failed().message().empty());
  }
  void drop_session(SessionId session) override { unwanted.push_back(session); }
  void send_work(WorkerIndex worker, const WorkPacket& packet) override {
    for (const SegmentId segment : packet.new_segments) PARCOMPUTE_INVARIANT(segments.contains(segment));
    PARCOMPUTE_INVARIANT(!packet.chunks.empty() && packet.slot < kJobSlots && packet.limit.count() > 0);
    for (const ChunkDescriptor& chunk : packet.chunks) {
      PARCOMPUTE_INVARIANT(chunk.block_count > 0 && chunk.block_count <= kMaxChunkBlocks);
      chunks[worker].push_back({chunk.lease, chunk.block_count, &chunk == packet.chunks.data()});
    }
  }
  void send_forget(WorkerIndex worker, std::span<const SegmentId> ids) override { forgets[worker] += ids.size(); }
  void fork_worker(WorkerIndex worker) override { forking.insert(worker); }
  bool is_stopped(WorkerIndex) override { return stopped; }
  void kill_worker(WorkerIndex worker) override { dying.insert(worker); }
  void warn(std::string_view) override {}
  void stop() override {}

  Instant time{std::chrono::seconds(1)};
  bool wakes = false, watches = false, refuses = false, stopped = false;
  Custody custody_told = Custody::kOurs;
  std::uint64_t shm_free = std::uint64_t{1} << 40;
  std::uint64_t last_segment = 0;
  std::set<SegmentId> segments;
  std::vector<SessionId> unwanted;
  std::map<WorkerIndex, std::deque<Sent>> chunks;
  std::map<WorkerIndex, std::size_t> forgets;
  std::set<WorkerIndex> forking, dying;
};

class Script {
 public:
  Script(const std::uint8_t* data, std::size_t size) : rest_(data, size) {
    ReactorOptions options;
    options.identity.uid = kOwner;
    options.placement.workers = kWorkers;
    options.memory_limit_bytes = std::uint64_t{1} << 28;
    options.memory_limit_source = "the fuzzer";
    options.max_arrays = 40;
    core_ = std::make_unique<Reactor>(options, world_);
    core_->start_workers();
    fork_all();
  }

  void run() {
    while (!rest_.empty()) {
      step(byte());
      kill_the_dying();
    }
    finish();
  }

 private:
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  std::span<const std::uint8_t> bytes() {
    const std::size_t wanted = byte() + std::size_t{256} * (byte() % 16);
    const auto taken = rest_.first(std::min(wanted, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  void step(std::uint8_t kind) {
    switch (kind % 16) {
      case 0: return open_session();
      case 1:
      case 2:
      case 3: return request();
      case 4:
      case 5: return answer(byte() % kWorkers, byte() % 8 + 1u);
      case 6: return cut(byte() % kWorkers, byte());
      case 7: return fail_chunk(byte() % kWorkers, byte());
      case 8: return lose(byte() % kWorkers);
      case 9: return forgotten(byte() % kWorkers);
      case 10: return pass_time(byte());
      case 11: return close_session();
      case 12: return allow(1 + byte() % kWorkers);
      case 13: return packet(byte() % kWorkers);
      case 14: world_.custody_told = static_cast<Custody>(byte() % 3); return;
      case 15:
        world_.refuses = byte() % 4 == 0;
        world_.stopped = byte() % 4 == 0;
        world_.shm_free = std::uint64_t{1} << (byte() % 41);
        return;
    }
  }

  void allow(unsigned workers) {
    Placement placement;
    placement.workers = workers;
    core_->on_placement(placement);
    fork_all();
  }
  void open_session() {
    static constexpr uid_t kUsers[] = {kOwner, 0, 2000, 2001};
    const std::uint8_t choice = byte();
    const uid_t uid = kUsers[choice % 4];
    if (sessions_.size() >= kMostSessions || !core_->check_session(uid)) return;
    const SessionId id{++last_session_};
    core_->on_session_opened(id, 1, uid);
    sessions_.push_back(id);
    if (choice >= 128) return;  // it says no hello
    wire::Request hello;
    hello.set_id(++last_request_);
    hello.mutable_hello()->set_min_version(kMinWireVersion);
    hello.mutable_hello()->set_max_version(kWireVersion);
    core_->on_request(id, hello, {});
  }
  void request() {
    const std::uint8_t who = byte();
    const auto packet = bytes();
    if (sessions_.empty()) return;
    wire::Request request;
    if (!request.ParseFromArray(packet.data(), static_cast<int>(packet.size()))) return;
    // Jobs of very many blocks are the same as others, and take long to end.
    if (request.submit_job().operation().nop().blocks() > 100'000) return;
    std::vector<ReceivedFile> files;
    if (request.has_attach_array() || who >= 250) {
      ReceivedFile file;
      file.segment = SegmentId{++world_.last_segment};
      world_.segments.insert(file.segment);
      file.is_regular = file.is_readable = true;
      file.is_writable = who % 2 == 0;
      file.size = 4096;
      file.identity = {1, who % std::uint64_t{4}};
      files.push_back(file);
    }
    core_->on_request(sessions_[who % sessions_.size()], request, files);
  }
  void answer(WorkerIndex worker, std::size_t count) {
    std::vector<ChunkCompletion> completions;
    auto& chunks = world_.chunks[worker];
    for (; count > 0 && !chunks.empty(); --count, chunks.pop_front()) completions.push_back({chunks.front().lease, 1000, 0, 0, {}});
    if (!completions.empty()) core_->on_completions(worker, completions);
  }
  // A packet's time is up in the middle of a chunk. (Of no block, or of more than there are, no worker tells the truth.)
  void cut(WorkerIndex worker, std::uint8_t done) {
    auto& chunks = world_.chunks[worker];
    std::vector<ChunkCompletion> completions;
    do {
      if (chunks.empty()) break;
      const World::Sent chunk = chunks.front();
      chunks.pop_front();
      const std::uint64_t left = done == 255 ? chunk.blocks + 1 : chunk.blocks - std::min<std::uint64_t>(chunk.blocks, done);
      completions.push_back({chunk.lease, 1000, 0, static_cast<std::uint32_t>(left), {}});
      done = 0;
    } while (!chunks.empty() && !chunks.front().is_first);
    if (!completions.empty()) core_->on_completions(worker, completions);
  }
  void fail_chunk(WorkerIndex worker, std::uint8_t how) {
    auto& chunks = world_.chunks[worker];
    if (chunks.empty()) return;
    const ChunkCompletion completion{chunks.front().lease, 1000, how % 32u, 0, {}};
    chunks.pop_front();
    if (how < 128) return core_->on_chunk_failed(worker, completion, "words");
    core_->on_last_words(worker, completion, "words");
    world_.dying.insert(worker);
  }
  void lose(WorkerIndex worker) {
    if (world_.forking.contains(worker)) return core_->on_fork_failed(worker, Error{ErrorCode::kSystem, "cannot fork", 0});
    world_.chunks[worker].clear();
    world_.forgets[worker] = 0;
    world_.dying.erase(worker);
    core_->on_worker_lost(worker, "was killed");
  }
  void kill_the_dying() {
    while (!world_.dying.empty()) {
      const WorkerIndex worker = *world_.dying.begin();
      if (world_.forking.contains(worker)) world_.dying.erase(worker);
      else lose(worker);
    }
  }
  void forgotten(WorkerIndex worker) {
    const std::size_t count = std::exchange(world_.forgets[worker], 0);
    if (count > 0) core_->on_forgotten(worker, count);
  }
  void pass_time(std::uint8_t seconds) {
    world_.time += std::chrono::seconds(seconds);
    if (std::exchange(world_.wakes, false)) core_->on_wake();
    if (world_.watches) core_->on_second();
    for (const SessionId id : std::exchange(world_.unwanted, {})) {
      std::erase(sessions_, id);
      core_->on_session_closed(id);
    }
  }
  void close_session() {
    if (sessions_.empty()) return;
    const std::size_t which = byte() % sessions_.size();
    const SessionId id = sessions_[which];
    sessions_.erase(sessions_.begin() + static_cast<std::ptrdiff_t>(which));
    core_->on_session_closed(id);
  }
  void fork_all() {
    for (const WorkerIndex worker : std::exchange(world_.forking, {})) {
      core_->on_worker_forked(worker, static_cast<pid_t>(100 + worker));
      core_->on_worker_ready(worker);
    }
  }
  // Any bytes from a worker: as the pool does, it is ended where they are against the rules.
  void packet(WorkerIndex worker) {
    const auto raw = bytes();
    static std::array<ChunkCompletion, kMaxChunksPerPacket> room;
    const auto message = decode_worker_message(std::as_bytes(raw), room);
    if (world_.forking.contains(worker)) return;
    if (!message) return lose(worker);
    switch (message->kind) {
      case CompletionKind::kReady: return;  // said twice: the pool does not pass it on
      case CompletionKind::kForgotten: world_.forgets[worker] = 0; core_->on_forgotten(worker, message->forgotten); break;
      case CompletionKind::kCompleted: core_->on_completions(worker, message->completions); break;
      case CompletionKind::kFailed: core_->on_chunk_failed(worker, message->completions.front(), message->words); break;
      case CompletionKind::kLastWords: core_->on_last_words(worker, message->completions.front(), message->words); break;
      case CompletionKind::kFault: core_->on_fault(worker, readable_backtrace(message->words)); break;
    }
    // Whatever it said, the world's notes of it are no longer right: it goes.
    world_.dying.insert(worker);
  }

  // All clients go, and the workers do what is left.
  void finish() {
    world_.custody_told = Custody::kOurs;
    world_.refuses = world_.stopped = false;
    for (const SessionId id : std::exchange(sessions_, {})) core_->on_session_closed(id);
    for (int idle = 0; idle < 3; ++idle) {
      fork_all();
      for (WorkerIndex worker = 0; worker < kWorkers; ++worker) {
        while (!world_.chunks[worker].empty()) {
          answer(worker, kMaxChunksPerPacket);
          idle = 0;
        }
        forgotten(worker);
      }
      kill_the_dying();
    }
    const State& state = core_->state();
    PARCOMPUTE_INVARIANT(state.jobs.live().empty() && state.sessions.empty() && state.jobs_in_queue() == 0 && state.deadlines.empty());
    PARCOMPUTE_INVARIANT(state.memory.promised_bytes() == 0 && state.memory.bytes(MemoryState::kFreeing) == 0);
    std::uint64_t named = 0;
    for (const auto& [id, array] : state.arrays.all()) {
      PARCOMPUTE_INVARIANT(!array.name.empty() && !array.removed && array.users == 0 && array.readers.empty() && array.writers.empty() && array.writing == 0);
      if (!array.is_file()) named += segment_memory(array.data_bytes);
    }
    PARCOMPUTE_INVARIANT(state.memory.bytes(MemoryState::kUsed) == named);
    core_->drop_arrays_at_exit();
    core_->shut_down();
    PARCOMPUTE_INVARIANT(world_.segments.empty() && state.memory.taken_bytes() == 0);
  }

  std::span<const std::uint8_t> rest_;
  World world_;
  std::unique_ptr<Reactor> core_;
  std::vector<SessionId> sessions_;
  std::uint64_t last_session_ = 0;
  std::uint64_t last_request_ = 0;
};

}  // namespace
}  // namespace parcompute::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Of what cannot be read there would be words without end.
  [[maybe_unused]] static const auto spoken = google::protobuf::SetLogHandler(nullptr);
  if (size > 20'000) return 0;
  parcompute::server::Script(data, size).run();
  return 0;
}
