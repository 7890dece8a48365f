#include "client/json/describe.h"

namespace parcompute {
namespace {

using Value = nlohmann::ordered_json;

Value text_or_null(const std::string& text) {
  return text.empty() ? Value() : Value(text);
}

std::string_view state_name(WorkerInfo::State state) {
  switch (state) {
    case WorkerInfo::State::kStarting:
      return "starting";
    case WorkerInfo::State::kIdle:
      return "idle";
    case WorkerInfo::State::kBusy:
      return "busy";
  }
  return "unknown";
}

std::string_view cause_name(Obstacle::Cause cause) {
  switch (cause) {
    case Obstacle::Cause::kUnknown:
      break;
    case Obstacle::Cause::kOperand:
      return "operand";
    case Obstacle::Cause::kOutput:
      return "output";
    case Obstacle::Cause::kAfter:
      return "after";
    case Obstacle::Cause::kMemory:
      return "memory";
    case Obstacle::Cause::kNoWorker:
      return "no_worker";
    case Obstacle::Cause::kShare:
      return "share";
    case Obstacle::Cause::kForeground:
      return "foreground";
    case Obstacle::Cause::kBlocks:
      return "blocks";
    case Obstacle::Cause::kWorkers:
      return "workers";
  }
  return "unknown";
}

Value describe(const DeathCertificate& certificate) {
  Value deaths = Value::array();
  for (const WorkerDeath& death : certificate.deaths)
    deaths.push_back({{"worker", death.worker},
                      {"pid", death.pid},
                      {"how", death.how},
                      {"fault", text_or_null(death.fault)},
                      {"peak_bytes", death.peak_bytes},
                      {"by_oom_killer", death.by_oom_killer}});
  return {{"phase", certificate.phase},
          {"first_block", certificate.first_block},
          {"block_count", certificate.block_count},
          {"slice", text_or_null(certificate.slice)},
          {"deaths", deaths}};
}

}  // namespace

std::string_view state_name(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kDone:
      return "done";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view state_name(const JobInfo& job) {
  if (!job.ending) return state_name(job.state);
  return *job.ending == JobState::kCancelled ? "cancelling" : "failing";
}

nlohmann::ordered_json describe(const ArrayInfo& array) {
  return {
      {"id", array.id},
      {"name", text_or_null(array.name)},
      {"dtype", name(array.dtype)},
      {"shape", array.shape},
      {"strides", array.strides},
      {"size", array.size()},
      {"nbytes", array.nbytes()},
      {"path", text_or_null(array.path)},
      {"segment", text_or_null(array.segment_name)},
      {"writable", array.writable},
      {"incomplete", array.incomplete},
      {"writer_job", array.writer_job != 0 ? Value(array.writer_job) : Value()},
      {"owner_uid", array.owner_uid},
      {"mode", name(array.mode)},
  };
}

nlohmann::ordered_json describe(const JobInfo& job) {
  Value error;
  if (job.error_code) error = {{"code", error_code_name(*job.error_code)}, {"message", job.error}};
  return {
      {"id", job.id},
      {"state", state_name(job)},
      {"operation", job.operation},
      {"expression", text_or_null(job.expression)},
      {"blocks_done", job.blocks_done},
      {"blocks_total", job.blocks_total},
      {"chunks", job.chunks_done},
      {"seconds", job.seconds},
      {"busy_seconds", job.busy_seconds},
      {"bytes_read", job.bytes_read},
      {"bytes_written", job.bytes_written},
      {"retries", job.retries},
      {"owner_uid", job.owner_uid},
      {"detached", job.detached},
      {"priority", job.priority},
      {"background", job.background},
      {"time_limit_seconds", job.time_limit_seconds ? Value(*job.time_limit_seconds) : Value()},
      {"waiting_for", text_or_null(job.waiting_for)},
      {"error", error},
      {"certificate", job.certificate ? describe(*job.certificate) : Value()},
  };
}

nlohmann::ordered_json describe(const JobExplanation& explanation) {
  Value obstacles = Value::array();
  for (const Obstacle& obstacle : explanation.obstacles)
    obstacles.push_back({{"cause", cause_name(obstacle.cause)},
                         {"job", obstacle.job != 0 ? Value(obstacle.job) : Value()},
                         {"array", text_or_null(obstacle.array)},
                         {"bytes", obstacle.bytes != 0 ? Value(obstacle.bytes) : Value()}});
  Value value{{"job", describe(explanation.job)}, {"obstacles", obstacles}, {"obstacle_count", explanation.obstacle_count}, {"running", Value()}};
  if (explanation.job.state != JobState::kRunning) return value;
  value["running"] = {{"phase", explanation.phase},
                      {"phases", explanation.phases},
                      {"phase_blocks", explanation.phase_blocks},
                      {"phase_blocks_done", explanation.phase_blocks_done},
                      {"blocks_in_hand", explanation.blocks_in_hand},
                      {"workers", explanation.workers},
                      {"most_workers", explanation.most_workers},
                      {"share", explanation.share},
                      {"seconds_left", explanation.seconds_left ? Value(*explanation.seconds_left) : Value()}};
  return value;
}

nlohmann::ordered_json describe(const Status& status) {
  Value workers = Value::array();
  for (const WorkerInfo& worker : status.workers)
    workers.push_back({{"id", worker.id},
                       {"pid", worker.pid != 0 ? Value(worker.pid) : Value()},
                       {"cpu", worker.cpu ? Value(*worker.cpu) : Value()},
                       {"state", state_name(worker.state)},
                       {"chunks", worker.chunks_done},
                       {"replaced", worker.replaced},
                       {"node", worker.node ? Value(*worker.node) : Value()},
                       {"parked", worker.parked}});
  Value users = Value::array();
  for (const UserUse& user : status.users)
    users.push_back({{"uid", user.uid}, {"memory_bytes", user.memory_bytes}, {"arrays", user.arrays}, {"jobs", user.jobs}, {"sessions", user.sessions}});
  return {
      {"server_pid", status.server_pid},
      {"forkserver_pid", status.forkserver_pid != 0 ? Value(status.forkserver_pid) : Value()},
      {"socket", status.socket},
      {"server", status.server},
      {"instance", status.instance},
      {"uptime_seconds", status.uptime_seconds},
      {"workers", workers},
      {"worker_limit", status.worker_limit == 0 ? Value() : Value(status.worker_limit)},
      {"worker_limit_source", text_or_null(status.worker_limit_source)},
      {"memory",
       {{"limit_bytes", status.memory_limit_bytes},
        {"used_bytes", status.memory_used_bytes},
        {"spare_bytes", status.memory_spare_bytes},
        {"held_bytes", status.memory_held_bytes},
        {"freeing_bytes", status.memory_freeing_bytes},
        {"limit_source", status.memory_limit_source}}},
      {"arrays", status.arrays},
      {"jobs",
       {{"queued", status.jobs_queued}, {"running", status.jobs_running}, {"ended", status.jobs_ended}}},
      {"chunks", status.chunks_done},
      {"sessions", status.sessions},
      {"users", users},
  };
}

nlohmann::ordered_json describe(const CpuBudget& budget) {
  Value sources = Value::array();
  for (std::size_t i = 0; i < budget.sources.size(); ++i) {
    const BudgetSource& source = budget.sources[i];
    sources.push_back({{"source", source.name},
                       {"cpus", source.value ? Value(*source.value) : Value()},
                       {"detail", text_or_null(source.detail)},
                       {"decided", i == budget.decided}});
  }
  return {{"cpus", budget.count}, {"affinity", budget.cpus}, {"sources", sources}};
}

}  // namespace parcompute
