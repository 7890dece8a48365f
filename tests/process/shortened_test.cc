// Results that turn out shorter than planned: their memory, the next server, and who comes too early.
#include <sys/stat.h>

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::ElementsAre;

SubmitOptions named(const std::string& output) {
  SubmitOptions options;
  options.output = output;
  return options;
}

std::uint64_t pages_of(const std::string& segment) {
  struct stat status {};
  EXPECT_EQ(::stat(("/dev/shm/" + segment).c_str(), &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

class Shortened : public ServerTest {
 protected:
  // int64 0, 1, ..., size - 1, of which every `step`th is kept.
  static Array keep_every(Session& session, std::int64_t size, std::int64_t step, const SubmitOptions& options) {
    auto all = session.create_arange("", DType::kInt64, {size});
    auto mask = session.submit(session.evaluate(fmt::format("x % {} == 0", step), {{"x", all}})).wait().output;
    return session.submit(Compress{all, mask}, options).wait().output;
  }
  static void expect_every(Array array, std::int64_t size, std::int64_t step) {
    const auto view = array.view<const std::int64_t>();
    ASSERT_EQ(view.size(), static_cast<std::size_t>((size + step - 1) / step));
    for (std::size_t i = 0; i < view.size(); ++i) ASSERT_EQ(view[i], static_cast<std::int64_t>(i) * step);
  }
};

TEST_F(Shortened, TheirPagesAreGivenBackAndCountedNoMore) {
  start(3, 256 * kMebibyte, 0);
  auto session = connect();
  constexpr std::int64_t kSize = 2'000'000;
  auto kept = keep_every(session, kSize, 1000, named("kept"));
  expect_every(kept, kSize, 1000);
  EXPECT_THAT(kept.shape(), ElementsAre(2000));
  EXPECT_EQ(kept.info().nbytes(), 16'000u);
  EXPECT_LE(pages_of(kept.info().segment_name), 16'000u + 2 * 4096u);
  until([&] { return session.status().memory_used_bytes <= 16'000 + 2 * 4096; }, "the operands are gone");
  session.export_npy(kept, directory() / "kept.npy");
  expect_every(session.import_npy("back", directory() / "kept.npy"), kSize, 1000);
  session.remove("kept");
  session.remove("back");
  EXPECT_EQ(session.status().memory_used_bytes, 0u);
}

TEST_F(Shortened, ToNothingTheyAreEmptyArrays) {
  start(2);
  auto session = connect();
  auto a = session.create_arange("a", DType::kFloat64, {300'000});
  auto mask = session.create("mask", DType::kBool, {300'000});
  auto none = session.submit(Compress{a, mask}, named("none")).wait().output;
  EXPECT_THAT(none.shape(), ElementsAre(0));
  EXPECT_LE(pages_of(none.info().segment_name), 2 * 4096u);
  EXPECT_EQ(session.submit(Reduce{.a = none}).wait().scalar->as<double>(), 0);
  auto rows = session.create("rows", DType::kFloat64, {300'000, 0});
  EXPECT_THAT(session.submit(Compress{rows, mask}).wait().output.shape(), ElementsAre(0, 0));
}

TEST_F(Shortened, EveryWorkerCountAndChunkSizeAgreesOnTheLength) {
  for (const unsigned workers : {1u, 2u, 3u, 7u}) {
    start(workers);
    {
      auto session = connect();
      for (const std::uint64_t chunk : {0, 1, 3}) {
        SubmitOptions options;
        options.chunk_blocks = chunk;
        for (const std::int64_t step : {1, 3, 70'000}) {
          SCOPED_TRACE(fmt::format("{} workers, chunks of {}, every {}", workers, chunk, step));
          expect_every(keep_every(session, 700'001, step, options), 700'001, step);
        }
        auto many = session.create_arange("", DType::kInt64, {200'000});
        auto wrapped = session.submit(session.evaluate("x % 777", {{"x", many}})).wait().output;
        expect_every(session.submit(Unique{wrapped}, options).wait().output, 777, 1);
      }
    }
    end_server();
  }
}

TEST_F(Shortened, WhileWorkersDieTheyAreAsLongAsEver) {
  start(3);
  auto session = connect();
  auto all = session.create_arange("all", DType::kInt64, {2'000'000});
  auto mask = session.submit(session.evaluate("all % 7 == 0"), named("mask")).wait().output;
  SubmitOptions one_each;
  one_each.chunk_blocks = 1;
  for (unsigned round = 0; round < 25; ++round) {
    auto job = session.submit(Compress{all, mask}, one_each);
    kill_worker(round % 3);
    expect_every(job.wait().output, 2'000'000, 7);
  }
  pool_is_whole();
}

TEST_F(Shortened, TheNextServerFindsThemAsTheyAre) {
  start_lasting(2);
  std::vector<std::string> names;
  // Below and above the size from which data begin on a huge page.
  const std::vector<std::pair<std::int64_t, std::int64_t>> cases{{1000, 10}, {262'144, 1}, {262'144, 262'143}, {600'000, 100}, {600'000, 2}};
  {
    auto session = connect();
    for (const auto& [size, step] : cases) {
      names.push_back(fmt::format("kept{}", names.size()));
      keep_every(session, size, step, named(names.back()));
    }
    kill_server();
  }
  start_lasting(2);
  auto session = connect();
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    auto array = session.find(names[i]);
    EXPECT_FALSE(array.info().incomplete);
    expect_every(array, cases[i].first, cases[i].second);
    most += array.info().nbytes() + 2 * 4096;
    session.submit(session.evaluate("x + 1", {{"x", array}})).wait();
  }
  EXPECT_LE(session.status().memory_used_bytes, 2 * most);
  for (const std::string& name : names) session.remove(name);
  until([&] { return session.status().memory_used_bytes == 0; }, "all of it is given back");
  session.stop_server(true);
}

TEST_F(Shortened, TheirMemoryIsNeverTakenForThatOfALongerArray) {
  start(2);
  auto session = connect();
  for (const std::int64_t step : {1, 2, 3}) {
    keep_every(session, 262'144, step, {});  // gone at once
    for (const std::int64_t size : {262'144, 131'072, 87'382}) {
      auto next = session.create_full("", scalar_of(std::int64_t{5}), {size});
      const auto view = next.view<const std::int64_t>();
      ASSERT_TRUE(std::ranges::all_of(view, [](std::int64_t value) { return value == 5; })) << step << " " << size;
      EXPECT_GE(pages_of(next.info().segment_name), next.info().nbytes());
    }
  }
}

TEST_F(Shortened, BeforeTheirLengthIsKnownTheyCannotBePlannedWith) {
  start(2);
  auto session = connect();
  auto all = session.create_arange("all", DType::kInt64, {10'000});
  auto mask = session.submit(session.evaluate("all < 10"), named("mask")).wait().output;
  freeze_workers();
  SubmitOptions options = named("kept");
  options.detach = true;
  auto job = session.submit(Compress{all, mask}, options);
  auto kept = session.find("kept");
  EXPECT_TRUE(kept.info().incomplete);
  expect_failure([&] { session.submit(Reduce{.a = kept}).wait(); }, ErrorCode::kBadData, {"'kept'", fmt::format("wait for job {}", job.id())});
  thaw_workers();
  job.wait();
  EXPECT_EQ(session.submit(Reduce{.a = session.find("kept")}).wait().scalar->as<std::int64_t>(), 45);
}

}  // namespace
}  // namespace parcompute::testing
