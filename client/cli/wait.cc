#include "client/cli/wait.h"

#include <chrono>

#include <fmt/format.h>

#include "client/cli/number_text.h"

namespace parcompute::cli {
namespace {

using Seconds = std::chrono::duration<double>;

// A cancelled job ends after the blocks that workers have in hand; nobody should have to wait longer for one
// that does not, or for a server that does not answer.
constexpr std::chrono::milliseconds kCancelPatience{1000};

// Returns its id.
std::uint64_t cancel_and_see_it_end(Session& session, Job& job) {
  session.set_patience(kCancelPatience);
  const std::uint64_t id = job.id();
  job.cancel();
  try {
    job.wait({}, kCancelPatience);
  } catch (const Failure&) {
    // Cancelled, as we wished, or late: its session ends with this program, and the job with it.
  }
  return id;
}

// `fate`: what became of the job; `cause`: why it was given up, where the server cannot be told so.
[[noreturn]] void give_up_job(Session& session, Job& job, ErrorCode code, const std::string& fate, const std::string& cause) {
  std::uint64_t id = 0;
  try {
    id = cancel_and_see_it_end(session, job);
  } catch (const Failure& failure) {
    if (failure.code() != ErrorCode::kTimeout) throw;
    throw Failure(code, fmt::format("{}; it is cancelled when its server hears of that: {}", cause, failure.what()));
  }
  throw Failure(code, fmt::format("job {} {}", id, fate));
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

JobResult wait_for(const Context& context, Session& session, Job& job, std::optional<double> timeout_seconds, GiveUp give_up) {
  std::optional<Seconds> timeout;
  if (timeout_seconds) timeout = Seconds(*timeout_seconds);
  const auto start = std::chrono::steady_clock::now();
  WatchedCall watched(context);
  try {
    JobResult result = job.wait(watched.callback(), timeout);
    watched.finish(result.info);
    return result;
  } catch (const Interrupted&) {
    if (give_up == GiveUp::kLeaveJob)
      throw Failure(ErrorCode::kCancelled, "the wait was ended by Ctrl-C; the job goes on");
    give_up_job(session, job, ErrorCode::kCancelled, "was cancelled by Ctrl-C", "the job was given up by Ctrl-C");
  } catch (const Failure& failure) {
    // A server that does not answer is given up before the time limit, too.
    const bool is_late = failure.code() == ErrorCode::kTimeout && timeout && std::chrono::steady_clock::now() - start >= *timeout;
    if (!is_late || give_up == GiveUp::kLeaveJob) throw;
    const std::string limit = fmt::format("did not end within {} s", measured_seconds(*timeout_seconds));
    give_up_job(session, job, ErrorCode::kTimeout, limit + " and was cancelled", "the job " + limit);
  }
}

}  // namespace parcompute::cli
