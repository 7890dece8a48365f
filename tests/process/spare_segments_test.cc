// Memory of arrays that are gone is used again, and nobody who still looks at them ever sees it happen.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <span>

#include "common/os/unique_fd.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

constexpr std::int64_t kElements = 300'000;

class SpareSegmentsTest : public ServerTest {
 protected:
  static bool counts_up(std::span<const std::int64_t> view) {
    for (std::size_t i = 0; i < view.size(); ++i)
      if (view[i] != static_cast<std::int64_t>(i)) return false;
    return true;
  }
  static Scalar sevens() {
    Scalar seven;
    seven.dtype = DType::kInt64;
    const std::int64_t value = 7;
    std::memcpy(seven.bytes.data(), &value, sizeof value);
    return seven;
  }
  // An anonymous array of 0, 1, 2, ..., gone again; its memory waits for the next.
  void leave_spare(Session& session) {
    session.create_arange("", DType::kInt64, {kElements});
    until([&] { return session.status().memory_spare_bytes > 0; }, "the memory is kept");
  }
  Array make(Session& session, const std::string& name) { return session.create_full(name, sevens(), {kElements}); }
};

TEST_F(SpareSegmentsTest, TheNextArrayOfItsSizeIsMadeInIt) {
  start();
  auto session = connect();
  leave_spare(session);
  const auto before = segments();
  ASSERT_EQ(before.size(), 1u);
  auto next = make(session, "next");
  EXPECT_EQ(segments(), before);
  EXPECT_EQ(session.status().memory_spare_bytes, 0u);
  for (const std::int64_t value : next.view<const std::int64_t>()) ASSERT_EQ(value, 7);
  leave_spare(session);
  auto zeros = session.create("zeros", DType::kInt64, {kElements});
  for (const std::int64_t value : zeros.view<const std::int64_t>()) ASSERT_EQ(value, 0);
}

TEST_F(SpareSegmentsTest, AnotherClientsViewOfARemovedArrayStaysAsItWas) {
  start();
  auto session = connect();
  session.create_arange("x", DType::kInt64, {kElements});
  auto other = connect();
  auto held = other.find("x");
  const auto view = held.view<const std::int64_t>();
  session.remove("x");
  EXPECT_EQ(session.status().memory_spare_bytes, 0u);
  make(session, "y");
  EXPECT_TRUE(counts_up(view));
}

TEST_F(SpareSegmentsTest, AViewThatOutlivesItsSessionStaysAsItWas) {
  start();
  auto session = connect();
  session.create_arange("x", DType::kInt64, {kElements});
  std::optional<Session> other = connect();
  auto held = other->find("x");
  const auto view = held.view<const std::int64_t>();
  other.reset();
  until([&] { return session.status().sessions == 1; }, "the session has ended");
  session.remove("x");
  make(session, "y");
  EXPECT_TRUE(counts_up(view));
}

TEST_F(SpareSegmentsTest, AForkedChildsViewStaysAsItWas) {
  start();
  auto session = connect();
  std::optional<Array> array = session.create_arange("", DType::kInt64, {kElements});
  const auto view = array->view<const std::int64_t>();
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(go[1]);
    if (::read(go[0], &byte, 1) < 0) ::_exit(2);
    ::_exit(counts_up(view) ? 0 : 1);
  }
  ::close(go[0]);
  array.reset();
  make(session, "y");
  ::close(go[1]);
  EXPECT_EQ(wait_for(child), 0);
}

TEST_F(SpareSegmentsTest, WhatAHolderTruncatedOrPunchedIsNotUsedAgain) {
  start();
  auto session = connect();
  for (const bool truncate : {true, false}) {
    auto array = session.create_arange("x", DType::kInt64, {kElements});
    UniqueFd held(::open(("/dev/shm/" + segments().front()).c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(held);
    if (truncate) {
      ASSERT_EQ(::ftruncate(held.get(), 4096), 0);
    } else {
      ASSERT_EQ(::fallocate(held.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 << 20, 4096), 0);
    }
    array = Array();
    held.reset();
    session.remove("x");
    EXPECT_EQ(session.status().memory_spare_bytes, 0u) << (truncate ? "truncated" : "punched");
    auto next = make(session, "y");
    for (const std::int64_t value : next.view<const std::int64_t>()) ASSERT_EQ(value, 7);
    next = Array();
    session.remove("y");
    until([&] { return session.status().memory_spare_bytes > 0; }, "the whole one is kept");
    make(session, "");
  }
}

TEST_F(SpareSegmentsTest, AServerThatIsKilledLeavesNoArrayInThem) {
  start_lasting();
  {
    auto session = connect();
    session.create_arange("gone", DType::kInt64, {kElements});
    session.remove("gone");
    EXPECT_GT(session.status().memory_spare_bytes, 0u);
  }
  EXPECT_EQ(segments().size(), 1u);
  kill_server();
  start_lasting();
  EXPECT_TRUE(connect().list().empty());
  EXPECT_TRUE(segments().empty());
}

}  // namespace
}  // namespace parcompute::testing
