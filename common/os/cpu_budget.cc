#include "common/os/cpu_budget.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "common/os/affinity.h"
#include "common/os/cgroup.h"

namespace parcompute {
namespace {

constexpr const char* kOwnVariable = "PARCOMPUTE_WORKERS";
constexpr std::uint64_t kMaxWorkers = 1'000'000;

// A scheduler's variable, and the one that must be set, too, for it to mean an allocation.
struct SchedulerVariable {
  const char* name;
  const char* within;
};
// SLURM_CPUS_PER_TASK is set only where -c was given. NCPUS is too common a name to be believed outside of a
// PBS job.
// (SLURM_JOB_CPUS_PER_NODE says for the shell of an salloc how many another machine has; where it speaks of this one,
// SLURM_CPUS_ON_NODE is set, too.)
constexpr std::array<SchedulerVariable, 7> kSchedulerVariables{{
    {"SLURM_CPUS_PER_TASK", nullptr},
    {"SLURM_CPUS_ON_NODE", nullptr},
    {"PBS_NCPUS", "PBS_JOBID"},
    {"NCPUS", "PBS_JOBID"},
    {"PBS_NUM_PPN", "PBS_JOBID"},
    {"LSB_DJOB_NUMPROC", nullptr},
    {"NSLOTS", nullptr},
}};

// What a file or a variable says, fit for one line on a terminal.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, 60)) out.push_back(c >= ' ' && c <= '~' ? c : '?');
  if (text.size() > 60) out.append("...");
  return out + "'";
}

CgroupLimit quota_limit(std::uint64_t quota_us, std::uint64_t period_us, const std::string& path) {
  const std::uint64_t cpus = std::max<std::uint64_t>(quota_us / period_us, 1);
  return {cpus, fmt::format("{}: {} us in every {} us", path, quota_us, period_us), {}};
}

CgroupLimit not_understood(const std::string& path, std::string_view text) {
  return {std::nullopt, {}, fmt::format("ignored {}, which says {}", path, quoted(text))};
}

// "max 100000", "150000 100000"
Result<CgroupLimit> ask_cpu_max(const FileReader& read_file, const std::string& directory) {
  const std::string path = directory + "/cpu.max";
  const auto text = read_file(path);
  if (!text) return fail(text.error());
  const std::string_view view = *text;
  const std::size_t blank = view.find(' ');
  if (blank == std::string_view::npos) return not_understood(path, view);
  const auto period = parse_decimal(view.substr(blank + 1));
  if (!period || *period == 0) return not_understood(path, view);
  if (view.substr(0, blank) == "max") return CgroupLimit{};
  const auto quota = parse_decimal(view.substr(0, blank));
  if (!quota || *quota == 0) return not_understood(path, view);
  return quota_limit(*quota, *period, path);
}

Result<CgroupLimit> ask_cfs_quota(const FileReader& read_file, const std::string& directory) {
  const std::string path = directory + "/cpu.cfs_quota_us";
  const auto text = read_file(path);
  if (!text) return fail(text.error());
  if (*text == "-1\n" || *text == "-1") return CgroupLimit{};
  const auto quota = parse_decimal(*text);
  if (!quota || *quota == 0) return not_understood(path, *text);
  const std::string period_path = directory + "/cpu.cfs_period_us";
  const auto period_text = read_file(period_path);
  if (!period_text)
    return CgroupLimit{{}, {}, fmt::format("ignored {}: {}", path, period_text.error().message)};
  const auto period = parse_decimal(*period_text);
  if (!period || *period == 0) return not_understood(period_path, *period_text);
  return quota_limit(*quota, *period, path);
}

const std::string* find_variable(const CpuEnvironment& environment, const char* name) {
  const auto found = environment.variables.find(name);
  // An empty variable is an unset one, as everywhere in shells.
  return found == environment.variables.end() || found->second.empty() ? nullptr : &found->second;
}

BudgetSource scheduler_source(const CpuEnvironment& environment, const SchedulerVariable& variable) {
  BudgetSource source{variable.name, std::nullopt, {}};
  const std::string* text = find_variable(environment, variable.name);
  if (text == nullptr) return source;
  if (variable.within != nullptr && find_variable(environment, variable.within) == nullptr) {
    source.detail = fmt::format("ignored outside of a job: {} is not set", variable.within);
    return source;
  }
  const auto number = parse_decimal(*text);
  if (number && *number > 0)
    source.value = number;
  else
    source.detail = fmt::format("ignored: {} is no number of CPUs", quoted(*text));
  return source;
}

Result<BudgetSource> own_source(const CpuEnvironment& environment) {
  BudgetSource source{kOwnVariable, std::nullopt, {}};
  const std::string* text = find_variable(environment, kOwnVariable);
  if (text == nullptr) return source;
  const auto number = parse_decimal(*text);
  if (!number || *number == 0 || *number > kMaxWorkers)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is {}, which is no number of workers: set it to 1 or more, or unset it",
                            kOwnVariable, quoted(*text)));
  source.value = number;
  return source;
}

BudgetSource cores_source(const CpuEnvironment& environment, const std::vector<int>& cpus) {
  BudgetSource source{"cores", std::nullopt, {}};
  const std::size_t cores = count_cores(environment.topology, cpus);
  if (environment.topology.cpus.empty())
    source.detail = "unknown: the machine does not tell which CPUs are threads of one core";
  else if (environment.hyperthreads)
    source.detail = fmt::format("{}, whose hyperthreads are asked for", cores);
  else if (find_variable(environment, kOwnVariable) != nullptr)
    source.detail = fmt::format("{}; {} says how many of their hyperthreads are used", cores, kOwnVariable);
  else
    source.value = cores;
  if (source.value && cores < cpus.size())
    source.detail = fmt::format("the {} CPUs are hyperthreads of {} cores; --hyperthreads uses each", cpus.size(), cores);
  return source;
}

}  // namespace

const std::vector<std::string>& cpu_budget_variables() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{kOwnVariable, "PBS_JOBID"};
    for (const SchedulerVariable& variable : kSchedulerVariables) all.emplace_back(variable.name);
    return all;
  }();
  return names;
}

Result<std::vector<int>> parse_cpu_list(const std::string& text) {
  const auto refuse = [&] {
    return fail(ErrorCode::kBadData, fmt::format("{} is no list of CPUs such as 0-2,7", quoted(text)));
  };
  std::vector<int> cpus;
  const char* at = text.data();
  const char* end = at + text.size();
  while (end > at && (end[-1] == '\n' || end[-1] == ' ')) --end;
  if (at == end) return refuse();
  while (true) {
    int first = 0;
    auto read = std::from_chars(at, end, first);
    if (read.ec != std::errc{} || first < 0) return refuse();
    int last = first;
    if (read.ptr != end && *read.ptr == '-') {
      read = std::from_chars(read.ptr + 1, end, last);
      if (read.ec != std::errc{}) return refuse();
    }
    // No machine has a million CPUs, and a hostile list must not cost gigabytes.
    if (last < first || last >= 1'000'000) return refuse();
    if (!cpus.empty() && first <= cpus.back()) return refuse();
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (read.ptr == end) return cpus;
    if (*read.ptr != ',') return refuse();
    at = read.ptr + 1;
  }
}

Result<CpuBudget> decide_cpu_budget(const CpuEnvironment& environment) {
  CpuBudget budget;
  const char* const online_path = "/sys/devices/system/cpu/online";
  auto online = environment.read_file(online_path).and_then(parse_cpu_list);

  if (online) budget.online = online->size();

  BudgetSource affinity{"affinity", std::nullopt, {}};
  if (!environment.affinity.empty()) {
    budget.cpus = environment.affinity;
    affinity.value = budget.cpus.size();
    affinity.detail = "CPUs " + format_cpu_list(budget.cpus);
    budget.affinity_narrowed = online && budget.cpus.size() < online->size();
  } else if (online) {
    budget.cpus = *online;
    affinity.value = budget.cpus.size();
    affinity.detail = fmt::format("unknown; {} says {}", online_path, format_cpu_list(budget.cpus));
  } else {
    budget.cpus = {0};
    affinity.value = 1;
    affinity.detail = "unknown, and " + online.error().message;
  }
  budget.sources.push_back(std::move(affinity));
  budget.sources.push_back(cores_source(environment, budget.cpus));

  const FileReader& read_file = environment.read_file;
  budget.sources.push_back(
      smallest_cgroup_limit("cgroup v2 cpu.max", read_file, "",
                            [&](const std::string& directory) { return ask_cpu_max(read_file, directory); }));
  budget.sources.push_back(smallest_cgroup_limit(
      "cgroup v1 cpu quota", read_file, "cpu",
      [&](const std::string& directory) { return ask_cfs_quota(read_file, directory); }));
  for (const SchedulerVariable& variable : kSchedulerVariables)
    budget.sources.push_back(scheduler_source(environment, variable));
  auto own = own_source(environment);
  if (!own) return fail(own.error());
  budget.sources.push_back(*std::move(own));

  budget.decided = deciding_source(budget.sources);
  budget.count = static_cast<std::uint32_t>(*budget.sources[budget.decided].value);
  return budget;
}

CpuEnvironment cpu_environment() {
  CpuEnvironment environment;
  environment.affinity = affinity_cpus();
  environment.read_file = read_small_file;
  for (const std::string& name : cpu_budget_variables())
    if (const char* value = std::getenv(name.c_str()); value != nullptr)
      environment.variables.emplace(name, value);
  return environment;
}

}  // namespace parcompute
