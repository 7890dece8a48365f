#include "server/core/dispatcher.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "common/operation/operation.h"
#include "common/operation/reserve.h"
#include "proto/field_writer.h"
#include "proto/limits.h"
#include "server/core/chunk_sizing.h"

namespace parcompute::server {
namespace {

constexpr std::size_t kPacketsPerWorker = 2;
// Jobs looked at for one packet: the loop's work per event stays bounded, however many are queued.
constexpr std::size_t kJobsLookedAt = 64;
// Weight of the newest measurement in a job's time per block.
constexpr double kNewest = 0.25;
// Chunks shorter than this tell less of the others.
constexpr double kTellingNs = 2e6;
// A chunk counts as this much of its user's time at least, for it takes so much of the server's; and as no more than this
// until it is done and its time is known.
constexpr double kLeastNs = 1e3, kMostGuessNs = 1e10;

// A worker that somebody stopped holds its chunks and memory, and whoever waits for them, until somebody thinks of it.
constexpr unsigned kStoppedSeconds = 5;
// One that said it is ending, or was told to, and does not: its last moments (a core dump, say) last as long as the machine likes.
constexpr unsigned kLeavingSeconds = 10;
// Freeing memory takes 0.1 s a GiB.
constexpr unsigned kForgettingSeconds = 60;

// To wake a process that sleeps takes about so long.
constexpr double kSoonNs = 20e3;

// Those of other chunks are forgotten first where a job meets very many.
constexpr std::size_t kMostDeaths = 64;

void note_death(Death death, Job& job) {
  if (job.deaths.size() == kMostDeaths) job.deaths.erase(job.deaths.begin());
  job.deaths.push_back(std::move(death));
}

ChunkSizing sizing_of(const Job& job, unsigned workers) {
  return {job.fresh.left(), job.block_ns, workers, job.chunk_blocks, job.fresh.has_given_back()};
}

// Of a chunk that was cut in between, the rest is what ended one worker more.
bool contains(const BlockRange& whole, const BlockRange& part) {
  return whole.first <= part.first && part.first + part.count <= whole.first + whole.count;
}

// What the fair queue is told of it when it is handed out.
double charge_of(const Lease& lease) {
  return std::clamp(lease.expected_ns, kLeastNs, kMostGuessNs);
}

}  // namespace

void Dispatcher::admit(Job& job) {
  job.entry = &state_.queue_of(job).add(job.summary.owner_uid, job.session, job.id(), job.summary.priority);
}

void Dispatcher::forget(Job& job) {
  state_.queue_of(job).remove(*std::exchange(job.entry, nullptr));
}

void Dispatcher::enqueue(Job& job) {
  state_.queue_of(job).enqueue(*job.entry);
}

void Dispatcher::wait_for_memory(Job& job) {
  if (!std::exchange(job.waits_for_memory, true)) state_.waiting_for_memory.push_back(job.id());
}

void Dispatcher::resume_who_waited_for_memory() {
  const MemoryLedger& memory = state_.memory;
  if (state_.waiting_for_memory.empty() || std::exchange(freed_, memory.freed()) == memory.freed()) return;
  if (!memory.fits() && memory.bytes(MemoryState::kFreeing) > 0) return;
  for (const JobId id : std::exchange(state_.waiting_for_memory, {})) {
    Job* job = state_.jobs.find(id);
    if (job == nullptr) continue;
    job->waits_for_memory = false;
    if (job->has_blocks()) enqueue(*job);
  }
}

// A chunk found no memory, and there is some on its way, or some has come since it was handed out.
bool Dispatcher::put_off_for_memory(Job& job, const Lease& lease) {
  const MemoryLedger& memory = state_.memory;
  const bool is_coming = memory.bytes(MemoryState::kFreeing) > 0;
  if (lease.phase != 0 || job.state() != JobState::kRunning || (!is_coming && lease.freed == memory.freed())) return false;
  job.retries.push_back({lease.blocks, lease.attempt});
  if (is_coming) wait_for_memory(job);
  else enqueue(job);
  return true;
}

void Dispatcher::feed_all() {
  resume_who_waited_for_memory();
  // Others may wait for what a worker has to give back, as for its chunks.
  if (state_.memory.bytes(MemoryState::kFreeing) > 0) begin_watch(state_, effects_);
  // Idle workers first: a chunk is better in their hands than waiting in others'.
  for (const std::size_t packets : {std::size_t{0}, std::size_t{1}}) {
    for (Worker& worker : state_.workers) {
      if (state_.jobs_in_queue() == 0 && redos_ == 0) return;
      if (!worker.is_up() || worker.packets != packets) continue;
      if (Job* job = choose(worker)) send_packet(worker, *job);
    }
  }
}

void Dispatcher::feed_after(Worker& worker) {
  // What a parked worker gives back is others' to take.
  if (std::exchange(others_may_want_, false) || worker.is_parked) feed_all();
  else feed(worker);
}

void Dispatcher::feed(Worker& worker) {
  while (worker.is_up() && worker.packets < kPacketsPerWorker) {
    Job* job = choose(worker);
    if (job == nullptr) return;
    send_packet(worker, *job);
  }
}

// How long its leases will take, as far as known.
double Dispatcher::ns_in_hand(const Worker& worker) const {
  double sum = 0;
  for (const Lease& lease : worker.leases) sum += lease.expected_ns;
  return sum;
}

// Places that will take part in the job when their workers are back.
unsigned Dispatcher::places_with_redo(const Job& job) const {
  if (redos_ == 0 || job.max_workers == 0) return 0;
  return static_cast<unsigned>(std::count_if(state_.workers.begin(), state_.workers.end(), [&](const Worker& worker) {
    const auto is_of_job = [&](const Lease& lease) { return lease.job == job.id(); };
    return std::any_of(worker.redo.begin(), worker.redo.end(), is_of_job) && std::none_of(worker.leases.begin(), worker.leases.end(), is_of_job);
  }));
}

Job* Dispatcher::next_redo(Worker& worker) {
  for (; !worker.redo.empty(); worker.redo.pop_front(), --redos_) {
    Job* job = state_.jobs.find(worker.redo.front().job);
    if (job != nullptr && job->state() == JobState::kRunning) return job;
  }
  return nullptr;
}

bool Dispatcher::is_too_many(const Worker& worker, const Job& job) const {
  if (job.max_workers == 0) return false;
  const auto slot = worker.slot_of(job.id());
  const bool takes_part = slot && worker.slot_leases[*slot] > 0;
  return !takes_part && job.workers + places_with_redo(job) >= state_.workers_for(job);
}

// The job that is due, of those that have blocks for this worker.
Job* Dispatcher::choose(Worker& worker) {
  if (Job* job = next_redo(worker)) return job;
  if (worker.is_parked) return nullptr;
  std::size_t looked = 0;
  for (FairQueue* queue : {&state_.foreground, &state_.background}) {
    for (; looked < kJobsLookedAt; ++looked) {
      const auto id = queue->next();
      if (!id) break;
      Job& job = *state_.jobs.find(*id);
      // One that has all the workers that it may have is enqueued again when a chunk of it comes back.
      if (!job.has_blocks() || is_too_many(worker, job)) queue->dequeue(*job.entry);
      else return worker.packets == 0 || shall_prefetch(job, worker) ? &job : nullptr;
    }
  }
  return nullptr;
}

// Where only one job has blocks, its last ones are not prefetched: they go to whoever is done first. With several jobs no worker
// idles, and every worker holds two packets, as long as what comes next does not wait for too long behind them.
bool Dispatcher::shall_prefetch(const Job& job, const Worker& worker) const {
  const ChunkSizing sizing = sizing_of(job, state_.workers_for(job));
  const bool has_others = state_.jobs_in_queue() > 1;
  const std::uint64_t blocks = sizing.remaining_blocks == 0 ? job.retries.front().blocks.count : chunk_blocks(sizing);
  return fits_behind(sizing, blocks, ns_in_hand(worker)) && (has_others || leaves_enough(sizing, blocks));
}

void Dispatcher::send_packet(Worker& worker, Job& job) {
  Few<SegmentId> new_segments;
  std::string description;
  auto slot = worker.slot_of(job.id());
  if (!slot) {
    slot = worker.free_slot();
    worker.slots[*slot] = job.id();
    description = job.description;
    for (const SegmentId segment : job.segments) {
      if (worker.segments.contains(segment)) continue;
      new_segments.push_back(segment);
      append_number_field(wire::JobDescription::kNewSegmentsFieldNumber, segment.value, description);
    }
  }
  for (const SegmentId segment : job.segments) worker.segments.touch(segment);

  std::array<ChunkDescriptor, kMaxChunksPerPacket> chunks;
  const std::size_t count = take_chunks(worker, job, *slot, chunks);
  worker.leases[worker.leases.size() - count].first_in_packet = true;
  worker.leases.back().last_in_packet = true;
  double ns = 0;
  for (std::size_t lease = worker.leases.size() - count; lease < worker.leases.size(); ++lease) ns += charge_of(worker.leases[lease]);
  FairQueue& queue = state_.queue_of(job);
  queue.charge(*job.entry, ns);
  if (!job.has_blocks()) queue.dequeue(*job.entry);
  ++worker.packets;
  kWorkerLife.apply(worker.state, WorkerEvent::kLeased);
  begin_watch(state_, effects_);
  // Not where the worker might need the server's CPU, nor while others do.
  const bool is_answered_soon = ns <= kSoonNs && state_.jobs_in_queue() == 0 && state_.placement.allowed.size() > 1;
  effects_.send_work(worker.index, {*slot, std::span(chunks).first(count), packet_limit(state_.workers_for(job)), description, std::span(new_segments.data(), new_segments.size()), is_answered_soon});
  make_room(worker);
}

std::size_t Dispatcher::take_chunks(Worker& worker, Job& job, std::uint32_t slot, std::span<ChunkDescriptor> chunks) {
  if (!worker.redo.empty()) {
    // Alone in its packet, as other suspects are.
    const Lease again = worker.redo.front();
    worker.redo.pop_front();
    --redos_;
    chunks.front() = lease(worker, job, slot, again.blocks, again.attempt, again.id);
    return 1;
  }
  const auto least_tried = std::min_element(job.retries.begin(), job.retries.end(),
                                            [](const Job::Retry& a, const Job::Retry& b) { return a.attempt < b.attempt; });
  // A suspect comes after the fresh blocks: where something else strikes worker after worker, within milliseconds, it is
  // not the same chunk that meets it each time.
  if (least_tried != job.retries.end() && (least_tried->attempt == 1 || job.fresh.left() == 0)) {
    // Alone in its packet: if it ends its worker again, there is no doubt which chunk it was.
    const Job::Retry retry = *least_tried;
    job.retries.erase(least_tried);
    chunks.front() = lease(worker, job, slot, retry.blocks, retry.attempt, state_.next_lease());
    return 1;
  }
  const ChunkSizing sizing = sizing_of(job, state_.workers_for(job));
  const std::uint64_t blocks = chunk_blocks(sizing);
  std::uint64_t left = chunks_per_packet(sizing, blocks);
  const std::size_t node = state_.placement.node_of(worker.index).value_or(0);
  std::size_t count = 0;
  for (; left > 0 && job.fresh.left() > 0; --left) chunks[count++] = lease(worker, job, slot, job.fresh.take(node, blocks), 1, state_.next_lease());
  return count;
}

ChunkDescriptor Dispatcher::lease(Worker& worker, Job& job, std::uint32_t slot, BlockRange blocks, std::uint16_t attempt, std::uint64_t id) {
  const auto phase = static_cast<std::uint16_t>(job.phase);
  worker.leases.push_back({id, job.id(), blocks, phase, attempt, slot, false, false, expected_ns(job.block_ns, blocks.count, state_.workers_for(job)), state_.memory.freed()});
  if (worker.slot_leases[slot]++ == 0) ++job.workers;
  ++job.leases;
  return {id, job.id().value, blocks.first, blocks.count, slot, phase, attempt};
}

bool Dispatcher::watch_workers() {
  bool has_owing = false;
  for (Worker& worker : state_.workers) {
    if (worker.leases.empty() && worker.forgetting.empty()) continue;
    has_owing = true;
    // Leases and segments have numbers of their own, but what is owed next is one or the other for the whole of a second.
    const std::uint64_t owed = worker.leases.empty() ? worker.forgetting.front().value : worker.leases.front().id;
    if (std::exchange(worker.owes, owed) != owed) worker.seconds_in_hand = 0;
    else ++worker.seconds_in_hand;
    const bool was_ended = !worker.ended_for.empty();
    const bool is_leaving = worker.state == WorkerState::kLeaving && worker.seconds_in_hand >= kLeavingSeconds;
    const bool is_stopped = worker.is_up() && worker.seconds_in_hand >= kStoppedSeconds && effects_.is_stopped(worker.index);
    if (is_stopped) worker.ended_for = fmt::format("it had been stopped for {} s with {} in hand", worker.seconds_in_hand, worker.leases.empty() ? "memory to give back" : "a chunk");
    // It computes nothing, so it waits for a file system, to close an attached file.
    const bool is_stuck = worker.is_up() && worker.leases.empty() && worker.seconds_in_hand >= kForgettingSeconds;
    if (is_stuck) worker.ended_for = fmt::format("it had not let go of an array for {} s", worker.seconds_in_hand);
    if (!is_leaving && !is_stopped && !is_stuck) continue;
    // Once: one that waits for a disk stays for a while.
    if (is_leaving ? worker.seconds_in_hand == kLeavingSeconds : !was_ended) effects_.warn(fmt::format("worker {} (pid {}) is ended: {}{}", worker.index, worker.pid, is_leaving ? fmt::format("it was to leave, and had not for {} s", worker.seconds_in_hand) : worker.ended_for,
                              worker.leases.empty() ? "" : fmt::format(" (job {}, whose chunk is computed again)", worker.leases.front().job.value)));
    effects_.kill_worker(worker.index);
  }
  return has_owing;
}

void Dispatcher::make_room(Worker& worker) {
  std::vector<SegmentId> forgotten;
  while (worker.segments.size() > kMaxWorkerSegments) {
    const SegmentId oldest = worker.segments.oldest();
    worker.segments.erase(oldest);
    forgotten.push_back(oldest);
    // A job that still needs it gets its description, and the segment with it, once more. It has no lease here: the
    // segments of those were all used later than this one.
    for (JobId& slot : worker.slots) {
      const Job* job = state_.jobs.find(slot);
      if (job != nullptr && std::find(job->segments.begin(), job->segments.end(), oldest) != job->segments.end()) slot = {};
    }
  }
  if (forgotten.empty()) return;
  worker.forgetting.insert(worker.forgetting.end(), forgotten.begin(), forgotten.end());
  effects_.send_forget(worker.index, forgotten);
}

Job* Dispatcher::take_back(Worker& worker, std::uint64_t lease_id, std::uint64_t left, Lease& lease) {
  if (worker.leases.empty() || worker.leases.front().id != lease_id) return nullptr;
  // Of each packet something is done: one that never got anywhere would come for ever.
  const Lease& next = worker.leases.front();
  if (left > next.blocks.count || (left == next.blocks.count && next.first_in_packet)) return nullptr;
  lease = next;
  worker.leases.pop_front();
  if (lease.last_in_packet) --worker.packets;
  Job* job = state_.jobs.find(lease.job);
  PARCOMPUTE_INVARIANT(job != nullptr);  // a job lives as long as its leases
  release(worker, lease, *job);
  if (worker.leases.empty()) kWorkerLife.apply(worker.state, WorkerEvent::kLastLeaseReturned);
  return job;
}

void Dispatcher::release(Worker& worker, const Lease& lease, Job& job) {
  if (--worker.slot_leases[lease.slot] == 0) --job.workers;
  --job.leases;
  if (job.max_workers == 0 || !job.has_blocks()) return;
  // It had all the workers that it may have; another one may be free.
  enqueue(job);
  others_may_want_ = true;
}

void Dispatcher::settle_charge(Job& job, const Lease& lease, double ns) {
  state_.queue_of(job).settle(*job.entry, charge_of(lease), ns);
}

void Dispatcher::settle(const Job& job, Settled& settled) const {
  if (job.leases == 0 && (job.state() != JobState::kRunning || job.phase_is_done())) settled.push_back(job.id());
}

bool Dispatcher::on_completions(Worker& worker, std::span<const ChunkCompletion> completions, Settled& settled) {
  for (const ChunkCompletion& completion : completions) {
    Lease lease;
    Job* job = take_back(worker, completion.lease, completion.blocks_left, lease);
    if (job == nullptr) return false;
    settle_charge(*job, lease, std::max(static_cast<double>(completion.elapsed_ns), kLeastNs));
    const std::uint64_t done = lease.blocks.count - completion.blocks_left;
    if (done > 0) {
      ++worker.chunks_done;
      note_done(*job, lease, done, completion);
    }
    if (completion.blocks_left > 0) give_back(*job, lease, done);
    settle(*job, settled);
  }
  return true;
}

// The first blocks of a chunk: most often all of them.
void Dispatcher::note_done(Job& job, const Lease& lease, std::uint64_t blocks, const ChunkCompletion& completion) {
  JobSummary& summary = job.summary;
  ++state_.chunks_done;
  ++summary.chunks_done;
  summary.busy_ns += completion.elapsed_ns;
  if (job.phase >= job.counts_from) summary.blocks_done += blocks;
  // What has pages is missing from the free memory already.
  if (job.phase == 0) state_.memory.settle(job.promised_bytes, blocks * kReserveBlockBytes);
  const double measured = static_cast<double>(completion.elapsed_ns) / static_cast<double>(blocks);
  // A guess that was too low is forgotten at once: chunks would be too long.
  // One that a short chunk finds too high is not: the blocks at an edge may be a thousand times cheaper than the others.
  const bool is_first = job.phase_blocks_done == 0;
  const double newest = measured > job.block_ns ? kNewest : kNewest * std::min(1.0, lease.expected_ns / kTellingNs);
  job.block_ns = is_first && measured > job.block_ns ? measured : job.block_ns + newest * (measured - job.block_ns);
  job.phase_blocks_done += blocks;
  // The last block's, whichever comes in last; phases before the last one leave no value worth keeping.
  if (lease.blocks.first + blocks == job.phase_blocks[lease.phase]) summary.scalar = completion.value;
}

// What is left of a chunk that was cut. That is no fault of it, nor does it clear a suspect.
void Dispatcher::give_back(Job& job, const Lease& lease, std::uint64_t done) {
  const BlockRange left{lease.blocks.first + done, lease.blocks.count - done};
  if (lease.attempt > 1) {
    job.retries.push_back({left, lease.attempt});
  } else {
    // A packet's chunks most often lie one behind the other.
    job.fresh.give_back(left);
  }
  if (job.state() != JobState::kRunning) return;
  // Where nobody had any of its blocks, others may be idle.
  if (!job.entry->is_queued()) others_may_want_ = true;
  enqueue(job);
}

bool Dispatcher::on_chunk_failed(Worker& worker, const ChunkCompletion& completion, std::string_view text, Settled& settled) {
  Lease lease;
  Job* job = take_back(worker, completion.lease, 0, lease);
  if (job == nullptr) return false;
  settle_charge(*job, lease, std::max(static_cast<double>(completion.elapsed_ns), kLeastNs));
  const bool known = is_known_error_code(completion.error_code);
  // (Not where it ends its worker: what that lacked was memory of its own.)
  if (worker.is_up() && completion.error_code == static_cast<std::uint32_t>(ErrorCode::kOverBudget) && put_off_for_memory(*job, lease)) return true;
  if (!job->summary.error)
    job->summary.error = Error{known ? static_cast<ErrorCode>(completion.error_code) : ErrorCode::kComputationFailed, std::string(text), 0};
  kJobLife.apply(job->summary.state, JobEvent::kChunkFailed);
  settle(*job, settled);
  return true;
}

void Dispatcher::give_up(Job& job, const Lease& lease) const {
  DeathCertificate certificate{lease.phase, lease.blocks, slice_of_output(job.plan, lease.phase, lease.blocks.first, lease.blocks.count), {}};
  for (const Death& death : job.deaths)
    if (death.phase == lease.phase && contains(death.blocks, lease.blocks)) certificate.deaths.push_back(death);
  const std::string slice = certificate.slice.empty() ? "" : fmt::format(", which make {} of its output", certificate.slice);
  job.summary.error = Error{ErrorCode::kComputationFailed,
                            fmt::format("{} workers died computing blocks {} to {} of phase {} of job {} ({}){}; the last one {}; 'parcompute-client job show "
                                        "{}' tells how each of them ended",
                                        kMaxAttempts, lease.blocks.first, lease.blocks.first + lease.blocks.count - 1, lease.phase, job.id().value,
                                        job.summary.operation, slice, job.deaths.back().how, job.id().value),
                            0};
  effects_.warn(fmt::format("job {} has failed: {}", job.id().value, job.summary.error->message));
  job.summary.certificate = std::make_shared<const DeathCertificate>(std::move(certificate));
  kJobLife.apply(job.summary.state, JobEvent::kChunkFailed);
}

void Dispatcher::on_worker_lost(Worker& worker, const LostWorker& lost, Settled& settled) {
  const bool by_oom_killer = lost.by_oom_killer && worker.ended_for.empty();
  std::string how = lost.how;
  if (by_oom_killer) how += " by the kernel, for memory was short";
  if (!worker.ended_for.empty()) how += fmt::format(" by the server, for {}", worker.ended_for);
  // The first lease is the one that it was computing, where it did not name another; the others only waited.
  bool in_hand = !worker.named_its_chunk;
  std::vector<Lease> again;
  for (const Lease& lease : worker.leases) {
    Job& job = *state_.jobs.find(lease.job);
    release(worker, lease, job);
    settle_charge(job, lease, 0);  // nobody has anything of what it took
    const auto attempt = static_cast<std::uint16_t>(lease.attempt + in_hand);
    if (job.state() == JobState::kRunning) {
      if (in_hand) note_death({worker.index, worker.pid, how, worker.fault, lost.peak_bytes, by_oom_killer, lease.phase, lease.blocks}, job);
      if (attempt > kMaxAttempts) {
        give_up(job, lease);
      } else if (job.overwrites_operands()) {
        again.push_back(lease);
        again.back().attempt = attempt;
        ++job.summary.retries;
      } else {
        job.retries.push_back({lease.blocks, attempt});
        ++job.summary.retries;
        enqueue(job);
      }
    }
    in_hand = false;
    settle(job, settled);
  }
  // Before those that were not handed out again yet, whose numbers are higher.
  worker.redo.insert(worker.redo.begin(), again.begin(), again.end());
  redos_ += again.size();
  for (const SegmentId segment : worker.forgetting) state_.memory.on_answer(segment);  // it has let go of everything
  worker.forget_all();
  kWorkerLife.apply(worker.state, WorkerEvent::kLost);
  ++worker.replaced;
}

}  // namespace parcompute::server
