#include "common/os/cpu_watch.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "common/os/affinity.h"

namespace parcompute {
namespace {

// The lines that parse_cgroup_mounts() may have a use for.
std::string cgroup_mounts_of(std::string_view mountinfo) {
  std::string kept;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    if (line.find(" - cgroup") != line.npos) kept.append(line).push_back('\n');
  }
  return kept;
}

bool means_shortage(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM;
}

}  // namespace

CpuWatch::CpuWatch(CpuEnvironment environment) : environment_(std::move(environment)) {
  Result<std::string> mounts = environment_.read_file("/proc/self/mountinfo").map(cgroup_mounts_of);
  environment_.read_file = [read_file = std::move(environment_.read_file), mounts = std::move(mounts), is_short = is_short_](const std::string& path) {
    if (path == "/proc/self/mountinfo") return mounts;
    Result<std::string> text = read_file(path);
    if (!text) *is_short = *is_short || means_shortage(text.error().system_errno);
    return text;
  };
}

Result<CpuBudget> CpuWatch::look() {
  *is_short_ = false;
  environment_.affinity = affinity_cpus();
  auto budget = decide_cpu_budget(environment_);
  if (last_ && (*is_short_ || environment_.affinity.empty())) return *last_;
  if (budget) last_ = *budget;
  return budget;
}

}  // namespace parcompute
