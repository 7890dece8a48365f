// As many arrays as a busy node holds.
#include <sys/resource.h>

#include <cstdio>
#include <set>

#include <fmt/format.h>

#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ManyArrays = ServerTest;

void make(Session& session, int count) {
  for (int i = 0; i < count; ++i) session.create(fmt::format("array-{}", i), DType::kFloat64, {8});
}

TEST_F(ManyArrays, AreListedCompletely) {
  start();
  auto session = connect();
  constexpr int kCount = 3000;
  make(session, kCount);
  std::set<std::string> names;
  for (const ArrayInfo& array : session.list()) EXPECT_TRUE(names.insert(array.name).second) << array.name;
  EXPECT_EQ(names.size(), std::size_t{kCount});
  EXPECT_TRUE(names.contains("array-0"));
  EXPECT_TRUE(names.contains("array-2999"));
}

TEST_F(ManyArrays, TenThousandCostTheCoordinatorLessThan64MiB) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  constexpr int kCount = 10'000;
  if (limit.rlim_max < kCount + 1000)
    GTEST_SKIP() << "an array costs a descriptor, and only " << limit.rlim_max << " are allowed";
  start();
  auto session = connect();
  make(session, kCount);
  const Status status = session.status();
  EXPECT_EQ(status.arrays, std::uint64_t{kCount});
  EXPECT_EQ(session.list().size(), std::size_t{kCount});
  const std::uint64_t resident = resident_bytes(status.server_pid);
  std::printf("the coordinator's resident memory with %d arrays: %.1f MiB\n", kCount,
              static_cast<double>(resident) / static_cast<double>(kMebibyte));
  if (!kSanitized) {
    EXPECT_LE(resident, 64 * kMebibyte);
  }
  EXPECT_EQ(segments().size(), std::size_t{kCount});
}

TEST_F(ManyArrays, OutOfDescriptorsIsARefusalNotAnEnd) {
  if (kSanitized) GTEST_SKIP() << kFullTableConfusesSanitizers;
  start();
  // A worker that starts meanwhile takes what becomes free.
  const pid_t server = pool_is_whole().server_pid;
  auto session = connect();
  const int made = make_until_descriptors_are_out(session, server, 64);
  EXPECT_GT(made, 10);
  EXPECT_EQ(segments().size(), static_cast<std::size_t>(made));
  session.remove("array-0");
  session.create("again", DType::kFloat64, {8});
}

}  // namespace
}  // namespace parcompute::testing
