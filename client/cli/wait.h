// Waiting for a job with a progress bar, a time limit and Ctrl-C.
#pragma once

#include <optional>

#include "client/cli/command.h"
#include "client/cli/interrupt.h"

namespace parcompute::cli {

// What becomes of the job when the wait ends early, by Ctrl-C or by the time limit.
enum class GiveUp { kCancelJob, kLeaveJob };

// Throws Failure: the job's own, kTimeout, or kCancelled after Ctrl-C.
JobResult wait_for(const Context& context, Session& session, Job& job, std::optional<double> timeout_seconds, GiveUp give_up);

// The same bar and the same Ctrl-C for a call that takes a progress callback. Ctrl-C throws Interrupted out
// of it.
class WatchedCall {
 public:
  explicit WatchedCall(const Context& context);
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;

  Job::Progress callback();
  void finish(const JobInfo& job);  // shows the end

 private:
  InterruptGuard guard_;
  ProgressBar bar_;
};

}  // namespace parcompute::cli
