// Users who share a server: what they may do with each other's arrays, with real uids and real descriptors.
#include <sys/mman.h>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/two_users.h"

namespace parcompute::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kElements = 1000;

// With either backing.
class Sharing : public TwoUsers, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    TwoUsers::SetUp();
    begin_for_both(GetParam());
  }

  void make_as_alice(ArrayMode mode) {
    as(kAlice, [&](Session& session) {
      session.create_arange("a", DType::kInt64, {kElements});
      session.set_mode("a", mode);
    });
  }
  static void expect_not_permitted(const std::function<void()>& body, std::vector<std::string> words = {}) {
    words.insert(words.end(), {fmt::format("belongs to uid {}", kAlice), fmt::format("you are uid {}", kBob)});
    expect_failure(body, ErrorCode::kNotPermitted, words);
  }
  static SubmitOptions into(const Array& array) {
    SubmitOptions options;
    options.into = array;
    return options;
  }
  // The memory as this process was sent it.
  static UniqueFd descriptor_of(const Array& array) {
    if (UniqueFd sealed = memory_of(array)) return sealed;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone) == "/dev/shm/" + array.info().segment_name)
        return UniqueFd(::fcntl(std::atoi(entry.path().filename().c_str()), F_DUPFD_CLOEXEC, 3));
    }
    return {};
  }
};

TEST_P(Sharing, APrivateArrayIsItsOwnersAlone) {
  make_as_alice(ArrayMode::kPrivate);
  as(kBob, [](Session& session) {
    EXPECT_THAT(session.list(), IsEmpty());
    expect_not_permitted([&] { session.find("a"); }, {"mode is private"});
    expect_not_permitted([&] { session.remove("a"); });
    expect_not_permitted([&] { session.set_mode("a", ArrayMode::kGroupWrite); });
    session.create("b", DType::kUint8, {1});
  });
  as(kAlice, [](Session& session) {
    EXPECT_EQ(session.list().size(), 1u);
    EXPECT_EQ(session.find("a").info().mode, ArrayMode::kPrivate);
  });
  EXPECT_EQ(connect().list().size(), 2u) << "root sees all";
}

TEST_P(Sharing, WhatOthersMayReadTheyReadAndCannotWrite) {
  make_as_alice(ArrayMode::kGroupRead);
  as(kBob, [](Session& session) {
    auto a = session.find("a");
    EXPECT_EQ(a.info().owner_uid, kAlice);
    EXPECT_EQ(a.info().mode, ArrayMode::kGroupRead);
    EXPECT_FALSE(a.info().writable);
    EXPECT_EQ(a.view<const std::int64_t>()[kElements - 1], kElements - 1);
    EXPECT_EQ(session.submit(Reduce{.a = a}).wait().scalar->as<std::int64_t>(), kElements * (kElements - 1) / 2);

    expect_failure([&] { a.view<std::int64_t>(); }, ErrorCode::kInvalidArgument, {"read-only"});
    expect_not_permitted([&] { session.submit(session.evaluate("a + 1"), into(a)).wait(); }, {"mode is group-read", "chmod group-write a"});
    expect_not_permitted([&] { session.remove("a"); });
    expect_not_permitted([&] { session.set_mode("a", ArrayMode::kGroupWrite); });

    const UniqueFd memory = descriptor_of(a);
    ASSERT_TRUE(memory);
    EXPECT_EQ(::fcntl(memory.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0), MAP_FAILED);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(::open(fmt::format("/proc/self/fd/{}", memory.get()).c_str(), O_RDWR), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(::ftruncate(memory.get(), 0), -1);
    EXPECT_EQ(::mprotect(a.data(), 4096, PROT_READ | PROT_WRITE), -1) << "of the library's own mapping";
  });
  as(kAlice, [](Session& session) {
    auto a = session.find("a");
    EXPECT_TRUE(a.info().writable);
    for (std::int64_t i = 0; i < kElements; ++i) ASSERT_EQ(a.view<const std::int64_t>()[static_cast<std::size_t>(i)], i);
    a.view<std::int64_t>()[0] = 7;
  });
}

TEST_P(Sharing, WhatOthersMayWriteTheyWriteAndCannotRemove) {
  make_as_alice(ArrayMode::kGroupWrite);
  as(kBob, [](Session& session) {
    auto a = session.find("a");
    EXPECT_TRUE(a.info().writable);
    a.view<std::int64_t>()[0] = 41;
    session.submit(session.evaluate("a + 1"), into(a)).wait();
    expect_not_permitted([&] { session.remove("a"); }, {"its owner alone"});
    expect_not_permitted([&] { session.set_mode("a", ArrayMode::kPrivate); }, {"its owner alone"});
  });
  as(kAlice, [](Session& session) {
    EXPECT_EQ(session.find("a").view<const std::int64_t>()[0], 42);
    session.remove("a");
  });
}

TEST_P(Sharing, ModesOutliveTheServer) {
  make_as_alice(ArrayMode::kGroupRead);
  kill_and_start_again();
  as(kBob, [](Session& session) {
    EXPECT_EQ(session.find("a").info().mode, ArrayMode::kGroupRead);
    expect_not_permitted([&] { session.submit(session.evaluate("a + 1"), into(session.find("a"))).wait(); });
  });
  as(kAlice, [](Session& session) { session.set_mode("a", ArrayMode::kPrivate); });
  kill_and_start_again();
  as(kBob, [](Session& session) { expect_not_permitted([&] { session.find("a"); }); });
}

TEST_P(Sharing, MemoryOfAnArrayThatAReaderHoldsIsNotUsedAgain) {
  make_as_alice(ArrayMode::kGroupRead);
  auto root = connect();
  std::uint64_t spare = 1;
  as(
      kBob,
      [](Session& session, const std::function<void()>& meanwhile) {
        auto a = session.find("a");
        const auto view = a.view<const std::int64_t>();
        meanwhile();
        EXPECT_EQ(view[kElements - 1], kElements - 1);
      },
      [&] {
        root.remove("a");
        spare = root.status().memory_spare_bytes;
      });
  EXPECT_EQ(spare, 0u);
}

INSTANTIATE_TEST_SUITE_P(Backings, Sharing, ::testing::Values("named", "sealed"), [](const auto& backing) { return std::string(backing.param); });

}  // namespace
}  // namespace parcompute::testing
