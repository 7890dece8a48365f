#include "common/os/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/recorded_files.h"

namespace parcompute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::recorded;
using testing::RecordedFiles;

CgroupDirectories directories(const std::string& cgroup, const std::string& mountinfo,
                              std::string_view controller = "") {
  return cgroup_directories(recorded({{"/proc/self/cgroup", cgroup}, {"/proc/self/mountinfo", mountinfo}}),
                            controller);
}

TEST(Cgroup, MountsAreReadWithAnyNumberOfOptionalFields) {
  const auto mounts = parse_cgroup_mounts(
      "31 23 0:28 / /a rw - cgroup2 cgroup2 rw\n"
      "32 23 0:28 /r /b rw shared:1 master:2 propagate_from:3 - cgroup cgroup rw,cpu,cpuacct\n"
      "33 23 0:28 / /c\\040d\\134 rw shared:1 - cgroup cgroup rw,memory");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_TRUE(mounts[0].v2);
  EXPECT_EQ(mounts[1].root, "/r");
  EXPECT_THAT(mounts[1].controllers, ElementsAre("rw", "cpu", "cpuacct"));
  EXPECT_EQ(mounts[2].mount_point, "/c d\\");
}

TEST(Cgroup, MalformedLinesArePassedOver) {
  EXPECT_THAT(parse_cgroup_mounts(""), IsEmpty());
  EXPECT_THAT(
      parse_cgroup_mounts("\n \n-\n - cgroup2\n31 23 0:28 / /a rw cgroup2 cgroup2 rw\n31 23 - cgroup2 c rw\n"
                          "31 23 0:28 / /a rw -\n31 23 0:28 / /a rw - cgroup2 cgroup2\n"),
      IsEmpty());
  EXPECT_THAT(parse_cgroup_paths("\n:\n::\n0:\n0::\n0::relative\n7::/a\nx\n"), IsEmpty());
}

TEST(Cgroup, PathsMayHoldColons) {
  const auto paths = parse_cgroup_paths("4:memory,hugetlb:/a:b/c\n0::/d\n1:name=systemd:/\n");
  ASSERT_EQ(paths.size(), 3u);
  EXPECT_EQ(paths[0].path, "/a:b/c");
  EXPECT_FALSE(paths[0].v2);
  EXPECT_TRUE(paths[1].v2);
}

TEST(Cgroup, EveryAncestorIsNamedFromTheLeafToTheMount) {
  EXPECT_THAT(
      directories("0::/a/b/c\n", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n").directories,
      ElementsAre("/sys/fs/cgroup/a/b/c", "/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"));
  EXPECT_THAT(directories("0::/\n", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n").directories,
              ElementsAre("/sys/fs/cgroup"));
}

TEST(Cgroup, APartOfTheTreeIsMountedUnderItsOwnRoot) {
  const std::string mount = "31 23 0:28 /docker/1 /cg rw - cgroup2 cgroup2 rw\n";
  EXPECT_THAT(directories("0::/docker/1/x\n", mount).directories, ElementsAre("/cg/x", "/cg"));
  EXPECT_THAT(directories("0::/docker/1\n", mount).directories, ElementsAre("/cg"));
}

TEST(Cgroup, AGroupThatTheMountDoesNotShowFallsBackToTheMountWithANote) {
  const std::string mount = "31 23 0:28 /docker/1 /cg rw - cgroup2 cgroup2 rw\n";
  for (const char* group : {"0::/docker/12\n", "0::/\n", "0::/../other\n", "0::/docker/1/../../..\n"}) {
    const auto found = directories(group, mount);
    EXPECT_THAT(found.directories, ElementsAre("/cg")) << group;
    EXPECT_THAT(found.note, HasSubstr("cannot be seen")) << group;
  }
  // A namespace whose own root lies below what is mounted.
  EXPECT_THAT(directories("0::/\n", "31 23 0:28 /.. /cg rw - cgroup2 cgroup2 rw\n").directories,
              ElementsAre("/cg"));
}

TEST(Cgroup, TheMountThatShowsTheGroupIsPreferred) {
  EXPECT_THAT(directories("0::/a\n",
                          "31 23 0:28 / /one rw - cgroup2 cgroup2 rw\n"
                          "32 23 0:28 /b /two rw - cgroup2 cgroup2 rw\n")
                  .directories,
              ElementsAre("/one/a", "/one"));
}

TEST(Cgroup, EachVersionAndControllerHasItsOwnTree) {
  const FileReader read = recorded(testing::hybrid_machine());
  EXPECT_THAT(cgroup_directories(read, "").directories,
              ElementsAre("/sys/fs/cgroup/unified/user.slice", "/sys/fs/cgroup/unified"));
  EXPECT_THAT(
      cgroup_directories(read, "cpu").directories,
      ElementsAre("/sys/fs/cgroup/cpu/batch/job_1", "/sys/fs/cgroup/cpu/batch", "/sys/fs/cgroup/cpu"));
  EXPECT_THAT(cgroup_directories(read, "memory").directories,
              ElementsAre("/sys/fs/cgroup/memory/batch/job_1", "/sys/fs/cgroup/memory/batch",
                          "/sys/fs/cgroup/memory"));
  EXPECT_EQ(cgroup_directories(read, "pids").note, "no such cgroup");
}

TEST(Cgroup, WithoutProcThereAreNoDirectories) {
  const auto found = cgroup_directories(recorded({}), "");
  EXPECT_THAT(found.directories, IsEmpty());
  EXPECT_THAT(found.note, HasSubstr("/proc/self/cgroup"));
  EXPECT_EQ(directories("0::/a\n", "").note, "not mounted");
}

TEST(Cgroup, DecimalNumbersAreWholeOrNothing) {
  EXPECT_EQ(parse_decimal("42\n"), 42u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "\n", "-1", "+1", "1x", "0x1", "1 2", " 1", "18446744073709551616", "max"})
    EXPECT_FALSE(parse_decimal(text)) << text;
}

}  // namespace
}  // namespace parcompute
