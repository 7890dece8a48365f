#include "common/os/cpu_budget.h"

#include <sched.h>

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/process_state.h"
#include "tests/unit/recorded_files.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::recorded;
using testing::RecordedFiles;

using Variables = std::map<std::string, std::string>;
const std::vector<int> kEight{0, 1, 2, 3, 4, 5, 6, 7};

class CpuBudgetTest : public ::testing::Test {
 protected:
  void decide(RecordedFiles files, Variables variables = {}, std::vector<int> affinity = kEight) {
    const auto decided =
        decide_cpu_budget({std::move(affinity), std::move(variables), recorded(std::move(files))});
    ASSERT_TRUE(decided) << decided.error().message;
    budget_ = *decided;
    ASSERT_LT(budget_.decided, budget_.sources.size());
    EXPECT_EQ(budget_.sources[budget_.decided].value, budget_.count);
  }
  const BudgetSource& source(const std::string& name) const {
    const auto found = std::find_if(budget_.sources.begin(), budget_.sources.end(),
                                    [&](const BudgetSource& each) { return each.name == name; });
    if (found == budget_.sources.end()) throw std::runtime_error("no source " + name);
    return *found;
  }
  std::string decider() const { return budget_.sources[budget_.decided].name; }

  CpuBudget budget_;
};

constexpr const char* kGroup = "/sys/fs/cgroup/system.slice/parcompute.service/cpu.max";
constexpr const char* kSlice = "/sys/fs/cgroup/system.slice/cpu.max";

TEST_F(CpuBudgetTest, WithoutLimitsEveryCpuMayBeUsed) {
  auto files = testing::unified_machine();
  files[kGroup] = "max 100000\n";
  decide(files);
  EXPECT_EQ(budget_.count, 8u);
  EXPECT_EQ(decider(), "affinity");
  EXPECT_EQ(budget_.cpus, kEight);
  EXPECT_FALSE(budget_.affinity_narrowed);
  EXPECT_FALSE(source("cgroup v2 cpu.max").value);
  EXPECT_EQ(source("affinity").detail, "CPUs 0-7");
}

TEST_F(CpuBudgetTest, AnAffinityMaskBelowTheMachineIsNarrowed) {
  decide(testing::unified_machine(), {}, {1, 2, 3, 6});
  EXPECT_EQ(budget_.count, 4u);
  EXPECT_TRUE(budget_.affinity_narrowed);
  EXPECT_EQ(source("affinity").detail, "CPUs 1-3,6");
}

TEST_F(CpuBudgetTest, AllCpusOfALargeMachineAreNotNarrowed) {
  auto files = testing::unified_machine();
  files["/sys/devices/system/cpu/online"] = "0-2047\n";
  std::vector<int> all(2048);
  for (int cpu = 0; cpu < 2048; ++cpu) all[static_cast<std::size_t>(cpu)] = cpu;
  decide(files, {}, all);
  EXPECT_EQ(budget_.count, 2048u);
  EXPECT_FALSE(budget_.affinity_narrowed);
}

TEST_F(CpuBudgetTest, QuotasRoundDownButNeverToNothing) {
  auto files = testing::unified_machine();
  for (const auto& [text, cpus] : std::map<std::string, unsigned>{{"250000 100000\n", 2},
                                                                  {"199999 100000\n", 1},
                                                                  {"50000 100000\n", 1},
                                                                  {"1000 100000\n", 1},
                                                                  {"300000 100000", 3}}) {
    files[kGroup] = text;
    decide(files);
    EXPECT_EQ(budget_.count, cpus) << text;
    EXPECT_EQ(decider(), "cgroup v2 cpu.max");
    EXPECT_THAT(source("cgroup v2 cpu.max").detail, HasSubstr(kGroup));
  }
}

TEST_F(CpuBudgetTest, TheTightestAncestorDecides) {
  auto files = testing::unified_machine();
  files[kGroup] = "600000 100000\n";
  files[kSlice] = "300000 100000\n";
  decide(files);
  EXPECT_EQ(budget_.count, 3u);
  EXPECT_THAT(source("cgroup v2 cpu.max").detail, HasSubstr(kSlice));
}

TEST_F(CpuBudgetTest, HybridMachinesAreAskedInBothTrees) {
  auto files = testing::hybrid_machine();
  files["/sys/fs/cgroup/cpu/batch/job_1/cpu.cfs_quota_us"] = "-1\n";
  files["/sys/fs/cgroup/cpu/batch/job_1/cpu.cfs_period_us"] = "100000\n";
  files["/sys/fs/cgroup/cpu/batch/cpu.cfs_quota_us"] = "500000\n";
  files["/sys/fs/cgroup/cpu/batch/cpu.cfs_period_us"] = "100000\n";
  decide(files);
  EXPECT_EQ(budget_.count, 5u);
  EXPECT_EQ(decider(), "cgroup v1 cpu quota");
  files["/sys/fs/cgroup/unified/user.slice/cpu.max"] = "400000 100000\n";
  decide(files);
  EXPECT_EQ(budget_.count, 4u);
  EXPECT_EQ(decider(), "cgroup v2 cpu.max");
}

TEST_F(CpuBudgetTest, AContainerSeesItsQuotaAtTheMountPoint) {
  auto files = testing::container();
  files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "200000\n";
  files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000\n";
  decide(files);
  EXPECT_EQ(budget_.count, 2u);
}

TEST_F(CpuBudgetTest, MalformedQuotasAreIgnoredWithANote) {
  auto files = testing::unified_machine();
  for (const char* text :
       {"", "\n", "max", "100000", "max max\n", "-5 100000\n", "100000 0\n", "0 100000\n", "1e5 100000\n",
        "100000 100000 1\n", "99999999999999999999 100000\n", "\x1b[31m 1\n", "<denied>"}) {
    files[kGroup] = text;
    decide(files);
    EXPECT_EQ(budget_.count, 8u) << text;
    EXPECT_THAT(source("cgroup v2 cpu.max").detail, HasSubstr(kGroup)) << text;
    EXPECT_EQ(source("cgroup v2 cpu.max").detail.find('\x1b'), std::string::npos);
  }
  files[kSlice] = "200000 100000\n";
  decide(files);
  EXPECT_EQ(budget_.count, 2u) << "one bad file must not hide another's limit";

  auto hybrid = testing::hybrid_machine();
  const std::string quota = "/sys/fs/cgroup/cpu/batch/cpu.cfs_quota_us";
  for (const char* text : {"", "max\n", "0\n", "-2\n", "-10\n", "x\n"}) {
    hybrid[quota] = text;
    decide(hybrid);
    EXPECT_EQ(budget_.count, 8u) << text;
    EXPECT_THAT(source("cgroup v1 cpu quota").detail, HasSubstr(quota)) << text;
  }
  hybrid[quota] = "100000\n";
  decide(hybrid);
  EXPECT_THAT(source("cgroup v1 cpu quota").detail, HasSubstr("cfs_period_us")) << "a quota without a period";
  hybrid["/sys/fs/cgroup/cpu/batch/cpu.cfs_period_us"] = "0\n";
  decide(hybrid);
  EXPECT_EQ(budget_.count, 8u);
}

TEST_F(CpuBudgetTest, SchedulersLowerTheNumber) {
  const auto files = testing::unified_machine();
  for (const char* name : {"SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "LSB_DJOB_NUMPROC", "NSLOTS"}) {
    decide(files, {{name, "3"}});
    EXPECT_EQ(budget_.count, 3u) << name;
    EXPECT_EQ(decider(), name);
    decide(files, {{name, "64"}});
    EXPECT_EQ(budget_.count, 8u) << name;
    EXPECT_EQ(decider(), "affinity");
  }
  decide(files, {{"SLURM_CPUS_PER_TASK", "2"}, {"SLURM_CPUS_ON_NODE", "4"}});
  EXPECT_EQ(budget_.count, 2u);
}

TEST_F(CpuBudgetTest, PbsVariablesCountOnlyInsideAJob) {
  const auto files = testing::unified_machine();
  for (const char* name : {"NCPUS", "PBS_NCPUS"}) {
    decide(files, {{name, "3"}});
    EXPECT_EQ(budget_.count, 8u) << name;
    EXPECT_THAT(source(name).detail, HasSubstr("outside of a job"));
    decide(files, {{name, "3"}, {"PBS_JOBID", "17.host"}});
    EXPECT_EQ(budget_.count, 3u) << name;
  }
}

TEST_F(CpuBudgetTest, MalformedSchedulerVariablesAreIgnoredWithANote) {
  for (const char* text : {"0", "-1", "two", "2(x3)", "1.5", "99999999999999999999", " 2"}) {
    decide(testing::unified_machine(), {{"SLURM_CPUS_ON_NODE", text}});
    EXPECT_EQ(budget_.count, 8u) << text;
    EXPECT_THAT(source("SLURM_CPUS_ON_NODE").detail, HasSubstr(text));
  }
  decide(testing::unified_machine(), {{"SLURM_CPUS_ON_NODE", ""}});
  EXPECT_EQ(source("SLURM_CPUS_ON_NODE").detail, "");
}

TEST_F(CpuBudgetTest, OwnRequestsLowerTheNumberAndNeverRaiseIt) {
  decide(testing::unified_machine(), {{"PARCOMPUTE_WORKERS", "3"}});
  EXPECT_EQ(budget_.count, 3u);
  EXPECT_EQ(decider(), "PARCOMPUTE_WORKERS");
  EXPECT_EQ(budget_.cpus.size(), 8u);
  decide(testing::unified_machine(), {{"PARCOMPUTE_WORKERS", "100"}});
  EXPECT_EQ(budget_.count, 8u);
  EXPECT_EQ(decider(), "affinity");
  EXPECT_EQ(source("PARCOMPUTE_WORKERS").value, 100u);
}

TEST_F(CpuBudgetTest, AWrongOwnRequestIsAnErrorThatNamesIt) {
  for (const char* text : {"0", "-1", "many", "2.5", "2 ,", "1000001", "99999999999999999999"}) {
    const auto decided =
        decide_cpu_budget({kEight, {{"PARCOMPUTE_WORKERS", text}}, recorded(testing::unified_machine())});
    ASSERT_FALSE(decided) << text;
    EXPECT_EQ(decided.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(decided.error().message, HasSubstr("PARCOMPUTE_WORKERS is '" + std::string(text) + "'"));
  }
  decide(testing::unified_machine(), {{"PARCOMPUTE_WORKERS", ""}});
  EXPECT_EQ(budget_.count, 8u) << "an empty variable is an unset one";
}

TEST_F(CpuBudgetTest, AMachineThatSaysNothingHasOneCpu) {
  decide({}, {}, {});
  EXPECT_EQ(budget_.count, 1u);
  EXPECT_EQ(budget_.cpus, std::vector<int>{0});
  decide({{"/sys/devices/system/cpu/online", "0-3\n"}}, {}, {});
  EXPECT_EQ(budget_.count, 4u);
}

TEST(CpuList, TheKernelsListsAreRead) {
  EXPECT_EQ(parse_cpu_list("0\n"), std::vector<int>{0});
  EXPECT_EQ(parse_cpu_list("0-2,7\n"), (std::vector<int>{0, 1, 2, 7}));
  for (const char* text : {"", "\n", ",", "0,", "0-", "-1", "2-1", "0-0x", "1,0", "0-2,1", "a", "0 1",
                           "0-999999999999", "0-2000000000"})
    EXPECT_FALSE(parse_cpu_list(text)) << text;
}

TEST(CpuBudgetHere, ThisProcessHasACpu) {
  const auto budget = cpu_budget();
  ASSERT_TRUE(budget) << budget.error().message;
  EXPECT_GE(budget->count, 1u);
  EXPECT_LE(budget->count, budget->cpus.size());
}

TEST(CpuBudgetHere, ANarrowerMaskIsNoticed) {
  const std::vector<int> all = affinity_cpus();
  if (all.size() < 2) GTEST_SKIP() << "this machine gives one CPU";
  EXPECT_EQ(testing::in_child([&] {
              cpu_set_t one;
              CPU_ZERO(&one);
              CPU_SET(static_cast<std::size_t>(all.back()), &one);
              ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
              const auto budget = cpu_budget();
              ASSERT_TRUE(budget);
              EXPECT_EQ(budget->count, 1u);
              EXPECT_EQ(budget->cpus, std::vector<int>{all.back()});
              EXPECT_TRUE(budget->affinity_narrowed);
            }),
            0);
}

}  // namespace
}  // namespace parcompute
