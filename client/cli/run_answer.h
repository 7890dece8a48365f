// What a job answered: for JSON, for standard output, and the line of figures that follows a run.
#pragma once

#include <string>

#include "client/cli/command.h"

namespace parcompute::cli {

// {"job", "operation", "state", "result", "dtype", "seconds", "chunks", "bytes_read", "bytes_written",
// "retries"}: result is a scalar's value, the output array's description, or null.
Value describe_result(const JobResult& result);

// The scalar, or the output's name, alone on its line.
std::string print_result(const Answer& answer);
// The scalar alone on its line; nothing for an array, which the user has named.
std::string print_scalar(const Answer& answer);

// "0.183 s, 48 chunks, 3.50 Mpoint/s": `work` in units per job; 0 leaves the rate out.
std::string figures(const JobInfo& job, double work, std::string_view unit);

}  // namespace parcompute::cli
