#include "server/core/explanation.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/units.h"
#include "server/core/turns.h"

namespace parcompute::server {
namespace {

using wire::Obstacle;

// One job may wait for thousands.
constexpr int kMostObstacles = 100;

bool is_after(const Job& job, JobId other) {
  return std::find(job.after.begin(), job.after.end(), other) != job.after.end();
}

class Explainer {
 public:
  Explainer(const State& state, const Job& job, wire::JobExplained& message) : state_(state), job_(job), message_(message) {}

  void queued() {
    for (const JobId other : job_.waits_for)
      if (Obstacle* obstacle = add(Obstacle::UNSPECIFIED)) describe_wait(other, *obstacle);
  }

  void running() {
    const std::uint64_t blocks = job_.phase_blocks[job_.phase];
    std::uint64_t lost = 0;
    for (const Job::Retry& retry : job_.retries) lost += retry.blocks.count;
    for (const Worker& worker : state_.workers)
      for (const Lease& lease : worker.redo)
        if (lease.job == job_.id()) lost += lease.blocks.count;
    message_.set_phase(static_cast<std::uint32_t>(job_.phase));
    message_.set_phases(static_cast<std::uint32_t>(job_.plan.phases.size()));
    message_.set_phase_blocks(blocks);
    message_.set_phase_blocks_done(job_.phase_blocks_done);
    message_.set_blocks_in_hand(job_.fresh.handed_out() - lost - job_.phase_blocks_done);
    message_.set_workers(job_.workers);
    message_.set_most_workers(std::min(up(), state_.workers_for(job_)));
    message_.set_share(share());
    // What fails or is cancelled goes no further than the blocks in hand.
    if (job_.state() != JobState::kRunning) return;
    name_obstacle();
    estimate_end();
  }

 private:
  Obstacle* add(Obstacle::Cause cause) {
    message_.set_obstacle_count(message_.obstacle_count() + 1);
    if (message_.obstacles_size() == kMostObstacles) return nullptr;
    Obstacle& obstacle = *message_.add_obstacles();
    obstacle.set_cause(cause);
    return &obstacle;
  }

  void describe_wait(JobId other, Obstacle& obstacle) const {
    obstacle.set_job(other.value);
    if (is_after(job_, other)) return obstacle.set_cause(Obstacle::AFTER);
    const auto& arrays = state_.arrays.all();
    const Job& before = *state_.jobs.live().at(other);
    for (const UsedView& input : job_.inputs) {
      const Array& array = arrays.at(input.array);
      if (!array.writers.contains(other) || !waits_for_writer(input.view, before)) continue;
      obstacle.set_cause(Obstacle::OPERAND);
      return obstacle.set_array(array.label());
    }
    obstacle.set_cause(Obstacle::OUTPUT);
    obstacle.set_array(arrays.at(job_.summary.output).label());
  }

  // What keeps it from having more workers, the first of these.
  void name_obstacle() {
    const MemoryLedger& memory = state_.memory;
    const bool has_blocks = job_.has_blocks();
    if (job_.waits_for_memory) add(Obstacle::MEMORY)->set_bytes(memory.bytes(MemoryState::kFreeing));
    else if (up() == 0) add(Obstacle::NO_WORKER);
    else if (!has_blocks) add(message_.blocks_in_hand() > 0 ? Obstacle::BLOCKS : Obstacle::NO_WORKER);  // only what a dead worker was overwriting is left
    else if (job_.summary.background && state_.foreground.size() > 0) add(Obstacle::FOREGROUND);
    else if (job_.max_workers > 0 && job_.workers >= message_.most_workers()) add(Obstacle::WORKERS);
    else if (job_.workers < message_.most_workers()) add(Obstacle::SHARE);
  }

  void estimate_end() {
    const double workers = std::min(message_.share() * up(), static_cast<double>(message_.most_workers()));
    if (workers == 0 || job_.waits_for_memory) return;
    double ns = static_cast<double>(job_.phase_blocks[job_.phase] - job_.phase_blocks_done) * job_.block_ns;
    for (std::size_t phase = job_.phase + 1; phase < job_.phase_blocks.size(); ++phase)
      ns += static_cast<double>(job_.phase_blocks[phase]) * job_.plan.phases[phase - 1].block_ns;
    message_.set_seconds_left(ns * 1e-9 / workers);
  }

  unsigned up() const {
    return static_cast<unsigned>(std::count_if(state_.workers.begin(), state_.workers.end(), [](const Worker& worker) { return worker.takes_work(); }));
  }
  double share() const {
    if (job_.summary.background && state_.foreground.size() > 0) return 0;
    return state_.queue_of(job_).share(*job_.entry);
  }

  const State& state_;
  const Job& job_;
  wire::JobExplained& message_;
};

}  // namespace

std::string waiting_for(const State& state, const Job& job) {
  if (const std::string& failure = state.births.last_failure(); !failure.empty())
    return fmt::format("a worker: none is up, and those that were to come failed; the last time: {}", failure);
  for (const Worker& worker : state.workers) {
    const auto is_of_job = [&](const Lease& lease) { return lease.job == job.id(); };
    if (!worker.is_up() && std::any_of(worker.redo.begin(), worker.redo.end(), is_of_job))
      return fmt::format("worker {}, which is being started again, for what it was overwriting", worker.index);
  }
  if (job.waits_for_memory) return fmt::format("{} of removed arrays that workers are giving back", format_bytes(state.memory.bytes(MemoryState::kFreeing)));
  if (job.waits_for.empty()) return {};
  const JobId first = *job.waits_for.begin();
  return fmt::format("job {}, which {}", first.value, is_after(job, first) ? "it comes after" : job.makers.contains(first) ? "is making one of its operands" : "is using what it writes to");
}

void explain(const State& state, const Job& job, wire::JobExplained& message) {
  Explainer explainer(state, job, message);
  job.state() == JobState::kQueued ? explainer.queued() : explainer.running();
}

}  // namespace parcompute::server
