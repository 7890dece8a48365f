#include "common/os/memory_budget.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/os/cgroup.h"

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

  BudgetSource shm{kShmPath, environment.shm_bytes, {}};
  if (!shm.value)
    shm.detail = "not there";
  else if (*shm.value == 0)
    shm = {kShmPath, std::nullopt, "has no limit of its own"};
  budget.sources.push_back(std::move(shm));

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

MemoryBudget memory_budget(std::optional<std::uint64_t> configured_bytes) {
  MemoryEnvironment environment{configured_bytes, std::nullopt, 0, read_small_file};
  struct statvfs shm;
  if (stat_shm(shm)) environment.shm_bytes = saturating_bytes(shm.f_blocks, shm.f_frsize);
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0)
    environment.physical_bytes =
        saturating_bytes(static_cast<std::uint64_t>(pages), static_cast<std::uint64_t>(page_bytes));
  return decide_memory_budget(environment);
}

std::uint64_t shm_free_bytes() {
  struct statvfs shm;
  if (!stat_shm(shm)) return 0;
  // A tmpfs without a limit counts 0 of 0 blocks.
  if (shm.f_blocks == 0) return kUnlimited;
  return saturating_bytes(shm.f_bavail, shm.f_frsize);
}

}  // namespace parcompute
