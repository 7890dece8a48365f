// Chunks that are longer than their packet's limit: workers give the rest back.
#include <cstring>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

// Some ten seconds of two processors, in blocks of a millisecond or two: orbits beside the set's cusp, which neither escape nor repeat.
const Mandelbrot kLong{.nx = 4000, .ny = 4000, .x_min = 0.2500000001, .x_max = 0.2500000002, .y_min = -1e-11, .y_max = 1e-11, .max_iter = 20'000};
// More than is done in a few packets' limits, and a small part of that.
constexpr std::uint64_t kFewBlocks = 300;

SubmitOptions in_one_chunk() {
  SubmitOptions options;
  options.chunk_blocks = std::uint64_t{1} << 40;
  return options;
}

class CutChunks : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2);
  }
  std::vector<std::uint64_t> chunks_of_workers() {
    std::vector<std::uint64_t> chunks;
    for (const WorkerInfo& worker : status().workers) chunks.push_back(worker.chunks_done);
    return chunks;
  }
};

TEST_F(CutChunks, AJobThatIsOneIsComputedByAllWorkers) {
  auto session = connect();
  auto job = session.submit(kLong, in_one_chunk());
  until([&] { return job.info().blocks_done > 0; }, "a part of the only chunk is done");
  const auto before = chunks_of_workers();
  until([&] { const auto now = chunks_of_workers(); return now[0] > before[0] && now[1] > before[1]; }, "each worker has a part of it");
  EXPECT_EQ(job.info().state, JobState::kRunning);
  EXPECT_EQ(job.info().retries, 0u);
  job.cancel();
}

TEST_F(CutChunks, ACancelledJobThatIsOneEndsWithinAFewBlocks) {
  auto session = connect();
  auto job = session.submit(kLong, in_one_chunk());
  until([&] { return job.info().blocks_done > 0; }, "a part of the only chunk is done");
  freeze_workers();
  const std::uint64_t before = job.info().blocks_done;
  job.cancel();
  thaw_workers();
  expect_failure([&] { job.wait(); }, ErrorCode::kCancelled);
  const JobInfo info = job.info();
  EXPECT_LE(info.blocks_done, before + kFewBlocks);
  EXPECT_GT(info.blocks_total, 10 * kFewBlocks);
}

TEST_F(CutChunks, TheirResultsAreTheSameBits) {
  auto session = connect();
  auto x = session.create("x", DType::kFloat64, {6'000'000});
  fill_with_rough_numbers(x.view<double>(), 41);
  std::uint64_t cut = 0;
  const auto bits_of = [&](const std::string& expression) {
    std::optional<std::string> first;
    for (const std::uint64_t chunk : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{1} << 40}) {
      SubmitOptions options;
      options.chunk_blocks = chunk;
      JobResult result = session.submit(session.evaluate(expression, {{"x", x}}), options).wait();
      std::string bits(16, '\0');
      if (result.scalar) std::memcpy(bits.data(), result.scalar->bytes.data(), sizeof(double));
      else bits.assign(reinterpret_cast<const char*>(std::as_const(result.output).data()), result.output.info().nbytes());
      if (chunk > 3) cut += result.info.chunks_done;
      if (!first) first = bits;
      EXPECT_TRUE(bits == *first) << expression << " in chunks of " << chunk;
    }
  };
  for (const char* expression : {"sum(sin(x * 1e-6)**2)", "exp(sin(x * 1e-6)) * cos(x * 1e-7)", "std(tanh(x * 1e-6))"}) bits_of(expression);
  EXPECT_GT(cut, 20u) << "none was cut";
}

// Each element is written over exactly once a round, whoever dies with whatever part of the chunk.
TEST_F(CutChunks, ThatOverwriteTheirOperandsCountOnceWhoeverDies) {
  auto session = connect();
  constexpr std::int64_t kSize = 3'000'000;
  auto a = session.create_arange("a", DType::kInt64, {kSize});
  SubmitOptions options = in_one_chunk();
  options.into = a;
  std::mt19937 random(5);
  constexpr unsigned kRounds = 40;
  unsigned round = 0;
  std::uint64_t chunks = 0;
  // A pid may be that of one that is gone, or not there yet: on a busy machine it takes more rounds until as many were hit.
  for (; round < kRounds || replaced() <= kRounds / 2; ++round) {
    auto job = session.submit(session.evaluate("a + 1"), options);
    const std::uint64_t blocks = random() % 90;
    JobInfo info = job.info();
    while (info.blocks_done < blocks && (info.state == JobState::kQueued || info.state == JobState::kRunning)) info = job.info();
    kill_worker(random() % 2);
    JobResult result;
    ASSERT_NO_THROW(result = job.wait()) << round;
    chunks += result.info.chunks_done;
  }
  EXPECT_GT(chunks, 2 * round) << "none was cut";
  pool_is_whole();
  const auto values = a.view<const std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<std::int64_t>(i) + round) << i;
}

}  // namespace
}  // namespace parcompute::testing
