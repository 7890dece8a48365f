// Starting another program.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

// Sees to it that 0, 1 and 2 are taken, by what cannot be read or written where they were closed: a file or socket that came to lie there
// would get what is meant for them. To be called before anything is opened.
void occupy_standard_streams();

struct SpawnOptions {
  std::vector<int> inherited;       // descriptors that the program keeps, under the same numbers
  std::optional<int> error_output;  // becomes its standard error
  bool null_input_output = true;    // standard input and output are /dev/null
  bool new_session = false;         // setsid: no signal of the terminal reaches it
  std::vector<std::string> environment;  // "NAME=value", in place of or beside this process's
};

// posix_spawn: safe whatever threads and libraries the calling process has. The caller reaps it.
Result<pid_t> spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                    const SpawnOptions& options);

// Finds a sibling program of this project: the variable `override_variable`, the folder of this program (before it that of the
// shared library that this code is part of), ../libexec/parcompute beside it, ../bin, and PATH, in this order.
Result<std::filesystem::path> find_program(const std::string& name, const char* override_variable);

// Whether a process was stopped (SIGSTOP) and not told to go on; false of one that is not there, or may not be looked at.
bool is_stopped_process(pid_t pid);

}  // namespace parcompute
