// What one user may take of the server's memory, arrays, jobs and sessions, so that nobody keeps the others out.
//
// The server's own user and root may take all there is. Each other user may take what the administrator allows
// (--user-memory and so on) or, where nothing is said, half of what all others leave: whoever comes next finds as much
// again. dbus-broker accounts so.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "common/base/error.h"
#include "server/core/state.h"

namespace parcompute::server {

// Each fails with kOverBudget where the user has its share already, and names both. `what`: "array 'x' (float64 (8,))".
Result<void> check_memory_share(const State& state, uid_t uid, std::uint64_t bytes, std::string_view what);
// One array, or scratch area of a job, more. Also where all users together have as many as there may be.
Result<void> check_array_share(const State& state, uid_t uid);
Result<void> check_job_share(const State& state, uid_t uid);
// Of one job for another, of all jobs: each costs some 150 bytes. The one that passes the limit may wait for as many as there are.
inline constexpr std::size_t kMaxWaits = std::size_t{1} << 20;
// Also where all users together have as many as there may be.
Result<void> check_waits_share(const State& state, uid_t uid);
Result<void> check_session_share(const State& state, uid_t uid);

}  // namespace parcompute::server
