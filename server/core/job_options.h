// What a client may ask for beside a job's operation: when it runs, after whom, for how long.
#pragma once

#include "common/base/error.h"
#include "proto/parcompute.pb.h"
#include "server/core/job_table.h"
#include "server/core/state.h"

namespace parcompute::server {

// A job that the session may know of and end, live or ended: its own user's, and all to root and the server's user.
Result<const JobSummary*> find_job(const State& state, const Session& session, JobId id);

// Writes them into the job, or says which of them cannot be.
Result<void> take_options(const State& state, const Session& session, const wire::SubmitJob& message, Job& job);

}  // namespace parcompute::server
