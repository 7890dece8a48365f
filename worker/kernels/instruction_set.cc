#include "worker/kernels/instruction_set.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "worker/kernels/simd_targets.h"
//
#include <hwy/highway.h>

namespace parcompute {
namespace {

struct Row {
  std::string_view name;
  std::int64_t target;  // Highway's bit
};

// Slowest first; the first is Highway's portable code.
#if HWY_ARCH_X86
constexpr std::array<Row, 4> kRows{
    {{"sse2", HWY_SCALAR}, {"sse4", HWY_SSE4}, {"avx2", HWY_AVX2}, {"avx3", HWY_AVX3}}};
#elif HWY_ARCH_ARM
constexpr std::array<Row, 2> kRows{{{"portable", HWY_SCALAR}, {"neon", HWY_NEON}}};
#else
constexpr std::array<Row, 1> kRows{{{"portable", HWY_SCALAR}}};
#endif

// What the CPU has, whatever has been chosen.
std::int64_t cpu_targets() {
  static const std::int64_t targets = [] {
    hwy::SetSupportedTargetsForTest(0);
    return hwy::SupportedTargets();
  }();
  return targets;
}

// Compiled in, and the CPU has it. The portable code always is.
bool is_available(const Row& row) {
  return row.target == HWY_SCALAR || (row.target & HWY_TARGETS & cpu_targets()) != 0;
}

std::string join(const std::vector<std::string_view>& names) {
  std::string list;
  for (const std::string_view name : names) list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

}  // namespace

Result<void> select_instruction_set(std::string_view name) {
  std::int64_t targets = cpu_targets();
  if (!name.empty()) {
    const Row* chosen = nullptr;
    std::vector<std::string_view> known;
    for (const Row& row : kRows) {
      known.push_back(row.name);
      if (row.name == name) chosen = &row;
    }
    if (chosen == nullptr)
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format(
              "PARCOMPUTE_ISA names '{}', which is no instruction set of this program; choose one of {}, "
              "or unset it",
              name, join(known)));
    if (!is_available(*chosen))
      return fail(ErrorCode::kUnsupported,
                  fmt::format("PARCOMPUTE_ISA names {}, which this CPU lacks; choose one of {}, or unset it",
                              name, join(available_instruction_sets())));
    targets = chosen->target;
  }
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(targets);
  return {};
}

Result<void> select_instruction_set() {
  const char* name = std::getenv("PARCOMPUTE_ISA");
  return select_instruction_set(name == nullptr ? std::string_view{} : std::string_view{name});
}

std::vector<std::string_view> available_instruction_sets() {
  std::vector<std::string_view> names;
  for (const Row& row : kRows)
    if (is_available(row)) names.push_back(row.name);
  return names;
}

std::string_view current_instruction_set() {
  cpu_targets();
  const std::int64_t targets = hwy::SupportedTargets();
  std::string_view best = kRows.front().name;
  for (const Row& row : kRows)
    if ((row.target & HWY_TARGETS & targets) != 0) best = row.name;
  return best;
}

}  // namespace parcompute
