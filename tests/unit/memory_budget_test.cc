#include "common/os/memory_budget.h"

#include <unistd.h>

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/units.h"
#include "tests/unit/recorded_files.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::recorded;
using testing::RecordedFiles;

class MemoryBudgetTest : public ::testing::Test {
 protected:
  void decide(RecordedFiles files, std::optional<std::uint64_t> configured = std::nullopt,
              std::optional<std::uint64_t> shm = 32 * kGiB) {
    budget_ = decide_memory_budget({configured, shm, 64 * kGiB, recorded(std::move(files))});
    ASSERT_LT(budget_.decided, budget_.sources.size());
    EXPECT_EQ(budget_.sources[budget_.decided].value, budget_.limit_bytes);
  }
  const BudgetSource& source(const std::string& name) const {
    const auto found = std::find_if(budget_.sources.begin(), budget_.sources.end(),
                                    [&](const BudgetSource& each) { return each.name == name; });
    if (found == budget_.sources.end()) throw std::runtime_error("no source " + name);
    return *found;
  }
  std::string decider() const { return budget_.sources[budget_.decided].name; }

  MemoryBudget budget_;
};

constexpr const char* kGroup = "/sys/fs/cgroup/system.slice/parcompute.service/memory.max";
constexpr const char* kSlice = "/sys/fs/cgroup/system.slice/memory.max";

TEST_F(MemoryBudgetTest, SharedMemoryIsUsuallyTheLimit) {
  auto files = testing::unified_machine();
  files[kGroup] = "max\n";
  decide(files);
  EXPECT_EQ(budget_.limit_bytes, 32 * kGiB);
  EXPECT_EQ(decider(), "/dev/shm");
  EXPECT_FALSE(source("cgroup v2 memory.max").value);
  EXPECT_FALSE(source("configured").value);
}

TEST_F(MemoryBudgetTest, AConfiguredLimitLowersAndNeverRaises) {
  decide(testing::unified_machine(), 3 * kGiB);
  EXPECT_EQ(budget_.limit_bytes, 3 * kGiB);
  EXPECT_EQ(decider(), "configured");
  decide(testing::unified_machine(), 300 * kGiB);
  EXPECT_EQ(decider(), "/dev/shm");
}

TEST_F(MemoryBudgetTest, WithoutALimitOfSharedMemoryPhysicalMemoryDecides) {
  decide(testing::unified_machine(), std::nullopt, 0);
  EXPECT_EQ(decider(), "physical memory");
  EXPECT_EQ(source("/dev/shm").detail, "has no limit of its own");
  decide(testing::unified_machine(), std::nullopt, std::nullopt);
  EXPECT_EQ(source("/dev/shm").detail, "not there");
}

TEST_F(MemoryBudgetTest, TheTightestAncestorDecides) {
  auto files = testing::unified_machine();
  files[kGroup] = std::to_string(8 * kGiB) + "\n";
  files[kSlice] = std::to_string(4 * kGiB) + "\n";
  decide(files);
  EXPECT_EQ(budget_.limit_bytes, 4 * kGiB);
  EXPECT_EQ(decider(), "cgroup v2 memory.max");
  EXPECT_THAT(source("cgroup v2 memory.max").detail, HasSubstr(kSlice));
}

TEST_F(MemoryBudgetTest, TheHugeNumberOfVersionOneMeansNoLimit) {
  auto files = testing::hybrid_machine();
  files["/sys/fs/cgroup/memory/memory.limit_in_bytes"] = "9223372036854771712\n";
  files["/sys/fs/cgroup/memory/batch/memory.limit_in_bytes"] =
      "9223372036854710272\n";  // with pages of 64 KiB
  decide(files);
  EXPECT_FALSE(source("cgroup v1 memory limit").value);
  files["/sys/fs/cgroup/memory/batch/job_1/memory.limit_in_bytes"] = "1073741824\n";
  decide(files);
  EXPECT_EQ(budget_.limit_bytes, kGiB);
  EXPECT_EQ(decider(), "cgroup v1 memory limit");
}

TEST_F(MemoryBudgetTest, MalformedLimitsAreIgnoredWithANote) {
  auto files = testing::unified_machine();
  for (const char* text : {"", "\n", "maximum\n", "-1\n", "1G\n", "99999999999999999999\n", "<denied>"}) {
    files[kGroup] = text;
    decide(files);
    EXPECT_EQ(decider(), "/dev/shm") << text;
    EXPECT_THAT(source("cgroup v2 memory.max").detail, HasSubstr(kGroup)) << text;
  }
}

TEST_F(MemoryBudgetTest, MemoryWithoutANameIsNotBoundByTheSizeOfSharedMemory) {
  auto files = testing::unified_machine();
  budget_ = decide_memory_budget({std::nullopt, 32 * kGiB, 64 * kGiB, recorded(files), false});
  EXPECT_EQ(budget_.limit_bytes, 64 * kGiB);
  EXPECT_EQ(decider(), "physical memory");
  EXPECT_THROW(source("/dev/shm"), std::runtime_error);
  files[kGroup] = std::to_string(8 * kGiB) + "\n";
  budget_ = decide_memory_budget({std::nullopt, 32 * kGiB, 64 * kGiB, recorded(files), false});
  EXPECT_EQ(decider(), "cgroup v2 memory.max");
}

TEST(AvailableMemoryText, IsReadFromItsLineAlone) {
  EXPECT_EQ(parse_available_memory("MemTotal:       24608400 kB\nMemFree:         1000 kB\nMemAvailable:   22000 kB\nBuffers: 1 kB\n"), 22'000u * 1024);
  for (const char* text : {"", "\n", "MemTotal: 5 kB\n", "MemAvailable: 5\n", "MemAvailable: kB\n", "MemAvailable: -5 kB\n", "MemAvailable: 99999999999999999999 kB\n",
                           "MemAvailable: 18446744073709551615 kB\n", "XMemAvailable: 5 kB\n", "MemAvailable:"})
    EXPECT_FALSE(parse_available_memory(text)) << text;
}

TEST(AvailableMemoryHere, IsSomeAndLessThanAll) {
  auto memory = AvailableMemory::open();
  ASSERT_TRUE(memory);
  EXPECT_GT(memory->bytes(), 0u);
  EXPECT_LE(memory->bytes(), static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
}

TEST_F(MemoryBudgetTest, WithoutAnyFileTheRestDecides) {
  decide({});
  EXPECT_EQ(decider(), "/dev/shm");
}

TEST(MemoryBudgetHere, ThisMachineHasALimit) {
  EXPECT_GT(memory_budget().limit_bytes, 0u);
  EXPECT_EQ(memory_budget(4096).limit_bytes, 4096u);
  EXPECT_GT(shm_free_bytes().value(), 0u);
}

}  // namespace
}  // namespace parcompute
