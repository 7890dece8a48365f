// How the budgets read /proc, /sys and the cgroup trees: through a function, so that tests hand in recorded
// trees.
#pragma once

#include <functional>
#include <string>

#include "common/base/error.h"

namespace parcompute {

// A small file's text. kNotFound where there is no such file.
using FileReader = std::function<Result<std::string>(const std::string& path)>;

// The machine's own files; refuses anything above 16 MiB, never blocks.
Result<std::string> read_small_file(const std::string& path);

}  // namespace parcompute
