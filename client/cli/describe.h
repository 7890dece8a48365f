// What the server tells, as JSON and as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/cli/command.h"
#include "common/os/cpu_budget.h"

namespace parcompute::cli {

Value describe(const ArrayInfo& array);
Value describe(const JobInfo& job);
Value describe(const JobExplanation& explanation);
Value describe(const Status& status);
Value describe(const CpuBudget& budget);
Value describe_error(std::string_view code, std::string_view message, int exit_code);

// "queued", "running", ...
std::string_view state_name(JobState state);
// "cancelling", "failing": it ends when the blocks that workers have in hand are done.
std::string_view state_name(const JobInfo& job);

// "'a' (float64, 2000x2000)"
std::string array_label(const ArrayInfo& array);

// Columns, left-aligned but for those named in `right`; each row is a line.
std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& right = {});

}  // namespace parcompute::cli
