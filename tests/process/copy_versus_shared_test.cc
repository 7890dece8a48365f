// What the project exists for: arrays handed to workers by copy, as process pools do it, against the service.
//
// Both sides get the same arrays, the same number of workers and one part of the work for each, and compute
// alike; the table that is printed shows what the handing over costs. Only what noise cannot break is
// asserted: equal results, a hand-over cost that does not grow with the array, and a wide margin where
// copying hurts most.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client/cpp/parcompute.h"
#include "common/base/units.h"
#include "tests/support/copy_pool.h"

namespace parcompute {
namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Body>
double seconds_of(Body body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::span<const std::byte> bytes_of(Array& array) {
  return {std::as_const(array).data(), array.info().nbytes()};
}

class CopyVersusShared : public ::testing::Test {
 protected:
  static Session connect(const PrivateServer& server) {
    ConnectOptions options;
    options.socket = server.socket();
    options.start_embedded = false;
    return Session::connect(options);
  }

  static CopyPool start_pool(std::size_t workers) {
    auto pool = CopyPool::start(static_cast<unsigned>(workers));
    if (!pool) throw std::runtime_error(pool.error().message);
    return std::move(*pool);
  }

  std::vector<CopyAnswer> copied(std::span<const CopyTask> tasks) {
    auto answers = pool_.map(tasks);
    if (!answers) throw std::runtime_error(answers.error().message);
    return std::move(*answers);
  }

  PrivateServer server_;
  Session session_ = connect(server_);
  CopyPool pool_ = start_pool(session_.status().workers.size());
};

// One part of the array's bytes for each worker.
std::vector<CopyTask> sum_tasks(Array& a, std::size_t workers) {
  const auto bytes = bytes_of(a);
  std::vector<CopyTask> tasks;
  for (std::size_t i = 0; i < workers; ++i) {
    const std::size_t first = bytes.size() * i / workers, end = bytes.size() * (i + 1) / workers;
    tasks.push_back(
        {CopyOp::kSum,
         {{DType::kUint8, {static_cast<std::int64_t>(end - first)}, bytes.subspan(first, end - first)}},
         {}});
  }
  return tasks;
}

// Round trip minus the time that the worker computed: what is left is the handing over, of each of the chunks that a long one is
// cut into. One worker and as few of them as can be: two workers never end at the same instant, and waiting for the slower one is not
// handing over.
double hand_over_seconds(Session& session, const Array& a) {
  SubmitOptions options;
  options.max_workers = 1;
  options.chunk_blocks = std::uint64_t{1} << 40;
  JobInfo info;
  const double round_trip = seconds_of([&] { info = session.submit(Reduce{Reduce::Op::kSum, a}, options).wait().info; });
  return (round_trip - info.busy_seconds) / static_cast<double>(info.chunks_done);
}

TEST_F(CopyVersusShared, SumsAreEqualAndFarFasterThanCopiesWhereArraysAreLarge) {
  const std::size_t workers = pool_.workers();
  std::printf("sum of uint8, %zu workers; medians (hand-over: the least), alternating\n", workers);
  std::printf("%10s %14s %14s %8s %14s\n", "size", "copied", "shared", "ratio", "hand-over");
  for (const std::uint64_t size : {kKiB, 16 * kKiB, 256 * kKiB, kMiB, 16 * kMiB, 256 * kMiB}) {
    Array a = session_.create("", DType::kUint8, {static_cast<std::int64_t>(size)});
    const auto values = a.view<std::uint8_t>();
    std::iota(values.begin(), values.end(), std::uint8_t{1});
    const auto tasks = sum_tasks(a, workers);

    const int rounds = size <= kMiB ? 51 : size <= 16 * kMiB ? 15 : 11;
    std::vector<double> copied_seconds, shared_seconds, hand_over;
    for (int round = 0; round < rounds; ++round) {
      std::uint64_t copied_sum = 0, shared_sum = 0;
      copied_seconds.push_back(seconds_of([&] {
        for (const CopyAnswer& answer : copied(tasks)) copied_sum += answer.array.view<std::uint64_t>()[0];
      }));
      shared_seconds.push_back(seconds_of([&] {
        shared_sum = session_.submit(Reduce{Reduce::Op::kSum, a}).wait().scalar->as<std::uint64_t>();
      }));
      hand_over.push_back(hand_over_seconds(session_, a));
      ASSERT_EQ(copied_sum, shared_sum) << format_bytes(size);
    }
    const double copied_median = median(copied_seconds), shared_median = median(shared_seconds);
    const double ratio = copied_median / shared_median;
    // The least of all rounds: what another process takes from this one is no cost of handing over, and can
    // only add.
    const double cost = *std::ranges::min_element(hand_over);
    const auto gigabytes = static_cast<double>(size) / 1e9;
    std::printf("%10s %9.2f GB/s %9.2f GB/s %7.1fx %14s\n", format_bytes(size).c_str(),
                gigabytes / copied_median, gigabytes / shared_median, ratio, format_seconds(cost).c_str());
    if (size == 256 * kMiB) {
      EXPECT_GE(ratio, 5) << "the service is not 5 times as fast as copying";
    }
  }
}

TEST_F(CopyVersusShared, HandingOverALargeArrayCostsNoMoreThanASmallOne) {
  const auto make = [&](std::uint64_t size) {
    Array a = session_.create("", DType::kUint8, {static_cast<std::int64_t>(size)});
    std::ranges::fill(a.view<std::uint8_t>(), std::uint8_t{1});
    return a;
  };
  const Array small = make(kMiB), large = make(256 * kMiB);
  // Noise only ever adds, so more rounds come nearer to the truth; copying 256 MiB would never come near it.
  double small_cost = 1, large_cost = 1;
  int rounds = 0;
  while (rounds < 21 || (rounds < 300 && large_cost > 3 * small_cost)) {
    small_cost = std::min(small_cost, hand_over_seconds(session_, small));
    large_cost = std::min(large_cost, hand_over_seconds(session_, large));
    ++rounds;
  }
  std::printf("handing over 1 MiB: %s, 256 MiB: %s (least of %d rounds)\n",
              format_seconds(small_cost).c_str(), format_seconds(large_cost).c_str(), rounds);
  EXPECT_LE(large_cost, 3 * small_cost);
}

// A's rows in one part for each worker, each with the whole of B.
std::vector<CopyTask> matmul_tasks(Array& a, Array& b, std::size_t workers) {
  const auto rows = static_cast<std::size_t>(a.shape()[0]);
  const std::size_t row_bytes = a.info().nbytes() / rows;
  std::vector<CopyTask> tasks;
  for (std::size_t i = 0; i < workers; ++i) {
    const std::size_t first = rows * i / workers, end = rows * (i + 1) / workers;
    if (first == end) continue;
    tasks.push_back({CopyOp::kMatmul,
                     {{DType::kFloat64,
                       {static_cast<std::int64_t>(end - first), a.shape()[1]},
                       bytes_of(a).subspan(first * row_bytes, (end - first) * row_bytes)},
                      {DType::kFloat64, b.shape(), bytes_of(b)}},
                     {}});
  }
  return tasks;
}

TEST_F(CopyVersusShared, MatrixProductsAreEqual) {
  const std::size_t workers = pool_.workers();
  std::printf("product of two n x n float64 matrices, %zu workers; medians, alternating\n", workers);
  std::printf("%6s %10s %16s %16s %8s\n", "n", "a and b", "copied", "shared", "ratio");
  for (const std::int64_t n : {8, 64, 256, 512, 1024, 2048}) {
    Array a = session_.create("", DType::kFloat64, {n, n});
    Array b = session_.create("", DType::kFloat64, {n, n});
    // Small whole numbers: every sum of products is exact, whatever its order.
    int next = 0;
    for (double& value : a.view<double>()) value = next++ % 11 - 5;
    for (double& value : b.view<double>()) value = next++ % 7 - 3;
    const auto tasks = matmul_tasks(a, b, workers);

    const int rounds = n <= 256 ? 31 : n <= 1024 ? 9 : 3;
    std::vector<double> copied_seconds, shared_seconds;
    for (int round = 0; round < rounds; ++round) {
      std::vector<CopyAnswer> answers;
      copied_seconds.push_back(seconds_of([&] { answers = copied(tasks); }));
      Array product;
      shared_seconds.push_back(seconds_of([&] { product = session_.submit(Matmul{a, b}).wait().output; }));
      auto expected = product.view<const double>();
      for (const CopyAnswer& answer : answers) {
        const auto part = answer.array.view<double>();
        ASSERT_TRUE(std::ranges::equal(part, expected.first(part.size()))) << n;
        expected = expected.subspan(part.size());
      }
      ASSERT_TRUE(expected.empty());
    }
    const double copied_median = median(copied_seconds), shared_median = median(shared_seconds);
    const double gflop = 2e-9 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
    std::printf("%6lld %10s %9.2f GFLOPS %9.2f GFLOPS %7.1fx\n", static_cast<long long>(n),
                format_bytes(2 * a.info().nbytes()).c_str(), gflop / copied_median, gflop / shared_median,
                copied_median / shared_median);
  }
}

}  // namespace
}  // namespace parcompute
