#include "server/core/job_options.h"

#include <algorithm>

#include <fmt/format.h>

#include "proto/limits.h"
#include "server/core/rights.h"

namespace parcompute::server {
namespace {

Result<void> take_priority(const State& state, const Session& session, const wire::SubmitJob& message, JobSummary& job) {
  const int priority = message.priority();
  if (priority < kMinPriority || priority > kMaxPriority)
    return fail(ErrorCode::kInvalidArgument, fmt::format("there is no priority {}: they go from {} (soonest) to {} (last)", priority, kMinPriority, kMaxPriority));
  if (priority < 0 && !may_do_all(state, session, state.identity.uid))
    return fail(ErrorCode::kNotPermitted, fmt::format("priority {} would put the job before other users' jobs, which is for root and the server's own user (uid {}); you are uid {}: "
                                                      "choose one from 0 to {}",
                                                      priority, state.identity.uid, session.uid, kMaxPriority));
  if (message.background() && priority != 0)
    return fail(ErrorCode::kInvalidArgument, fmt::format("a background job has no priority {}, for it comes after all others: leave one of the two away", priority));
  job.priority = priority;
  job.background = message.background();
  return {};
}

Result<void> take_time_limit(const wire::SubmitJob& message, JobSummary& job) {
  const double limit = message.time_limit_seconds();
  if (limit == 0) return {};
  if (!(limit > 0) || limit > kMaxTimeLimitSeconds)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} s are no time limit: give seconds above 0 and up to {}", limit, kMaxTimeLimitSeconds));
  using std::chrono::nanoseconds;
  job.time_limit = std::max(nanoseconds(1), std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(limit)));  // 0 is none
  return {};
}

Result<void> take_after(const State& state, const Session& session, const wire::SubmitJob& message, Job& job) {
  if (message.after_size() > static_cast<int>(kMaxAfter))
    return fail(ErrorCode::kInvalidArgument, fmt::format("a job comes after {} others at most, not {}", kMaxAfter, message.after_size()));
  for (const std::uint64_t number : message.after()) {
    const auto other = find_job(state, session, JobId{number});
    if (!other) return fail(other.error().code, fmt::format("the job cannot come after job {}: {}", number, other.error().message));
    const JobState ended = (*other)->state;
    if (ended == JobState::kFailed || ended == JobState::kCancelled)
      return fail(ErrorCode::kBadData, fmt::format("the job cannot come after job {} ({}), which {}: submit that one again, or leave it away", number, (*other)->operation,
                                                   ended == JobState::kFailed ? "failed" : "was cancelled"));
    if (!has_ended(ended) && std::find(job.after.begin(), job.after.end(), JobId{number}) == job.after.end()) job.after.push_back(JobId{number});
  }
  return {};
}

}  // namespace

Result<const JobSummary*> find_job(const State& state, const Session& session, JobId id) {
  const JobSummary* job = state.jobs.find_summary(id);
  if (job == nullptr)
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no job {}: 'parcompute-client job list' shows those there are (the last {} that ended are kept)", id.value, kMaxEndedJobs));
  if (!may_do_all(state, session, job->owner_uid))
    return fail(ErrorCode::kNotPermitted, fmt::format("job {} belongs to uid {}, and you are uid {}", id.value, job->owner_uid, session.uid));
  return job;
}

Result<void> take_options(const State& state, const Session& session, const wire::SubmitJob& message, Job& job) {
  if (auto ok = take_priority(state, session, message, job.summary); !ok) return ok;
  if (auto ok = take_time_limit(message, job.summary); !ok) return ok;
  if (auto ok = take_after(state, session, message, job); !ok) return ok;
  job.chunk_blocks = message.chunk_blocks();
  job.max_workers = message.max_workers();
  job.summary.detached = message.detach();
  return {};
}

}  // namespace parcompute::server
