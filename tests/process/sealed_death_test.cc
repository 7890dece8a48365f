// A server with sealed segments dies or is restarted: what systemd kept of it, and what the next one makes of that.
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/shm/segment_header.h"
#include "tests/support/newer_server.h"
#include "tests/support/shared_service.h"

namespace parcompute::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SealedDeath : public SharedService {
 protected:
  std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const ArrayInfo& array : connect().list()) all.push_back(array.name);
    std::sort(all.begin(), all.end());
    return all;
  }
  ServiceManager::Stored& stored(const std::string& name) {
    return *std::ranges::find(manager_->store(), name, &ServiceManager::Stored::name);
  }
  void kill() {
    serve_at(lasting_socket(), 0);
    manager_->kill();
  }
};

TEST_F(SealedDeath, LeavesNamedArraysToTheNextServerWithTheSameBits) {
  begin();
  std::uint64_t used = 0;
  {
    auto session = connect();
    session.create_arange("large", DType::kInt64, {3, 200'000});
    session.create("empty", DType::kUint8, {0});
    session.create("point", DType::kFloat64, {}).view<double>()[0] = 0.5;
    auto anonymous = session.create("", DType::kUint8, {10});
    used = session.status().memory_used_bytes - 2 * 4096;
    EXPECT_THAT(manager_->stored_names(), ElementsAre("array-0", "array-1", "array-2", "catalog"));
  }
  for (const bool kill : {true, false, true}) {
    serve_at(lasting_socket(), 0);
    if (kill) manager_->kill();
    else EXPECT_EQ(manager_->terminate(), 0);
    start_again();
    auto session = connect();
    EXPECT_EQ(session.status().memory_used_bytes, used);
    auto large = session.find("large");
    EXPECT_FALSE(large.info().incomplete);
    EXPECT_THAT(large.shape(), ElementsAre(3, 200'000));
    EXPECT_EQ(large.view<const std::int64_t>()[599'999], 599'999);
    EXPECT_EQ(session.find("point").view<const double>()[0], 0.5);
    EXPECT_EQ(session.find("empty").size(), 0u);
    // They are arrays as any other.
    EXPECT_EQ(session.submit(Reduce{.a = large}).wait().scalar->as<std::int64_t>(), std::int64_t{599'999} * 300'000);
    EXPECT_THAT(names(), ElementsAre("empty", "large", "point"));
  }
  connect().remove("large");
  EXPECT_THAT(manager_->stored_names(), SizeIs(3));
  kill_and_start_again();
  EXPECT_THAT(names(), ElementsAre("empty", "point"));
  connect().create("large", DType::kUint8, {1});
}

TEST_F(SealedDeath, InTheMiddleOfAJobLeavesItsOutputMarkedIncomplete) {
  begin();
  {
    auto session = connect();
    session.create_arange("whole", DType::kInt64, {1000});
    session.create_arange("changed", DType::kInt64, {1000});
    freeze_workers();
    session.submit(Mandelbrot{.nx = 500, .ny = 500, .max_iter = 10}, detached("picture"));
    SubmitOptions in_place;
    in_place.into = session.find("changed");
    in_place.detach = true;
    session.submit(session.evaluate("whole + 1"), in_place);
  }
  kill_and_start_again();
  thaw_workers();
  auto session = connect();
  EXPECT_FALSE(session.find("whole").info().incomplete);
  for (const char* name : {"picture", "changed"}) {
    auto array = session.find(name);
    EXPECT_TRUE(array.info().incomplete) << name;
    expect_failure([&] { session.submit(Reduce{.a = array}).wait(); }, ErrorCode::kBadData, {name, "incomplete"});
  }
}

TEST_F(SealedDeath, WhileItLookedAtTheCustodyOfASegmentKeepsNobodyFromIt) {
  begin();
  connect().create_arange("a", DType::kInt64, {1000});
  kill();
  // As the lease of a server that did not come to give it back.
  const int descriptor = stored("array-0").fd.get();
  ASSERT_EQ(::fcntl(descriptor, F_SETLEASE, F_WRLCK), 0);
  start_again();
  // With one the next line would wait for 45 s.
  ASSERT_EQ(::fcntl(descriptor, F_GETLEASE), F_UNLCK);
  EXPECT_EQ(connect().find("a").view<const std::int64_t>()[999], 999);
}

TEST_F(SealedDeath, KeepsARemovedNameRemovedThoughAJobStillReadIt) {
  begin();
  {
    auto session = connect();
    auto old = session.create_arange("a", DType::kInt64, {1000});
    freeze_workers();
    SubmitOptions options;
    options.detach = true;
    session.submit(Reduce{.a = old}, options);
    session.remove("a");
    session.create("a", DType::kUint8, {5});
    EXPECT_THAT(manager_->stored_names(), SizeIs(2));
  }
  kill_and_start_again();
  thaw_workers();
  EXPECT_THAT(names(), ElementsAre("a"));
  EXPECT_EQ(connect().find("a").dtype(), DType::kUint8);
}

TEST_F(SealedDeath, FindsShortenedArraysAsTheyAre) {
  begin();
  {
    auto session = connect();
    auto all = session.create_arange("", DType::kInt64, {600'000});
    auto mask = session.submit(session.evaluate("x % 100 == 0", {{"x", all}})).wait().output;
    SubmitOptions options;
    options.output = "kept";
    session.submit(Compress{all, mask}, options).wait();
  }
  kill_and_start_again();
  auto kept = connect().find("kept");
  EXPECT_THAT(kept.shape(), ElementsAre(6000));
  EXPECT_EQ(kept.view<const std::int64_t>()[5999], 599'900);
}

// Arrays come and go all the while, each with a slot that another one had, and never more than systemd keeps.
TEST_F(SealedDeath, WheneverItComesLosesNoArrayAndInventsNone) {
  begin();
  std::minstd_rand random(5);
  for (int round = 0; round < 40; ++round) {
    std::map<std::string, std::int64_t> there;  // and how long
    std::string in_doubt;
    std::atomic<unsigned> steps{0};
    std::thread client([&] {
      try {
        auto session = connect();
        for (std::int64_t i = 0;; ++i) {
          in_doubt = fmt::format("r{}-{}", round, i);
          session.create_arange(in_doubt, DType::kInt64, {1000 + i});
          there[in_doubt] = 1000 + i;
          if (i % 3 == 2 || there.size() >= kRoom / 2) {
            in_doubt = there.begin()->first;
            session.remove(in_doubt);
            there.erase(in_doubt);
          }
          ++steps;
        }
      } catch (const Failure& failure) {
        EXPECT_EQ(failure.code(), ErrorCode::kNoServer) << failure.what();
      }
    });
    const auto enough = 1 + static_cast<unsigned>(random() % 20);
    until([&] { return steps >= enough; }, "arrays have been made");
    manager_->kill();
    client.join();
    start_again();
    auto session = connect();
    std::map<std::string, std::int64_t> found;
    for (const ArrayInfo& array : session.list()) {
      found[array.name] = array.shape.at(0);
      // One that was not acknowledged may be cut off.
      if (array.incomplete) {
        EXPECT_EQ(array.name, in_doubt);
      } else {
        const auto view = session.find(array.name);
        EXPECT_EQ(view.size(), static_cast<std::uint64_t>(array.shape.at(0)));
        EXPECT_EQ(reinterpret_cast<const std::int64_t*>(view.data())[array.shape.at(0) - 1], array.shape.at(0) - 1) << array.name;
      }
      session.remove(array.name);
    }
    found.erase(in_doubt);
    there.erase(in_doubt);
    EXPECT_EQ(found, there) << "round " << round;
    EXPECT_THAT(manager_->stored_names(), ElementsAre("catalog"));
  }
}

// Whoever may write an array may write all of its segment.
TEST_F(SealedDeath, BelievesNothingThatAClientWroteIntoItsSegment) {
  begin();
  {
    auto session = connect();
    auto mine = session.create_arange("mine", DType::kInt64, {1000});
    SegmentHeader lie;
    lie.spec = ArraySpec{DType::kUint8, {100}, {1}, 0};
    lie.name = "theirs";
    lie.owner_uid = 12345;
    lie.complete = true;
    lie.data_offset = kSegmentHeaderBytes;
    lie.data_bytes = 100;
    const SegmentHeaderPage page = encode_segment_header(lie);
    ASSERT_EQ(::pwrite(memory_of(mine).get(), page.data(), page.size(), 0), static_cast<ssize_t>(page.size()));
  }
  kill_and_start_again();
  EXPECT_THAT(names(), ElementsAre("mine"));
  auto mine = connect().find("mine");
  EXPECT_EQ(mine.info().owner_uid, ::geteuid());
  EXPECT_EQ(mine.view<const std::int64_t>()[999], 999);
}

TEST_F(SealedDeath, WithDescriptorsThatDoNotFitIsSurvivedByTheNext) {
  begin();
  {
    auto session = connect();
    for (const char* name : {"good", "swapped", "too", "unsealed", "lost", "foreign"}) session.create_arange(name, DType::kInt64, {1000});
  }
  kill();
  // "swapped" and "too" change places: each page describes other memory.
  std::swap(stored("array-1").fd, stored("array-2").fd);
  UniqueFd unsealed(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 12'288), 0);
  stored("array-3").fd = std::move(unsealed);
  std::erase_if(manager_->store(), [](const auto& one) { return one.name == "array-4"; });
  stored("array-5").fd = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  manager_->store().push_back({"array-0", UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))});
  manager_->store().push_back({"array-77", UniqueFd(::fcntl(stored("array-0").fd.get(), F_DUPFD_CLOEXEC, 3))});
  manager_->store().push_back({"stored", UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))});
  start_again();
  EXPECT_THAT(names(), ElementsAre("good"));
  EXPECT_THAT(manager_->stored_names(), ElementsAre("array-0", "catalog")) << "what did not fit is let go";
  for (const char* name : {"swapped", "too", "unsealed", "lost", "foreign"}) connect().create_arange(name, DType::kInt64, {10});
  kill_and_start_again();
  EXPECT_THAT(names(), SizeIs(6));
  EXPECT_EQ(connect().find("good").view<const std::int64_t>()[999], 999);
}

// An upgrade that was taken back: what the newer server left is for the next one of its kind.
TEST_F(SealedDeath, LeavesArraysOfANewerServerToOneThatCanReadThem) {
  begin();
  for (const char* name : {"old", "newer"}) connect().create_arange(name, DType::kInt64, {1000});
  kill();
  const SegmentHeaderPage page = read_page(stored("catalog").fd.get(), kSegmentHeaderBytes);
  write_page(stored("catalog").fd.get(), kSegmentHeaderBytes, of_newer_server(page));
  // What fits nothing and has its name goes without it.
  manager_->store().push_back({"array-1", UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))});
  for (int start = 0; start < 2; ++start) {
    start_again();
    EXPECT_THAT(names(), ElementsAre("old"));
    // Its slot is nobody else's.
    connect().create_arange("another", DType::kInt64, {10});
    EXPECT_THAT(manager_->stored_names(), ElementsAre("array-0", "array-1", "array-2", "catalog"));
    connect().remove("another");
    kill();
  }
  write_page(stored("catalog").fd.get(), kSegmentHeaderBytes, page);
  start_again();
  EXPECT_THAT(names(), ElementsAre("newer", "old"));
  EXPECT_EQ(connect().find("newer").view<const std::int64_t>()[999], 999);
}

// While a newer server's array is out of an older one's reach its name is free. Then both are there.
TEST_F(SealedDeath, LeavesBothOfTwoArraysThatCameToOneName) {
  begin();
  connect().create_arange("a", DType::kInt64, {1000});
  kill();
  const SegmentHeaderPage page = read_page(stored("catalog").fd.get(), 0);
  write_page(stored("catalog").fd.get(), 0, of_newer_server(page));
  start_again();
  for (const char* name : {"a", "a_2"}) connect().create_arange(name, DType::kInt64, {name == std::string("a") ? 10 : 20});
  kill();
  write_page(stored("catalog").fd.get(), 0, page);
  for (int start = 0; start < 2; ++start) {
    start_again();
    EXPECT_THAT(names(), ElementsAre("a", "a_2", "a_3"));
    EXPECT_EQ(connect().find("a").view<const std::int64_t>()[999], 999);
    EXPECT_THAT(connect().find("a_2").shape(), ElementsAre(20));
    EXPECT_THAT(connect().find("a_3").shape(), ElementsAre(10));
    kill();
  }
  start_again();
}

TEST_F(SealedDeath, WithoutItsCatalogLeavesNothing) {
  begin();
  connect().create_arange("a", DType::kInt64, {1000});
  kill();
  stored("catalog").fd = UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  start_again();
  EXPECT_THAT(names(), IsEmpty());
  connect().create_arange("b", DType::kInt64, {1000});
  kill_and_start_again();
  EXPECT_THAT(names(), ElementsAre("b"));
}

TEST_F(SealedDeath, EndsArraysThatSystemdHadNoRoomFor) {
  begin({}, 3);
  {
    auto session = connect();
    for (const char* name : {"a", "b", "c"}) session.create_arange(name, DType::kInt64, {10});
  }
  EXPECT_THAT(manager_->stored_names(), ElementsAre("array-0", "array-1", "catalog"));
  kill_and_start_again();
  EXPECT_THAT(names(), ElementsAre("a", "b"));
}

TEST_F(SealedDeath, EndsAllArraysWhereSystemdKeepsNothing) {
  begin({}, 0);
  connect().create_arange("a", DType::kInt64, {10});
  EXPECT_THAT(manager_->stored_names(), IsEmpty());
  kill_and_start_again();
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(SealedDeath, AndAServerWithNamedSegmentsLeaveEachOthersArraysAlone) {
  begin();
  connect().create_arange("sealed", DType::kInt64, {10});
  options_.back() = "named";
  kill_and_start_again();
  EXPECT_THAT(names(), IsEmpty());
  connect().create_arange("named", DType::kInt64, {10});
  options_.back() = "sealed";
  kill_and_start_again();
  EXPECT_THAT(names(), ElementsAre("sealed"));
  connect().remove("sealed");
  options_.back() = "named";
  kill_and_start_again();
  EXPECT_THAT(names(), ElementsAre("named"));
}

TEST_F(SealedDeath, ByAStopThatDropsArraysLeavesNothingInTheStore) {
  begin();
  connect().create_arange("a", DType::kInt64, {10});
  connect().stop_server(true);
  serve_at(lasting_socket(), 0);
  EXPECT_EQ(manager_->wait(), 0);
  EXPECT_THAT(manager_->stored_names(), ElementsAre("catalog"));
  start_again();
  EXPECT_THAT(names(), IsEmpty());
}

}  // namespace
}  // namespace parcompute::testing
