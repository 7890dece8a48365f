#include "server/core/shares.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/units.h"
#include "proto/limits.h"

namespace parcompute::server {
namespace {

struct Use {
  std::uint64_t mine = 0, all = 0, total = 0;
};

// The user has more than its share, with what it wants now.
struct Excess {
  std::uint64_t share = 0;
  std::string_view rule;
};

std::optional<Excess> excess(const State& state, uid_t uid, const Use& use, std::uint64_t wanted, std::optional<std::uint64_t> allowed) {
  if (uid == 0 || uid == state.identity.uid) return std::nullopt;
  const std::uint64_t others = use.all - use.mine;
  const std::uint64_t share = allowed.value_or((use.total - std::min(use.total, others)) / 2);
  if (wanted <= share && use.mine <= share - wanted) return std::nullopt;
  return Excess{share, allowed ? "what each user may have" : "half of what other users leave"};
}

Result<void> check_count(const State& state, uid_t uid, std::string_view things, const Use& use, std::optional<std::uint64_t> allowed, std::string_view what_to_do) {
  const auto over = excess(state, uid, use, 1, allowed);
  if (!over) return {};
  return fail(ErrorCode::kOverBudget, fmt::format("uid {} has {} {}, and may have {} ({}): {}", uid, use.mine, things, over->share, over->rule, what_to_do));
}

}  // namespace

Result<void> check_memory_share(const State& state, uid_t uid, std::uint64_t bytes, std::string_view what) {
  const MemoryLedger::Share mine = state.memory.share_of(uid);
  const auto over = excess(state, uid, {mine.bytes, state.memory.taken_bytes(), state.memory.limits().bytes}, bytes, state.share_limits.bytes);
  if (!over) return {};
  const auto of_these = mine.held == 0 ? "" : fmt::format(", {} of them removed but still open in a program", mine.held);
  return fail(ErrorCode::kOverBudget,
              fmt::format("{} needs {}; uid {} has {} in {} segments{}, and may have {} ({}): remove some of your arrays with 'parcompute-client array rm', "
                          "or ask the administrator for more (--user-memory)",
                          what, format_bytes(bytes), uid, format_bytes(mine.bytes), mine.segments, of_these, format_bytes(over->share), over->rule));
}

Result<void> check_array_share(const State& state, uid_t uid) {
  // All that costs a descriptor, but for spare segments, which go when one is wanted.
  const std::uint64_t all = state.memory.segments(MemoryState::kUsed) + state.memory.segments(MemoryState::kHeld) + state.arrays.files();
  if (all >= state.max_arrays)
    return fail(ErrorCode::kOverBudget,
                fmt::format("there are {} arrays and scratch areas of jobs, the most that this server has open files for: remove some with 'parcompute-client array rm', or raise its "
                            "limit (LimitNOFILE=, ulimit -n)",
                            all));
  const std::uint64_t mine = state.memory.share_of(uid).segments + state.arrays.files_of(uid);
  return check_count(state, uid, "arrays and scratch areas of jobs", {mine, all, state.max_arrays}, state.share_limits.arrays,
                     "remove some with 'parcompute-client array rm', or ask the administrator for more (--user-arrays)");
}

Result<void> check_job_share(const State& state, uid_t uid) {
  return check_count(state, uid, "jobs waiting or running", {state.jobs.owned_by(uid), state.jobs.live().size(), kMaxLiveJobs}, state.share_limits.jobs,
                     "wait for some to end, or ask the administrator for more (--user-jobs)");
}

Result<void> check_waits_share(const State& state, uid_t uid) {
  constexpr std::string_view kWhatToDo = "wait for some to end before more are submitted";
  if (state.waits >= kMaxWaits)
    return fail(ErrorCode::kOverBudget, fmt::format("there are {} waits of one job for another, and {} is the most: {}", state.waits, kMaxWaits, kWhatToDo));
  return check_count(state, uid, "waits of one job for another", {state.waits_of.of(uid), state.waits, kMaxWaits}, std::nullopt, kWhatToDo);
}

Result<void> check_session_share(const State& state, uid_t uid) {
  return check_count(state, uid, "sessions", {state.sessions_of.of(uid), state.sessions.size(), kMaxSessions}, state.share_limits.sessions,
                     "close some, or ask the administrator for more (--user-sessions)");
}

}  // namespace parcompute::server
