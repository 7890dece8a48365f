// Runs a program and takes its exit status over.
#pragma once

#include <string>
#include <vector>

namespace parcompute::cli {

// Runs `program` (found on PATH) in this process's group and waits for it. Signals that were sent to this
// process alone are passed on; those of the terminal reach the program by themselves. Returns its exit
// status, 128 + N where signal N ended it; where it cannot be started, 127 (no such program) or 126 after a
// line on standard error.
int run_program(const std::vector<std::string>& program);

}  // namespace parcompute::cli
