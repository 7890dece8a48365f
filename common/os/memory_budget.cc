#include "common/os/memory_budget.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/os/cgroup.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

constexpr const char* kShmPath = "/dev/shm";

// Version 1 writes "no limit" as the largest multiple of a page, which differs by machine. Nothing real is so
// large.
constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 62;

Result<CgroupLimit> ask_memory(const FileReader& read_file, const std::string& path) {
  const auto text = read_file(path);
  if (!text) return fail(text.error());
  if (*text == "max\n" || *text == "max") return CgroupLimit{};
  const auto bytes = parse_decimal(*text);
  if (!bytes) return CgroupLimit{{}, {}, fmt::format("ignored {}, which holds no number", path)};
  if (*bytes >= kUnlimited) return CgroupLimit{};
  return CgroupLimit{bytes, path, {}};
}

bool stat_shm(struct statvfs& stat) {
  int status = 0;
  while ((status = ::statvfs(kShmPath, &stat)) != 0 && errno == EINTR) {
  }
  return status == 0;
}

std::uint64_t saturating_bytes(std::uint64_t blocks, std::uint64_t block_bytes) {
  return checked_mul(blocks, block_bytes).value_or(kUnlimited);
}

}  // namespace

MemoryBudget decide_memory_budget(const MemoryEnvironment& environment) {
  MemoryBudget budget;
  const FileReader& read_file = environment.read_file;
  budget.sources.push_back({"configured", environment.configured_bytes, {}});

  if (environment.in_dev_shm) {
    BudgetSource shm{kShmPath, environment.shm_bytes, {}};
    if (!shm.value)
      shm.detail = "not there";
    else if (*shm.value == 0)
      shm = {kShmPath, std::nullopt, "has no limit of its own"};
    budget.sources.push_back(std::move(shm));
  }

  budget.sources.push_back(smallest_cgroup_limit(
      "cgroup v2 memory.max", read_file, "",
      [&](const std::string& directory) { return ask_memory(read_file, directory + "/memory.max"); }));
  budget.sources.push_back(
      smallest_cgroup_limit("cgroup v1 memory limit", read_file, "memory", [&](const std::string& directory) {
        return ask_memory(read_file, directory + "/memory.limit_in_bytes");
      }));
  budget.sources.push_back({"physical memory", environment.physical_bytes, {}});

  budget.decided = deciding_source(budget.sources);
  budget.limit_bytes = *budget.sources[budget.decided].value;
  return budget;
}

MemoryBudget memory_budget(std::optional<std::uint64_t> configured_bytes, bool in_dev_shm) {
  MemoryEnvironment environment{configured_bytes, std::nullopt, 0, read_small_file, in_dev_shm};
  struct statvfs shm;
  if (stat_shm(shm)) environment.shm_bytes = saturating_bytes(shm.f_blocks, shm.f_frsize);
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0)
    environment.physical_bytes =
        saturating_bytes(static_cast<std::uint64_t>(pages), static_cast<std::uint64_t>(page_bytes));
  return decide_memory_budget(environment);
}

Result<std::uint64_t> shm_free_bytes() {
  struct statvfs shm;
  if (!stat_shm(shm)) return fail(system_error("ask for the free memory of", kShmPath, errno));
  // A tmpfs without a limit counts 0 of 0 blocks.
  if (shm.f_blocks == 0) return kUnlimited;
  return saturating_bytes(shm.f_bavail, shm.f_frsize);
}

std::optional<std::uint64_t> parse_available_memory(std::string_view meminfo) {
  constexpr std::string_view kLabel = "MemAvailable:";
  for (std::size_t at = 0; at < meminfo.size();) {
    const std::size_t end = std::min(meminfo.find('\n', at), meminfo.size());
    std::string_view line = meminfo.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(kLabel) || !line.ends_with(" kB")) continue;
    line.remove_prefix(kLabel.size());
    line.remove_suffix(3);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto kibibytes = parse_decimal(line);
    return kibibytes ? checked_mul(*kibibytes, std::uint64_t{1024}) : std::nullopt;
  }
  return std::nullopt;
}

Result<AvailableMemory> AvailableMemory::open() {
  constexpr const char* kPath = "/proc/meminfo";
  AvailableMemory memory;
  memory.meminfo_ = UniqueFd(::open(kPath, O_RDONLY | O_CLOEXEC));
  if (!memory.meminfo_) return fail(system_error("open", kPath, errno));
  if (memory.bytes() == 0) return fail(ErrorCode::kUnsupported, fmt::format("{} does not say how much memory is available (MemAvailable)", kPath));
  return memory;
}

std::uint64_t AvailableMemory::bytes() {
  // It is the third line.
  std::array<char, 512> text;
  const ssize_t got = ::pread(meminfo_.get(), text.data(), text.size(), 0);
  if (got > 0)
    if (const auto now = parse_available_memory(std::string_view(text.data(), static_cast<std::size_t>(got)))) last_ = *now;
  return last_;
}

}  // namespace parcompute
