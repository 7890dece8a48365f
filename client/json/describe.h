// What the server tells, as JSON: the same keys for every program and language.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "client/cpp/job.h"
#include "client/cpp/session.h"
#include "common/os/cpu_budget.h"

namespace parcompute {

nlohmann::ordered_json describe(const ArrayInfo& array);
nlohmann::ordered_json describe(const JobInfo& job);
nlohmann::ordered_json describe(const JobExplanation& explanation);
nlohmann::ordered_json describe(const Status& status);
nlohmann::ordered_json describe(const CpuBudget& budget);

// "queued", "running", ...
std::string_view state_name(JobState state);
// "cancelling", "failing": it ends when the blocks that workers have in hand are done.
std::string_view state_name(const JobInfo& job);

}  // namespace parcompute
