// Sealed segments: all that arrays can do, in memory that no client can make shorter.
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/base/units.h"
#include "common/os/memory_budget.h"
#include "tests/support/process_state.h"
#include "tests/support/reference.h"
#include "tests/support/shared_service.h"

namespace parcompute::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::int64_t kElements = 300'000;

SubmitOptions named(const std::string& output) {
  SubmitOptions options;
  options.output = output;
  return options;
}

class Sealed : public SharedService {
 protected:
  static bool counts_up(std::span<const std::int64_t> view) {
    for (std::size_t i = 0; i < view.size(); ++i)
      if (view[i] != static_cast<std::int64_t>(i)) return false;
    return true;
  }
};

TEST_F(Sealed, ArraysAreMadeComputedChangedAndRemoved) {
  begin({"--spare-memory", "0"});
  auto session = connect();
  auto a = session.create_arange("a", DType::kInt64, {kElements});
  EXPECT_THAT(a.info().segment_name, StartsWith("memfd:"));
  EXPECT_THAT(segments(), IsEmpty()) << "nothing lies in /dev/shm";
  EXPECT_TRUE(counts_up(a.view<const std::int64_t>()));
  a.view<std::int64_t>()[0] = 5;
  EXPECT_EQ(session.submit(Reduce{.a = a}).wait().scalar->as<std::int64_t>(), kElements * (kElements - 1) / 2 + 5);
  SubmitOptions in_place;
  in_place.into = a;
  session.submit(session.evaluate("a + 1"), in_place).wait();
  EXPECT_EQ(a.view<const std::int64_t>()[0], 6);
  EXPECT_EQ(a.view<const std::int64_t>()[kElements - 1], kElements);
  session.create("small", DType::kUint8, {3});
  session.create("empty", DType::kUint8, {0});
  for (const char* name : {"a", "small", "empty"}) session.remove(name);
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
}

TEST_F(Sealed, ShortenedResultsGiveTheirPagesBack) {
  begin({"--spare-memory", "0"});
  auto session = connect();
  auto all = session.create_arange("", DType::kInt64, {2'000'000});
  auto mask = session.submit(session.evaluate("x % 1000 == 0", {{"x", all}})).wait().output;
  auto kept = session.submit(Compress{all, mask}, named("kept")).wait().output;
  EXPECT_THAT(kept.shape(), ElementsAre(2000));
  EXPECT_EQ(kept.view<const std::int64_t>()[1999], 1'999'000);
  EXPECT_LE(pages_of(kept), 16'000u + 2 * 4096u);
  auto distinct = session.submit(Unique{session.submit(session.evaluate("x % 7", {{"x", all}})).wait().output}).wait().output;
  EXPECT_THAT(distinct.shape(), ElementsAre(7));
  EXPECT_LE(pages_of(distinct), 2 * 4096u);
}

TEST_F(Sealed, AClientThatTruncatesIsRefusedAndNothingHappens) {
  begin();
  auto session = connect();
  auto a = session.create_arange("a", DType::kInt64, {kElements});
  const UniqueFd memory = memory_of(a);
  ASSERT_TRUE(memory);
  for (const off_t length : {off_t{0}, off_t{4096}, off_t{1} << 30}) {
    EXPECT_EQ(::ftruncate(memory.get(), length), -1);
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_EQ(::fallocate(memory.get(), 0, 0, off_t{1} << 30), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_TRUE(counts_up(a.view<const std::int64_t>()));
  EXPECT_EQ(session.submit(Reduce{.a = a}).wait().scalar->as<std::int64_t>(), kElements * (kElements - 1) / 2);
  EXPECT_EQ(replaced(), 0u);
}

TEST_F(Sealed, AnotherUserWhoHasADescriptorCannotOpenItAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  begin();
  auto session = connect();
  auto a = session.create_arange("a", DType::kInt64, {kElements});
  const UniqueFd memory = memory_of(a);
  EXPECT_EQ(in_child([&] {
              if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
              const std::string path = fmt::format("/proc/self/fd/{}", memory.get());
              for (const int how : {O_RDWR, O_WRONLY, O_RDONLY}) {
                EXPECT_EQ(::open(path.c_str(), how), -1);
                EXPECT_EQ(errno, EACCES);
              }
              EXPECT_EQ(::fchmod(memory.get(), 0666), -1);
            }),
            0);
}

TEST_F(Sealed, MemoryOfRemovedArraysIsUsedAgainAndNobodyWhoLooksAtItSeesThat) {
  begin();
  auto session = connect();
  std::string spare;
  {
    auto array = session.create_arange("", DType::kInt64, {kElements});
    spare = array.info().segment_name;
  }
  until([&] { return session.status().memory_spare_bytes > 0; }, "the memory is kept");
  {
    auto next = session.create_arange("next", DType::kInt64, {kElements});
    EXPECT_EQ(next.info().segment_name, spare);
  }
  auto other = connect();
  auto held = other.find("next");
  const auto view = held.view<const std::int64_t>();
  session.remove("next");
  EXPECT_EQ(session.status().memory_spare_bytes, 0u);
  session.create_full("y", scalar_of(std::int64_t{7}), {kElements});
  EXPECT_TRUE(counts_up(view));
}

TEST_F(Sealed, WhatAClientPunchedIsNotUsedAgain) {
  begin();
  auto session = connect();
  {
    auto array = session.create_arange("x", DType::kInt64, {kElements});
    const UniqueFd memory = memory_of(array);
    ASSERT_EQ(::fallocate(memory.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 << 20, 4096), 0);
    // Not through the mapping: that would give it a page again.
    std::int64_t element = 1;
    ASSERT_EQ(::pread(memory.get(), &element, sizeof element, 3 << 20), static_cast<ssize_t>(sizeof element));
    EXPECT_EQ(element, 0);
  }
  session.remove("x");
  EXPECT_EQ(session.status().memory_spare_bytes, 0u);
}

TEST_F(Sealed, WhereDescriptorsAreShortRoomForOneIsRoomForAnArray) {
  if (kSanitized) GTEST_SKIP() << kFullTableConfusesSanitizers;
  begin({"--spare-memory", "0"});
  // A worker that starts meanwhile takes what becomes free.
  const pid_t server = pool_is_whole().server_pid;
  auto session = connect();
  const int made = make_until_descriptors_are_out(session, server, 64);
  EXPECT_GT(made, 10);
  for (int round = 0; round < 3; ++round) {
    session.remove(fmt::format("array-{}", round));
    session.create(fmt::format("again-{}", round), DType::kFloat64, {8});
  }
  EXPECT_EQ(manager_->stored_names().size(), static_cast<std::size_t>(made) + 1) << "systemd has heard of each";
}

TEST_F(Sealed, TheSizeOfDevShmIsNotTheirBudget) {
  begin();
  EXPECT_EQ(connect().status().memory_limit_source, "configured");
  end();
  const MemoryBudget budget = memory_budget({}, false);
  EXPECT_TRUE(std::ranges::none_of(budget.sources, [](const BudgetSource& source) { return source.name == "/dev/shm"; }));
  begin({"--memory", "1024GiB"});
  const Status status = connect().status();
  EXPECT_EQ(status.memory_limit_bytes, budget.limit_bytes);
  EXPECT_EQ(status.memory_limit_source, budget.sources[budget.decided].name);
}

TEST_F(Sealed, WhatTheMachineHasNotGotFreeIsRefusedInTheseWords) {
  begin({"--memory", "1024GiB"});
  auto session = connect();
  const std::uint64_t limit = session.status().memory_limit_bytes;
  const std::uint64_t available = AvailableMemory::open()->bytes();
  if (available + kGiB / 2 > limit) GTEST_SKIP() << format_bytes(available) << " of memory are available, the limit is " << format_bytes(limit);
  expect_failure([&] { session.create("huge", DType::kUint8, {static_cast<std::int64_t>(limit - kMebibyte)}); }, ErrorCode::kOverBudget,
                 {"'huge'", "are free of the machine's memory", "or end other programs"});
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
}

TEST_F(Sealed, IsWhatAServerForAGroupIs) {
  begin({"--admit-group", "nogroup"});
  options_ = {"--workers", "1", "--admit-group", "nogroup"};
  kill_and_start_again();
  EXPECT_THAT(connect().create("a", DType::kUint8, {1}).info().segment_name, StartsWith("memfd:"));
  options_.insert(options_.end(), {"--backing", "named"});
  connect().remove("a");
  kill_and_start_again();
  EXPECT_THAT(connect().create("a", DType::kUint8, {1}).info().segment_name, StartsWith("parcompute-"));
}

}  // namespace
}  // namespace parcompute::testing
