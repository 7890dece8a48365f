#include "common/os/oom_kills.h"

#include <gtest/gtest.h>

#include "tests/unit/recorded_files.h"

namespace parcompute {
namespace {

using testing::container;
using testing::hybrid_machine;
using testing::recorded;
using testing::RecordedFiles;
using testing::unified_machine;

constexpr const char* kV2 = "/sys/fs/cgroup/system.slice/parcompute.service/memory.events";
constexpr const char* kV1 = "/sys/fs/cgroup/memory/batch/job_1/memory.oom_control";
constexpr const char* kEvents = "low 0\nhigh 5\nmax 17\noom 4\noom_kill 3\noom_group_kill 0\n";
constexpr const char* kControl = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";

RecordedFiles with(RecordedFiles files, const RecordedFiles& more) {
  files.insert(more.begin(), more.end());
  return files;
}

TEST(OomKillsTest, AreCountedByTheNearestThatCounts) {
  const RecordedFiles machine{{"/proc/vmstat", "nr_free_pages 12\noom_kill 9\nnuma_hit 1\n"}};
  const struct {
    const char* what;
    RecordedFiles files;
    std::optional<std::uint64_t> count;
  } cases[] = {
      {"version 2", with(unified_machine(), {{kV2, kEvents}}), 3},
      {"version 2, before any was killed", with(unified_machine(), {{kV2, "oom 0\noom_kill 0\n"}}), 0},
      {"the last line without its end", with(unified_machine(), {{kV2, "oom 4\noom_kill 3"}}), 3},
      {"version 1", with(container(), {{"/sys/fs/cgroup/memory/memory.oom_control", kControl}}), 2},
      {"both, the controller with version 1", with(hybrid_machine(), {{kV1, kControl}}), 2},
      {"the group before the machine", with(with(unified_machine(), {{kV2, kEvents}}), machine), 3},
      {"version 2, a root group, which has no such file", with(unified_machine(), machine), 9},
      {"version 1, a kernel that does not count", with(with(hybrid_machine(), {{kV1, "oom_kill_disable 0\nunder_oom 0\n"}}), machine), 9},
      {"no groups", machine, 9},
      {"a word that begins like it", with(unified_machine(), {{kV2, "oom_kill_disable 1\n"}}), std::nullopt},
      {"no number", with(unified_machine(), {{kV2, "oom_kill x\n"}}), std::nullopt},
      {"too large a number", with(unified_machine(), {{kV2, "oom_kill 18446744073709551616\n"}}), std::nullopt},
      {"nothing behind it", with(unified_machine(), {{kV2, "oom_kill"}}), std::nullopt},
      {"an empty file", with(unified_machine(), {{kV2, ""}}), std::nullopt},
      {"a file that may not be read", with(unified_machine(), {{kV2, "<denied>"}}), std::nullopt},
      {"no files at all", {}, std::nullopt},
  };
  for (const auto& row : cases) EXPECT_EQ(OomCounter(recorded(row.files)).count(), row.count) << row.what;
}

TEST(OomKillsTest, ExplainOneDeathEach) {
  OomKills kills;
  kills.begin(4);
  EXPECT_FALSE(kills.explain_one(4)) << "somebody else sent the signal";
  EXPECT_TRUE(kills.explain_one(6));
  EXPECT_TRUE(kills.explain_one(6));
  EXPECT_FALSE(kills.explain_one(6));
}

TEST(OomKillsTest, AreNotLostInTheSecondBetweenTheCountAndTheReport) {
  OomKills kills;
  kills.begin(0);
  kills.on_second(1);  // it is counted, and the process is ending
  EXPECT_TRUE(kills.explain_one(1));
  kills.on_second(1);
  EXPECT_FALSE(kills.explain_one(1)) << "that one was explained before the second began";
}

TEST(OomKillsTest, OfLongAgoWereOthers) {
  OomKills kills;
  kills.begin(0);
  kills.on_second(1);
  kills.on_second(1);
  EXPECT_FALSE(kills.explain_one(1));
  // While nobody looked.
  kills.begin(5);
  EXPECT_FALSE(kills.explain_one(5));
  EXPECT_TRUE(kills.explain_one(6));
}

TEST(OomKillsTest, ThatNobodyCountsExplainNothing) {
  OomKills kills;
  EXPECT_FALSE(kills.explain_one(7));
  kills.begin(std::nullopt);
  EXPECT_FALSE(kills.explain_one(std::nullopt));
  EXPECT_FALSE(kills.explain_one(7)) << "when it began to count is not known";
  kills.on_second(7);
  kills.on_second(7);
  EXPECT_TRUE(kills.explain_one(8));
}

}  // namespace
}  // namespace parcompute
