#include "client/cli/wait.h"

#include <chrono>

#include <fmt/format.h>

#include "client/cli/number_text.h"

namespace parcompute::cli {
namespace {

using Seconds = std::chrono::duration<double>;

// A cancelled job ends after the blocks that workers have in hand; nobody should have to wait longer for one
// that does not.
constexpr Seconds kCancelPatience{1};

void cancel_and_see_it_end(Job& job) {
  job.cancel();
  try {
    job.wait({}, kCancelPatience);
  } catch (const Failure&) {
    // Cancelled, as we wished, or late: its session ends with this program, and the job with it.
  }
}

}  // namespace

WatchedCall::WatchedCall(const Context& context)
    : bar_(context.flags.quiet ? ProgressWhen::kNever : context.flags.progress, stderr) {}

Job::Progress WatchedCall::callback() {
  return [this](const JobInfo& job) {
    if (guard_.pressed()) throw Interrupted{};
    bar_.update(job);
  };
}

void WatchedCall::finish(const JobInfo& job) {
  bar_.finish(job);
}

JobResult wait_for(const Context& context, Job& job, std::optional<double> timeout_seconds, GiveUp give_up) {
  std::optional<Seconds> timeout;
  if (timeout_seconds) timeout = Seconds(*timeout_seconds);
  WatchedCall watched(context);
  try {
    JobResult result = job.wait(watched.callback(), timeout);
    watched.finish(result.info);
    return result;
  } catch (const Interrupted&) {
    if (give_up == GiveUp::kLeaveJob)
      throw Failure(ErrorCode::kCancelled, "the wait was ended by Ctrl-C; the job goes on");
    const std::uint64_t id = job.id();
    cancel_and_see_it_end(job);
    throw Failure(ErrorCode::kCancelled, fmt::format("job {} was cancelled by Ctrl-C", id));
  } catch (const Failure& failure) {
    if (failure.code() != ErrorCode::kTimeout || give_up == GiveUp::kLeaveJob) throw;
    const std::uint64_t id = job.id();
    cancel_and_see_it_end(job);
    throw Failure(ErrorCode::kTimeout, fmt::format("job {} did not end within {} s and was cancelled", id,
                                                   measured_seconds(*timeout_seconds)));
  }
}

}  // namespace parcompute::cli
