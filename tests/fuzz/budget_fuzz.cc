// Any bytes as what a machine, a batch system or a person tells about CPUs and memory: /proc, the control groups' files,
// environment variables, sizes and lists of CPUs. Whatever they say, a budget comes out that a server can start with, or, of a
// person's words alone, an error in words.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/invariant.h"
#include "common/base/units.h"
#include "common/os/cpu_budget.h"
#include "common/os/memory_budget.h"
#include "common/os/oom_kills.h"

namespace parcompute {
namespace {

// Texts divided by NUL bytes: of files in the order in which they are asked for, then of variables.
class Texts {
 public:
  explicit Texts(std::string_view all) : all_(all) {}
  std::string next() {
    const std::size_t end = std::min(all_.find('\0', at_), all_.size());
    std::string text(all_.substr(std::min(at_, all_.size()), end - std::min(at_, end)));
    at_ = end + 1;
    return text;
  }
  bool is_over() const { return at_ >= all_.size(); }

 private:
  std::string_view all_;
  std::size_t at_ = 0;
};

// Where its first byte is an even number it exists.
FileReader reader(Texts& texts) {
  return [&texts](const std::string& path) -> Result<std::string> {
    // The control groups' mounts are the way to all other files: at times they are as on a real machine.
    std::string text = texts.next();
    if (text == "@") {
      if (path == "/proc/self/mountinfo") return std::string("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n31 23 0:27 / /cg1/cpu rw - cgroup cgroup rw,cpu\n32 23 0:28 / /cg1/memory rw - cgroup cgroup rw,memory\n");
      if (path == "/proc/self/cgroup") return std::string("0::/a/b\n1:cpu:/c\n2:memory:/d/e\n");
    }
    if (text.empty()) return fail(ErrorCode::kNotFound, "there is no file '" + path + "'");
    return text;
  };
}

void check_source(const BudgetSource& source) {
  PARCOMPUTE_INVARIANT(!source.name.empty());
}

void decide(std::string_view bytes) {
  Texts texts(bytes);
  CpuEnvironment cpus{{0, 1, 2, 3}, {}, reader(texts), {}};
  for (const std::string& name : cpu_budget_variables())
    if (std::string value = texts.next(); !value.empty()) cpus.variables[name] = std::move(value);
  if (const auto budget = decide_cpu_budget(cpus)) {
    PARCOMPUTE_INVARIANT(budget->count >= 1 && budget->decided < budget->sources.size());
    std::for_each(budget->sources.begin(), budget->sources.end(), check_source);
  } else {
    PARCOMPUTE_INVARIANT(cpus.variables.contains("PARCOMPUTE_WORKERS") && !budget.error().message.empty());
  }
  const MemoryBudget memory = decide_memory_budget({std::nullopt, std::uint64_t{1} << 33, std::uint64_t{1} << 34, reader(texts)});
  PARCOMPUTE_INVARIANT(memory.limit_bytes <= std::uint64_t{1} << 33 && memory.decided < memory.sources.size());
  std::for_each(memory.sources.begin(), memory.sources.end(), check_source);
  (void)OomCounter(reader(texts)).count();

  const std::string word = texts.next();
  if (const auto list = parse_cpu_list(word)) PARCOMPUTE_INVARIANT(std::all_of(list->begin(), list->end(), [](int cpu) { return cpu >= 0; }));
  if (const auto size = parse_size(word)) PARCOMPUTE_INVARIANT(!format_bytes(*size).empty());
  else PARCOMPUTE_INVARIANT(!size.error().message.empty());
}

}  // namespace
}  // namespace parcompute

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  parcompute::decide({reinterpret_cast<const char*>(data), size});
  return 0;
}
