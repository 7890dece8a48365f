#include "common/os/affinity.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "common/os/system_error.h"

namespace parcompute {
namespace {

using Mask = std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)>;

Mask make_mask(int bits) {
  return {CPU_ALLOC(static_cast<std::size_t>(bits)), [](cpu_set_t* set) { CPU_FREE(set); }};
}

}  // namespace

std::vector<int> affinity_cpus() {
  // The kernel refuses a mask that is shorter than its own: double it until it fits.
  for (int bits = 1024; bits <= (1 << 22); bits *= 2) {
    const Mask mask = make_mask(bits);
    if (!mask) return {};
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(bits));
    if (::sched_getaffinity(0, bytes, mask.get()) != 0) {
      if (errno == EINVAL) continue;
      return {};
    }
    std::vector<int> cpus;
    for (int cpu = 0; cpu < bits; ++cpu)
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, mask.get())) cpus.push_back(cpu);
    return cpus;
  }
  return {};
}

Result<void> set_affinity(pid_t pid, const std::vector<int>& cpus) {
  const int bits = cpus.empty() ? 1 : *std::max_element(cpus.begin(), cpus.end()) + 1;
  const Mask mask = make_mask(bits);
  if (!mask) return fail(system_error("make", "a mask of CPUs", ENOMEM));
  const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(bits));
  CPU_ZERO_S(bytes, mask.get());
  for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), bytes, mask.get());
  if (::sched_setaffinity(pid, bytes, mask.get()) == 0) return {};
  return fail(system_error("pin", fmt::format("{} to CPUs {}", pid == 0 ? "this process" : fmt::format("process {}", pid), format_cpu_list(cpus)), errno));
}

std::string format_cpu_list(const std::vector<int>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text.push_back(',');
    text.append(std::to_string(cpus[i]));
    if (last > i) text.append("-").append(std::to_string(cpus[last]));
    i = last + 1;
  }
  return text;
}

}  // namespace parcompute
