#include "server/core/replies.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "common/base/utf8.h"
#include "common/operation/operation.h"
#include "proto/limits.h"
#include "proto/version.h"

namespace parcompute::server {
namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

wire::JobInfo::State wire_state(JobState state) {
  switch (state) {
    case JobState::kQueued: return wire::JobInfo::QUEUED;
    case JobState::kRunning:
    case JobState::kFailing:
    case JobState::kCancelling: return wire::JobInfo::RUNNING;
    case JobState::kDone: return wire::JobInfo::DONE;
    case JobState::kFailed: return wire::JobInfo::FAILED;
    case JobState::kCancelled: return wire::JobInfo::CANCELLED;
  }
  return wire::JobInfo::UNSPECIFIED;
}

// Those who have most of a server that very many share.
constexpr std::size_t kMostUsers = 100;

void describe_users(const State& state, wire::StatusReported& message) {
  std::map<uid_t, wire::UserUse> users;
  for (const auto& [id, session] : state.sessions) users[session.uid].set_sessions(users[session.uid].sessions() + 1);
  for (const auto& [id, array] : state.arrays.all())
    if (!array.removed) users[array.owner_uid].set_arrays(users[array.owner_uid].arrays() + 1);
  for (const auto& [id, job] : state.jobs.live()) users[job->summary.owner_uid].set_jobs(users[job->summary.owner_uid].jobs() + 1);
  for (const auto& [uid, share] : state.memory.shares())
    if (share.bytes > 0) users[uid].set_memory_bytes(share.bytes);  // of removed arrays, too, that somebody has open
  std::vector<wire::UserUse*> rows;
  for (auto& [uid, user] : users) {
    user.set_uid(uid);
    rows.push_back(&user);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const wire::UserUse* a, const wire::UserUse* b) { return a->memory_bytes() > b->memory_bytes(); });
  if (rows.size() > kMostUsers) rows.resize(kMostUsers);
  for (wire::UserUse* row : rows) *message.add_users() = std::move(*row);
}

}  // namespace

void describe(const Array& array, wire::ArrayInfo& message) {
  message.set_id(array.id.value);
  message.set_name(array.name);
  to_wire(array.spec, *message.mutable_spec());
  message.set_backing(array.is_file() ? wire::ArrayInfo::FILE : wire::ArrayInfo::SEGMENT);
  message.set_path(array.path);
  message.set_data_offset(array.data_offset);
  message.set_data_bytes(array.data_bytes);
  message.set_writable(array.writable);
  message.set_incomplete(array.state != ArrayState::kWhole);
  if (!array.writers.empty()) message.set_writer_job(array.writers.rbegin()->value);
  message.set_owner_uid(array.owner_uid);
  message.set_mode(static_cast<wire::ArrayInfo::Mode>(array.mode));
  message.set_segment_name(array.segment_name);
}

void describe(const JobSummary& job, Instant now, wire::JobInfo& message) {
  message.set_id(job.id.value);
  message.set_state(wire_state(job.state));
  if (job.state == JobState::kFailing) message.set_ending(wire::JobInfo::FAILED);
  if (job.state == JobState::kCancelling) message.set_ending(wire::JobInfo::CANCELLED);
  message.set_operation(job.operation);
  message.set_blocks_done(job.blocks_done);
  message.set_blocks_total(job.blocks_total);
  message.set_chunks_done(job.chunks_done);
  if (job.started != Instant{}) message.set_seconds(seconds((has_ended(job.state) ? job.ended : now) - job.started));
  message.set_busy_seconds(static_cast<double>(job.busy_ns) * 1e-9);
  message.set_bytes_read(job.bytes_read);
  message.set_bytes_written(job.bytes_written);
  if (job.error) describe(*job.error, *message.mutable_error());
  message.set_owner_uid(job.owner_uid);
  message.set_detached(job.detached);
  message.set_retries(job.retries);
  message.set_priority(job.priority);
  message.set_background(job.background);
  message.set_time_limit_seconds(seconds(job.time_limit));
}

void describe_with_expression(const JobSummary& job, Instant now, wire::JobInfo& message) {
  describe(job, now, message);
  message.set_expression(job.expression);
}

void describe(const DeathCertificate& certificate, wire::DeathCertificate& message) {
  message.set_phase(certificate.phase);
  message.set_first_block(certificate.blocks.first);
  message.set_block_count(certificate.blocks.count);
  message.set_slice(certificate.slice);
  for (const Death& death : certificate.deaths) {
    wire::Death& row = *message.add_deaths();
    row.set_worker(death.worker);
    row.set_pid(death.pid);
    row.set_how(death.how);
    row.set_fault(to_utf8(clip_utf8(death.fault, kMaxLastWords)));
    row.set_peak_bytes(death.peak_bytes);
    row.set_by_oom_killer(death.by_oom_killer);
  }
}

void describe(const Error& error, wire::Failed& message) {
  message.set_code(static_cast<std::uint32_t>(error.code));
  // Names of any length may be quoted in it.
  message.set_message(to_utf8(clip_utf8(error.message, kMaxErrorText)));
  message.set_system_errno(error.system_errno);
}

void describe(const State& state, Instant now, std::uint32_t first_worker, wire::StatusReported& message) {
  message.set_server_pid(state.identity.pid);
  message.set_forkserver_pid(state.identity.forkserver_pid);
  message.set_socket(state.identity.socket);
  message.set_instance(state.identity.instance);
  message.set_server(fmt::format("parcompute-server {}", kProgramVersion));
  message.set_uptime_seconds(seconds(now - state.identity.started));
  std::size_t bytes = 0;
  for (const Worker& worker : state.workers) {
    if (worker.index < first_worker) continue;
    wire::WorkerInfo& row = *message.add_workers();
    row.set_index(worker.index);
    row.set_pid(worker.pid);
    row.set_cpu(state.placement.cpu_of(worker.index).value_or(-1));
    if (const auto node = state.placement.node_of(worker.index)) row.set_node(*node);
    row.set_parked(worker.is_parked);
    row.set_chunks_done(worker.chunks_done);
    row.set_replaced(worker.replaced);
    switch (worker.state) {
      case WorkerState::kStarting:
      case WorkerState::kLeaving: row.set_state(wire::WorkerInfo::STARTING); break;
      case WorkerState::kIdle: row.set_state(wire::WorkerInfo::IDLE); break;
      case WorkerState::kBusy: row.set_state(wire::WorkerInfo::BUSY); break;
    }
    bytes += row.ByteSizeLong() + 4;
    if (bytes <= kListingBytes) continue;
    message.mutable_workers()->RemoveLast();
    message.set_more(true);
    break;
  }
  message.set_worker_limit(state.placement.workers);
  message.set_worker_limit_source(state.placement.limit_source);
  const MemoryLedger& memory = state.memory;
  message.set_memory_limit_bytes(memory.limits().bytes);
  message.set_memory_limit_source(memory.limits().source);
  message.set_memory_used_bytes(memory.bytes(MemoryState::kUsed));
  message.set_memory_spare_bytes(memory.bytes(MemoryState::kSpare));
  message.set_memory_held_bytes(memory.bytes(MemoryState::kHeld));
  message.set_memory_freeing_bytes(memory.bytes(MemoryState::kFreeing));
  message.set_arrays(state.arrays.size());
  std::uint64_t queued = 0;
  for (const auto& [id, job] : state.jobs.live()) queued += job->state() == JobState::kQueued;
  message.set_jobs_queued(queued);
  message.set_jobs_running(state.jobs.live().size() - queued);
  message.set_jobs_ended(state.jobs.ended_count());
  message.set_sessions(state.sessions.size());
  message.set_chunks_done(state.chunks_done);
  if (first_worker == 0) describe_users(state, message);
}

}  // namespace parcompute::server
