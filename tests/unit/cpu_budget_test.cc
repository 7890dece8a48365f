#include "common/os/cpu_budget.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/os/affinity.h"
#include "common/os/cpu_watch.h"
#include "common/os/read_topology.h"
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
    const auto decided = decide_cpu_budget(
        {std::move(affinity), std::move(variables), recorded(std::move(files)), topology_, hyperthreads_});
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

  // CPUs 0 and 1 are threads of the first core, 2 and 3 of the second ...
  void have_hyperthreads() { topology_ = *synthetic_topology("pack:1 core:4 pu:2"); }

  Topology topology_;  // nothing is known
  bool hyperthreads_ = false;
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

TEST_F(CpuBudgetTest, TwoThreadsOfACoreCountOnceUnlessTheyAreAskedFor) {
  have_hyperthreads();
  decide(testing::unified_machine());
  EXPECT_EQ(budget_.count, 4u);
  EXPECT_EQ(decider(), "cores");
  EXPECT_THAT(source("cores").detail, HasSubstr("8 CPUs are hyperthreads of 4 cores"));
  decide(testing::unified_machine(), {}, {0, 1, 2, 4});
  EXPECT_EQ(budget_.count, 3u);
  decide(testing::unified_machine(), {}, {0, 2, 4, 6});
  EXPECT_EQ(budget_.count, 4u);
  EXPECT_EQ(decider(), "affinity");
  hyperthreads_ = true;
  decide(testing::unified_machine());
  EXPECT_EQ(budget_.count, 8u);
  EXPECT_FALSE(source("cores").value);
  EXPECT_THAT(source("cores").detail, HasSubstr("asked for"));
}

// A batch system that counts threads gave two cores here.
TEST_F(CpuBudgetTest, AnAllocationOfThreadsHasItsCores) {
  have_hyperthreads();
  decide(testing::unified_machine(), {{"SLURM_CPUS_PER_TASK", "4"}}, {0, 1, 2, 3});
  EXPECT_EQ(budget_.count, 2u);
  EXPECT_EQ(decider(), "cores");
  decide(testing::unified_machine(), {{"SLURM_CPUS_PER_TASK", "3"}});
  EXPECT_EQ(budget_.count, 3u) << "of a mask with more cores it is a number of workers";
}

TEST_F(CpuBudgetTest, WhoSaysHowManyWorkersSaysThatThreadsAreUsed) {
  have_hyperthreads();
  decide(testing::unified_machine(), {{"PARCOMPUTE_WORKERS", "6"}});
  EXPECT_EQ(budget_.count, 6u);
  EXPECT_EQ(decider(), "PARCOMPUTE_WORKERS");
  EXPECT_FALSE(source("cores").value);
  EXPECT_THAT(source("cores").detail, HasSubstr("PARCOMPUTE_WORKERS says"));
}

TEST_F(CpuBudgetTest, WithoutATopologyEveryCpuCounts) {
  decide(testing::unified_machine());
  EXPECT_EQ(budget_.count, 8u);
  EXPECT_THAT(source("cores").detail, HasSubstr("unknown"));
  // Of CPUs that came later, too.
  topology_ = *synthetic_topology("pack:1 core:1 pu:2");
  decide(testing::unified_machine());
  EXPECT_EQ(budget_.count, 7u);
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
  for (const char* name : {"NCPUS", "PBS_NCPUS", "PBS_NUM_PPN"}) {
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
        decide_cpu_budget({kEight, {{"PARCOMPUTE_WORKERS", text}}, recorded(testing::unified_machine()), {}});
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

// Recorded trees of what batch systems and containers make, whole, with what they set.
struct Tree {
  const char* what;
  RecordedFiles files;
  Variables variables;
  std::vector<int> affinity;
  unsigned count;
  const char* decider;
};

TEST(CpuBudgetTrees, AreReadAsTheirMakersMeantThem) {
  const auto v2 = [](const std::string& group, std::map<std::string, std::string> quotas) {
    RecordedFiles files = testing::unified_machine();
    files["/proc/self/cgroup"] = "0::" + group + "\n";
    for (auto& [path, quota] : quotas) files["/sys/fs/cgroup" + path + "/cpu.max"] = quota + "\n";
    return files;
  };
  const std::string slurm_step = "/system.slice/slurmstepd.scope/job_77/step_0/user/task_0";
  const std::string pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f.slice/cri-containerd-9c.scope";
  const std::vector<int> four{2, 3, 6, 7};
  const std::vector<Tree> trees{
      {"Slurm, constrained by a cpuset, -c 4", v2(slurm_step, {{"/system.slice/slurmstepd.scope/job_77", "max 100000"}}),
       {{"SLURM_CPUS_PER_TASK", "4"}, {"SLURM_CPUS_ON_NODE", "4"}, {"SLURM_JOB_CPUS_PER_NODE", "4(x2)"}}, four, 4, "affinity"},
      {"Slurm without task/affinity, no -c", v2(slurm_step, {}), {{"SLURM_CPUS_ON_NODE", "3"}, {"SLURM_JOB_CPUS_PER_NODE", "3,8"}}, kEight, 3, "SLURM_CPUS_ON_NODE"},
      {"Slurm 22.05's srun, which forgets -c", v2(slurm_step, {}), {{"SLURM_CPUS_ON_NODE", "6"}, {"SRUN_CPUS_PER_TASK", "2"}}, kEight, 6, "SLURM_CPUS_ON_NODE"},
      {"the shell of an salloc, on another machine", v2("/user.slice/user-1000.slice/session-3.scope", {}), {{"SLURM_JOB_CPUS_PER_NODE", "72(x2),36"}}, kEight, 8, "affinity"},
      {"OpenPBS", v2("/pbspro.slice/pbspro-17.slice", {}), {{"PBS_JOBID", "17.head"}, {"NCPUS", "2"}}, kEight, 2, "NCPUS"},
      {"Torque", v2("/torque", {}), {{"PBS_JOBID", "17.head"}, {"PBS_NUM_PPN", "5"}}, kEight, 5, "PBS_NUM_PPN"},
      {"LSF", v2("/lsf/cluster/job.9.1.2", {}), {{"LSB_JOBID", "9"}, {"LSB_DJOB_NUMPROC", "4"}}, kEight, 4, "LSB_DJOB_NUMPROC"},
      {"SGE, over more than this machine", v2("/", {}), {{"JOB_ID", "4"}, {"NSLOTS", "64"}}, kEight, 8, "affinity"},
      {"a pod whose limit stands two groups above", v2(pod, {{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f.slice", "250000 100000"},
                                                            {"/kubepods.slice", "700000 100000"},
                                                            {pod, "max 100000"}}), {}, kEight, 2, "cgroup v2 cpu.max"},
      {"a user's slice", v2("/user.slice/user-1000.slice/user@1000.service/app.slice/parcompute.service",
                            {{"/user.slice/user-1000.slice", "150000 100000"}, {"/user.slice/user-1000.slice/user@1000.service", "max 100000"}}), {}, kEight, 1, "cgroup v2 cpu.max"},
  };
  for (const Tree& tree : trees) {
    const auto budget = decide_cpu_budget({tree.affinity, tree.variables, recorded(tree.files), {}});
    ASSERT_TRUE(budget) << tree.what;
    EXPECT_EQ(budget->count, tree.count) << tree.what;
    EXPECT_EQ(budget->decider().name, tree.decider) << tree.what;
  }
}

TEST(CpuWatch, SeesANarrowerMaskAndAWiderOne) {
  const std::vector<int> all = affinity_cpus();
  if (all.size() < 2) GTEST_SKIP() << "this machine gives one CPU";
  EXPECT_EQ(testing::in_child([&] {
              CpuWatch watch(cpu_environment());
              for (const std::vector<int>& cpus : {all, {all.back()}, all}) {
                ASSERT_TRUE(set_affinity(0, cpus));
                EXPECT_EQ(watch.look()->cpus, cpus);
              }
            }),
            0);
}

TEST(CpuWatch, TakesAFileThatCannotBeOpenedJustNowForNoLimitLifted) {
  auto files = std::make_shared<RecordedFiles>(testing::unified_machine());
  (*files)[kSlice] = "100000 100000\n";
  auto short_of = std::make_shared<int>(0);
  CpuEnvironment environment{{0, 1}, {}, [files, short_of](const std::string& path) -> Result<std::string> {
                               if (*short_of != 0) return tl::unexpected(Error{ErrorCode::kSystem, "cannot open '" + path + "'", *short_of});
                               return recorded(*files)(path);
                             }, {}};
  CpuWatch watch(environment);
  ASSERT_EQ(watch.look()->count, 1u);
  for (const int error_number : {EMFILE, ENFILE, ENOMEM}) {
    *short_of = error_number;
    EXPECT_EQ(watch.look()->count, 1u);
  }
  *short_of = 0;
  (*files)[kSlice] = "max 100000\n";
  EXPECT_EQ(watch.look()->sources[2].value, std::nullopt);
}

TEST(CpuWatch, SeesNewQuotasAndOtherGroups) {
  auto files = std::make_shared<RecordedFiles>(testing::unified_machine());
  CpuEnvironment environment{{0, 1}, {}, [files](const std::string& path) { return recorded(*files)(path); }, {}};
  CpuWatch watch(environment);
  const auto quota = [&] { return watch.look()->sources[2].value; };
  EXPECT_FALSE(quota());
  (*files)[kSlice] = "300000 100000\n";
  EXPECT_EQ(quota(), 3u);
  (*files)[kSlice] = "100000 100000\n";
  EXPECT_EQ(quota(), 1u);
  (*files)["/proc/self/cgroup"] = "0::/other.slice\n";
  EXPECT_FALSE(quota());
  (*files)["/sys/fs/cgroup/other.slice/cpu.max"] = "200000 100000\n";
  EXPECT_EQ(quota(), 2u);
}

TEST(CpuList, TheKernelsListsAreRead) {
  EXPECT_EQ(parse_cpu_list("0\n"), std::vector<int>{0});
  EXPECT_EQ(parse_cpu_list("0-2,7\n"), (std::vector<int>{0, 1, 2, 7}));
  for (const char* text : {"", "\n", ",", "0,", "0-", "-1", "2-1", "0-0x", "1,0", "0-2,1", "a", "0 1",
                           "0-999999999999", "0-2000000000"})
    EXPECT_FALSE(parse_cpu_list(text)) << text;
}

TEST(CpuBudgetHere, ThisProcessHasACpu) {
  const auto budget = decide_cpu_budget(cpu_environment());
  ASSERT_TRUE(budget) << budget.error().message;
  EXPECT_GE(budget->count, 1u);
  EXPECT_LE(budget->count, budget->cpus.size());
}

TEST(CpuBudgetHere, ANarrowerMaskIsNoticed) {
  const std::vector<int> all = affinity_cpus();
  if (all.size() < 2) GTEST_SKIP() << "this machine gives one CPU";
  EXPECT_EQ(testing::in_child([&] {
              ASSERT_TRUE(set_affinity(0, {all.back()}));
              const auto budget = decide_cpu_budget(cpu_environment());
              ASSERT_TRUE(budget);
              EXPECT_EQ(budget->count, 1u);
              EXPECT_EQ(budget->cpus, std::vector<int>{all.back()});
              EXPECT_TRUE(budget->affinity_narrowed);
            }),
            0);
}

}  // namespace
}  // namespace parcompute
