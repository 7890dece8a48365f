// parcompute-copy-baseline: the demo's three computations through a CopyPool, for comparison with the
// service.
//
// Prints one JSON object: seconds (from handing the arrays over to having the answer), busy_seconds (the
// workers' time in the computation, added up), result (a number that the service's result can be checked
// against), workers.
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "common/operation/plans.h"
#include "tests/support/copy_pool.h"

namespace parcompute {
namespace {

struct Options {
  unsigned workers = 0;
  std::uint64_t bytes = 0;
  std::int64_t n = 0;
  std::size_t count = 0;
  std::uint64_t nx = 0, ny = 0, max_iter = 0;
};

struct Outcome {
  double seconds = 0;
  double busy_seconds = 0;
  double result = 0;
};

unsigned cpus_of_this_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

template <class T>
T* elements(PlainArray& array) {
  return reinterpret_cast<T*>(array.data.span().data());
}

// Runs the tasks and adds up what `fold` makes of each answer.
template <class Fold>
Result<Outcome> timed(CopyPool& pool, std::span<const CopyTask> tasks, Fold fold) {
  const auto start = std::chrono::steady_clock::now();
  const auto answers = pool.map(tasks);
  if (!answers) return fail(answers.error());
  Outcome outcome;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const CopyAnswer& answer : *answers) {
    outcome.busy_seconds += answer.busy_seconds;
    outcome.result += fold(answer.array);
  }
  return outcome;
}

// 0, 1, ..., 255, 0, ...: one part for each worker.
Result<Outcome> sum(CopyPool& pool, const Options& options) {
  PlainArray a = make_array(DType::kUint8, {static_cast<std::int64_t>(options.bytes)});
  std::iota(elements<std::uint8_t>(a), elements<std::uint8_t>(a) + options.bytes, std::uint8_t{0});
  std::vector<CopyTask> tasks;
  for (std::uint64_t i = 0; i < options.workers; ++i) {
    const std::uint64_t first = options.bytes * i / options.workers,
                        end = options.bytes * (i + 1) / options.workers;
    tasks.push_back({CopyOp::kSum,
                     {{DType::kUint8,
                       {static_cast<std::int64_t>(end - first)},
                       a.data.span().subspan(first, end - first)}},
                     {}});
  }
  return timed(pool, tasks,
               [](const PlainArray& answer) { return static_cast<double>(answer.view<std::uint64_t>()[0]); });
}

// A stack of 0, 1, 2, ... times one matrix of 0, 1, 2, ...: a task for each product.
Result<Outcome> matmul(CopyPool& pool, const Options& options) {
  const std::int64_t n = options.n;
  PlainArray a = make_array(DType::kFloat64, {static_cast<std::int64_t>(options.count), n, n});
  PlainArray b = make_array(DType::kFloat64, {n, n});
  std::iota(elements<double>(a), elements<double>(a) + a.view<double>().size(), 0.0);
  std::iota(elements<double>(b), elements<double>(b) + b.view<double>().size(), 0.0);
  std::vector<CopyTask> tasks;
  const std::size_t product_bytes = b.data.span().size();
  for (std::size_t i = 0; i < options.count; ++i) {
    const auto factor = std::as_const(a.data).span().subspan(i * product_bytes, product_bytes);
    tasks.push_back({CopyOp::kMatmul, {{DType::kFloat64, {n, n}, factor}, b.ref()}, {}});
  }
  return timed(pool, tasks, [](const PlainArray& answer) {
    const auto values = answer.view<double>();
    return std::accumulate(values.begin(), values.end(), 0.0);
  });
}

// Four parts for each worker, as Pool.map cuts its work by default.
Result<Outcome> mandelbrot(CopyPool& pool, const Options& options) {
  const std::uint64_t blocks =
      (options.nx * options.ny + kMandelbrotBlockPoints - 1) / kMandelbrotBlockPoints;
  const std::uint64_t parts = std::min<std::uint64_t>(blocks, options.workers * 4);
  std::vector<CopyTask> tasks;
  for (std::uint64_t i = 0; i < parts; ++i) {
    const std::uint64_t first = blocks * i / parts, end = blocks * (i + 1) / parts;
    tasks.push_back({CopyOp::kMandelbrot,
                     {},
                     {options.nx, options.ny, options.max_iter, -2, 1, -1.5, 1.5, first, end - first}});
  }
  return timed(pool, tasks, [](const PlainArray& answer) {
    const auto counts = answer.view<std::int64_t>();
    return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  });
}

int run(int argc, char** argv) {
  CLI::App app{"The demo's computations by worker processes that are handed copies."};
  app.require_subcommand(1);
  Options options;
  options.workers = cpus_of_this_process();
  app.add_option("--workers", options.workers, "worker processes")->check(CLI::Range(1, 4096));
  CLI::App* sum_command = app.add_subcommand("sum", "the sum of a uint8 array");
  sum_command->add_option("--bytes", options.bytes)->required()->check(CLI::PositiveNumber);
  CLI::App* matmul_command = app.add_subcommand("matmul", "products of n x n float64 matrices");
  matmul_command->add_option("--n", options.n)->required()->check(CLI::Range(1, 30000));
  matmul_command->add_option("--count", options.count)->required()->check(CLI::PositiveNumber);
  CLI::App* mandelbrot_command = app.add_subcommand("mandelbrot", "escape counts over [-2, 1] x [-1.5, 1.5]");
  mandelbrot_command->add_option("--nx", options.nx)->required()->check(CLI::PositiveNumber);
  mandelbrot_command->add_option("--ny", options.ny)->required()->check(CLI::PositiveNumber);
  mandelbrot_command->add_option("--max-iter", options.max_iter)->required()->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  auto pool = CopyPool::start(options.workers);
  Result<Outcome> outcome;
  if (!pool)
    outcome = fail(pool.error());
  else if (sum_command->parsed())
    outcome = sum(*pool, options);
  else if (matmul_command->parsed())
    outcome = matmul(*pool, options);
  else
    outcome = mandelbrot(*pool, options);
  if (!outcome) {
    std::fprintf(stderr, "parcompute-copy-baseline: %s\n", outcome.error().message.c_str());
    return 1;
  }
  std::printf("{\"seconds\": %.6f, \"busy_seconds\": %.6f, \"result\": %.17g, \"workers\": %u}\n",
              outcome->seconds, outcome->busy_seconds, outcome->result, options.workers);
  return 0;
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  return parcompute::run(argc, argv);
}
