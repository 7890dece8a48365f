#include "tests/simulator/node.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <limits>
#include <memory>
#include <queue>
#include <utility>

#include "common/base/invariant.h"
#include "proto/limits.h"
#include "proto/version.h"
#include "server/core/reactor.h"
#include "worker/pace.h"

namespace parcompute::simulate {
namespace {

using namespace server;
using Clock = std::chrono::steady_clock;

// As worker/worker_loop.cc has it.
constexpr double kFlushAfterNs = 1e6;
// A kernel's start, and reading the clock.
constexpr double kStepNs = 100;

class Node : public Effects {
 public:
  Node(const Load& load, const NodeOptions& options) : load_(load), options_(options), workers_(load.speeds.size()) {
    ReactorOptions core;
    core.placement.workers = static_cast<unsigned>(workers_.size());
    core.memory_limit_bytes = std::uint64_t{1} << 40;
    core.memory_limit_source = "the simulation";
    core_ = std::make_unique<Reactor>(core, *this);
    core_->start_workers();
    for (WorkerIndex index = 0; index < workers_.size(); ++index) {
      core_->on_worker_forked(index, static_cast<pid_t>(index + 1));
      core_->on_worker_ready(index);
    }
  }

  Outcome run() {
    submit_all();
    while (ended_jobs_ < load_.jobs.size()) {
      PARCOMPUTE_INVARIANT(!events_.empty());  // jobs are left, and nothing would ever happen
      const Event event = events_.top();
      events_.pop();
      begin_turn(event.time_ns);
      take_time([&] { serve(event); });
      end_turn();
    }
    double first_idle = std::numeric_limits<double>::infinity();
    for (const Worker& worker : workers_) {
      outcome_.makespan_ns = std::max(outcome_.makespan_ns, worker.free_at_ns);
      first_idle = std::min(first_idle, worker.free_at_ns);
    }
    outcome_.tail_ns = outcome_.makespan_ns - first_idle;
    outcome_.loop_busy = loop_busy_ns_ / outcome_.makespan_ns;
    return outcome_;
  }

  // ---- Effects
  Instant now() override { return instant(now_ns_); }
  void wake_at(Instant when) override { push({ns_of(when), Event::kWake, 0, 0}); }
  void watch(bool on) override {
    if (std::exchange(watches_, on) != on && on) push({now_ns_ + 1e9, Event::kSecond, 0, 0});
  }
  Result<CreatedSegment> create_segment(const SegmentHeader&, bool) override { return CreatedSegment{SegmentId{++last_segment_}, "simulated"}; }
  void rewrite_header(SegmentId, const SegmentHeader&) override {}
  void unlink_segment(SegmentId) override {}
  void drop_segment(SegmentId, SegmentName, std::optional<WorkerIndex>) override {}
  Custody custody(SegmentId) override { return Custody::kSpoiled; }
  Result<std::uint64_t> free_bytes() override { return std::uint64_t{1} << 40; }
  Result<std::uint64_t> file_size(SegmentId) override { return std::uint64_t{1} << 40; }
  void reply(SessionId, const wire::Reply& reply, HandedSegment) override {
    PARCOMPUTE_INVARIANT(!reply.has_failed());
    ended_jobs_ += reply.has_job_ended();
    spend(options_.loop_ns);
  }
  void drop_session(SessionId) override {}
  void send_work(WorkerIndex index, const WorkPacket& packet) override {
    const auto began = Clock::now();
    spend(options_.loop_ns);
    ++outcome_.packets;
    outcome_.chunks += packet.chunks.size();
    compute(index, packet);
    not_core_ += Clock::now() - began;
  }
  void send_forget(WorkerIndex, std::span<const SegmentId>) override {}
  void fork_worker(WorkerIndex) override {}
  bool is_stopped(WorkerIndex) override { return false; }
  void kill_worker(WorkerIndex) override { PARCOMPUTE_INVARIANT(false); }
  void warn(std::string_view) override {}
  void stop() override {}

 private:
  struct Event {
    enum Kind { kAnswer, kWake, kSecond };
    double time_ns = 0;
    Kind kind = kAnswer;
    WorkerIndex worker = 0;
    std::size_t answers = 0;  // of the worker, in order
    bool operator>(const Event& other) const { return time_ns > other.time_ns; }
  };
  struct Worker {
    double free_at_ns = 0;                // when it has done all that was sent to it
    std::deque<ChunkCompletion> answers;  // that did not arrive yet, in order
    std::array<Pace, kJobSlots> paces;    // of the jobs that it knows
  };

  static Instant instant(double ns) { return Instant(std::chrono::duration_cast<Instant::duration>(std::chrono::duration<double, std::nano>(ns))); }
  static double ns_of(Instant when) { return std::chrono::duration<double, std::nano>(when.time_since_epoch()).count(); }

  void push(Event event) { events_.push(event); }

  // ---- the loop: one event at a time, each when the one before is done with
  void begin_turn(double arrival_ns) {
    turn_began_ns_ = std::max(arrival_ns, loop_free_ns_);
    now_ns_ = turn_began_ns_;
    spend(options_.loop_ns);
  }
  void spend(double ns) { now_ns_ += ns; }
  void end_turn() {
    loop_busy_ns_ += now_ns_ - turn_began_ns_;
    loop_free_ns_ = now_ns_;
  }
  template <class Body>
  void take_time(Body body) {
    not_core_ = {};
    const auto began = Clock::now();
    body();
    outcome_.core_ns += std::chrono::duration<double, std::nano>(Clock::now() - began - not_core_).count();
  }

  void serve(const Event& event) {
    switch (event.kind) {
      case Event::kAnswer: {
        // A copy: the worker is given more while the core reads them.
        auto& waiting = workers_[event.worker].answers;
        answers_.assign(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(event.answers));
        waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(event.answers));
        return core_->on_completions(event.worker, answers_);
      }
      case Event::kWake: return core_->on_wake();
      case Event::kSecond:
        if (!watches_) return;
        push({event.time_ns + 1e9, Event::kSecond, 0, 0});
        return core_->on_second();
    }
  }

  void submit_all() {
    std::map<uid_t, SessionId> sessions;
    for (const JobLoad& job : load_.jobs) left_of_user_[job.uid] += job.blocks();
    for (std::size_t i = 0; i < load_.jobs.size(); ++i) {
      const JobLoad& job = load_.jobs[i];
      auto [session, is_new] = sessions.try_emplace(job.uid, SessionId{sessions.size() + 1});
      begin_turn(0);
      if (is_new) {
        core_->on_session_opened(session->second, 1, job.uid);
        wire::Request hello;
        hello.set_id(1);
        hello.mutable_hello()->set_min_version(kMinWireVersion);
        hello.mutable_hello()->set_max_version(kWireVersion);
        core_->on_request(session->second, hello, {});
        outcome_.ns_while_all_wanted[job.uid] = 0;
      }
      wire::Request request;
      request.set_id(i + 2);
      wire::Nop& nop = *request.mutable_submit_job()->mutable_operation()->mutable_nop();
      nop.set_blocks(job.blocks());
      nop.set_block_ns(options_.estimate * job.ns.back() / static_cast<double>(job.blocks()));
      request.mutable_submit_job()->set_chunk_blocks(options_.chunk_blocks);
      // The core numbers jobs from 1.
      take_time([&] { core_->on_request(session->second, request, {}); });
      end_turn();
    }
    all_want_ = true;
  }

  // ---- a worker: it computes one packet behind the other
  void compute(WorkerIndex index, const WorkPacket& packet) {
    Worker& worker = workers_[index];
    if (!packet.description.empty()) worker.paces[packet.slot] = {};
    double time = std::max(worker.free_at_ns, now_ns_ + options_.message_ns);
    const double limit = time + std::chrono::duration<double, std::nano>(packet.limit).count();
    double flushed = time;
    std::size_t unsaid = 0;
    for (const ChunkDescriptor& chunk : packet.chunks) {
      const bool is_begun = &chunk == &packet.chunks.front() || time < limit;
      ChunkCompletion completion = is_begun ? compute(index, chunk, time, limit) : untouched(chunk);
      worker.answers.push_back(completion);
      ++unsaid;
      time += static_cast<double>(completion.elapsed_ns);
      const bool is_last = &chunk == &packet.chunks.back();
      if (!is_last && (time - flushed < kFlushAfterNs || completion.blocks_left > 0)) continue;
      push({time + options_.message_ns, Event::kAnswer, index, std::exchange(unsaid, 0)});
      flushed = time;
    }
    worker.free_at_ns = time;
  }

  // In steps, as long as there is time.
  ChunkCompletion compute(WorkerIndex index, const ChunkDescriptor& chunk, double began, double limit) {
    const JobLoad& job = load_.jobs.at(chunk.job - 1);
    PARCOMPUTE_INVARIANT(chunk.first_block + chunk.block_count <= job.blocks());
    Pace& pace = workers_[index].paces[chunk.slot];
    double time = began;
    std::uint64_t done = 0;
    do {
      const std::uint64_t step = std::min(pace.step(), chunk.block_count - done), first = chunk.first_block + done;
      const double ended = load_.speeds[index].end_of(time, kStepNs + job.ns[first + step] - job.ns[first]);
      pace.note(step, ended - std::exchange(time, ended));
      done += step;
    } while (done < chunk.block_count && time < limit);
    note_share(job.uid, done, time - began);
    ChunkCompletion completion{};
    completion.lease = chunk.lease;
    completion.elapsed_ns = static_cast<std::uint64_t>(time - began);
    completion.blocks_left = static_cast<std::uint32_t>(chunk.block_count - done);
    return completion;
  }
  static ChunkCompletion untouched(const ChunkDescriptor& chunk) {
    ChunkCompletion completion{};
    completion.lease = chunk.lease;
    completion.blocks_left = static_cast<std::uint32_t>(chunk.block_count);
    return completion;
  }

  void note_share(uid_t uid, std::uint64_t blocks, double ns) {
    if (all_want_) outcome_.ns_while_all_wanted[uid] += ns;
    std::uint64_t& left = left_of_user_[uid];
    left -= blocks;
    if (left == 0) all_want_ = false;
  }

  const Load& load_;
  NodeOptions options_;
  std::vector<Worker> workers_;
  std::unique_ptr<Reactor> core_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::map<uid_t, std::uint64_t> left_of_user_;  // blocks that nobody has
  std::vector<ChunkCompletion> answers_;
  bool all_want_ = false;  // all have come, and nobody has everything
  bool watches_ = false;
  double now_ns_ = 0, turn_began_ns_ = 0, loop_free_ns_ = 0, loop_busy_ns_ = 0;
  Clock::duration not_core_{};
  std::uint64_t last_segment_ = 0;
  std::size_t ended_jobs_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome run(const Load& load, const NodeOptions& options) {
  return Node(load, options).run();
}

}  // namespace parcompute::simulate
