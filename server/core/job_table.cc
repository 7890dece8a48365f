#include "server/core/job_table.h"

#include <algorithm>

#include "proto/limits.h"

namespace parcompute::server {

Job& JobTable::add(Job job) {
  job.summary.id = JobId{++last_id_};
  const JobId id = job.id();
  owned_.add(job.summary.owner_uid);
  return *live_.emplace(id, std::make_unique<Job>(std::move(job))).first->second;
}

std::uint64_t Job::answered_length() const {
  std::uint64_t length = 0;
  std::memcpy(&length, summary.scalar.data(), sizeof length);
  return std::min(length, static_cast<std::uint64_t>(plan.output->shape[0]));
}

std::size_t Job::writing_phase() const {
  // Of a result that is stored, the last one alone; of another one all but the first, which reserves.
  if (plan.pieces) return phase_blocks.size() - 1;
  if (plan.stored) return phase_blocks.size() - (element_count(plan.stored->spec) > 0 ? 1 : 0);
  return 1;
}

Job* JobTable::find(JobId id) {
  const auto found = live_.find(id);
  return found == live_.end() ? nullptr : found->second.get();
}

const JobSummary* JobTable::find_summary(JobId id) const {
  if (const auto found = live_.find(id); found != live_.end()) return &found->second->summary;
  const auto found = std::find_if(ended_.rbegin(), ended_.rend(), [&](const JobSummary& job) { return job.id == id; });
  return found == ended_.rend() ? nullptr : &*found;
}

void JobTable::end(JobId id) {
  const auto found = live_.find(id);
  PARCOMPUTE_INVARIANT(found != live_.end() && has_ended(found->second->state()));
  owned_.remove(found->second->summary.owner_uid);
  ended_.push_back(std::move(found->second->summary));
  live_.erase(found);
  ++ended_count_;
  if (ended_.size() > kMaxEndedJobs) ended_.pop_front();
}

}  // namespace parcompute::server
