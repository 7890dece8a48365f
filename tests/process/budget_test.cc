// Memory: admitted before it is made, refused with figures, free again afterwards.
#include <optional>

#include "common/base/units.h"
#include "tests/support/npy_bytes.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

constexpr std::uint64_t kLimit = 64 * kMebibyte;
constexpr std::int64_t kMebi = kMebibyte;

class OverBudget : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2, kLimit);
  }
};

TEST_F(OverBudget, ArrayIsRefusedWithFiguresAndLeavesNothingBehind) {
  auto session = connect();
  session.create("small", DType::kUint8, {1000});
  const std::uint64_t used = session.status().memory_used_bytes;
  const auto before = segments();
  expect_failure(
      [&] { session.create("large", DType::kUint8, {100 * kMebi}); }, ErrorCode::kOverBudget,
      {"'large'", format_bytes(100 * kMebibyte), format_bytes(kLimit), format_bytes(used), "--memory"});
  EXPECT_EQ(segments(), before);
  EXPECT_EQ(session.status().memory_used_bytes, used);
  EXPECT_EQ(session.status().arrays, 1u);
  // The next one is served.
  EXPECT_EQ(session.create("large", DType::kUint8, {10 * kMebi}).size(), 10 * kMebibyte);
}

TEST_F(OverBudget, FreedMemoryIsUsedAgain) {
  auto session = connect();
  for (int round = 0; round < 5; ++round) {
    auto array = session.create("a", DType::kUint8, {40 * kMebi});
    array.view<std::uint8_t>()[40 * kMebibyte - 1] = 1;
    expect_failure([&] { session.create("b", DType::kUint8, {40 * kMebi}); }, ErrorCode::kOverBudget);
    session.remove("a");
  }
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
}

TEST_F(OverBudget, OutputOfAJobIsRefusedBeforeItRuns) {
  auto session = connect();
  auto a = session.create("a", DType::kFloat64, {3000, 1});
  auto b = session.create("b", DType::kFloat64, {1, 3000});
  const auto before = segments();
  expect_failure([&] { session.submit(Matmul{a, b}).wait(); }, ErrorCode::kOverBudget, {"3000x3000"});
  expect_failure([&] { session.submit(Mandelbrot{.nx = 3000, .ny = 3000, .max_iter = 1}).wait(); },
                 ErrorCode::kOverBudget);
  EXPECT_EQ(segments(), before);
  EXPECT_EQ(session.submit(Reduce{.a = a}).wait().scalar->as<double>(), 0);
}

TEST_F(OverBudget, FailedJobsMemoryIsFree) {
  auto session = connect();
  const std::uint64_t used = session.status().memory_used_bytes;
  freeze_workers();
  auto job = session.submit(Mandelbrot{.nx = 2000, .ny = 2000, .max_iter = 10});
  EXPECT_GT(session.status().memory_used_bytes, used + 30 * kMebibyte);
  job.cancel();
  thaw_workers();
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled);
  EXPECT_EQ(session.status().memory_used_bytes, used);
  EXPECT_TRUE(segments().empty());
}

TEST_F(OverBudget, MemoryOfARemovedArrayCountsUntilItsJobAndItsClientsHaveDone) {
  auto session = connect();
  std::optional array(session.create("a", DType::kUint8, {40 * kMebi}));
  freeze_workers();
  auto job = session.submit(Reduce{.a = *array});
  session.remove("a");
  EXPECT_GT(session.status().memory_used_bytes, 40 * kMebibyte);
  expect_failure([&] { session.create("b", DType::kUint8, {40 * kMebi}); }, ErrorCode::kOverBudget);
  thaw_workers();
  EXPECT_EQ(job.wait().scalar->as<std::uint64_t>(), 0u);
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
  EXPECT_GE(session.status().memory_held_bytes, 40 * kMebibyte) << "this program may look at it still";
  expect_failure([&] { session.create("b", DType::kUint8, {40 * kMebi}); }, ErrorCode::kOverBudget, {"by removed arrays that clients still have"});
  array.reset();
  EXPECT_EQ(session.create("b", DType::kUint8, {40 * kMebi}).size(), 40 * kMebibyte);
  until([&] { return session.status().memory_held_bytes == 0; }, "nothing is held any more");
}

TEST_F(OverBudget, AttachedFilesTakeNoMemory) {
  auto session = connect();
  // Sparse: 100 MiB of zeros behind a header.
  const std::string path = directory() / "large.npy";
  const std::string bytes = npy_file(1, "|u1", false, "(104857600,)", "");
  write_file(path, bytes);
  std::filesystem::resize_file(path, bytes.size() + 100 * kMebibyte);
  auto array = session.attach_npy("file", path);
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
  EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<std::uint64_t>(), 0u);
  expect_failure([&] { session.import_npy("copy", path); }, ErrorCode::kOverBudget, {"'copy'"});
}

}  // namespace
}  // namespace parcompute::testing
