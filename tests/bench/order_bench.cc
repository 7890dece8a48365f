// sort, argsort and scan of one array by several kernels in as many threads, as a pool of workers would run them,
// beside the same by one. NumPy's own time: python3 -c "import numpy, time; a =
// numpy.random.default_rng(1).standard_normal(50_000_000); ...".
//
//     order_bench [elements] [threads]
#include <sys/mman.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using testing::kernel_row;

// Pages as a worker finds them: shared, touched before.
class Pages {
 public:
  explicit Pages(std::size_t bytes) : bytes_(std::max<std::size_t>(bytes, 1)) {
    data_ = static_cast<std::byte*>(
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(data_, bytes_); }
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of all threads: what a machine that others use too does not stretch.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void measure(std::string_view what, const wire::Operation& operation, const std::vector<View>& inputs,
             std::size_t threads) {
  std::vector<OperandInfo> operands;
  for (const View& input : inputs) operands.push_back({input.spec, input.label});
  const auto plan = plan_operation(operation, operands);
  if (!plan) {
    fmt::print("{}\n", plan.error().message);
    return;
  }
  const Pages output(byte_count(*plan->output)), scratch(plan->scratch_bytes);
  const std::vector<View> outputs{{*plan->output, "out", output.data()}};
  const std::span<std::byte> scratch_bytes(scratch.data(), plan->scratch_bytes);
  std::string phases;
  const double total = seconds([&] {
    for (std::size_t phase = 0; phase < plan->phases.size(); ++phase) {
      std::atomic<std::uint64_t> next{0};
      const double cpu = cpu_seconds();
      const double time = seconds([&] {
        std::vector<std::jthread> pool;
        for (std::size_t t = 0; t < threads; ++t)
          pool.emplace_back([&] {
            const auto kernel =
                kernel_row(operation.kind_case()).make(KernelJob{operation, *plan, inputs, outputs, scratch_bytes});
            constexpr std::uint64_t kRun = 4;
            ScalarBytes value;
            for (std::uint64_t first; (first = next.fetch_add(kRun)) < plan->phases[phase].blocks;)
              if (!kernel->run(phase, {first, std::min(kRun, plan->phases[phase].blocks - first)}, value))
                std::abort();
          });
      });
      phases += fmt::format(" {:.3f} (cpu {:.3f}, {} blocks)", time, cpu_seconds() - cpu, plan->phases[phase].blocks);
    }
  });
  fmt::print("{:12} {} threads: {:.3f} s; phases{}\n", what, threads, total, phases);
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  using namespace parcompute;
  const std::size_t elements = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 50'000'000;
  const std::size_t most = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2;
  const Pages data(elements * sizeof(double));
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  auto* const x = reinterpret_cast<double*>(data.data());
  for (std::size_t i = 0; i < elements; ++i) x[i] = normal(random);
  const View floats{*make_spec(DType::kFloat64, {static_cast<std::int64_t>(elements)}), "a", data.data()};
  View integers = floats;
  integers.spec.dtype = DType::kInt64;

  wire::Operation sort, argsort, sum, product, median, unique;
  sort.mutable_sort();
  argsort.mutable_argsort();
  sum.mutable_scan()->set_op(wire::Scan::SUM);
  product.mutable_scan()->set_op(wire::Scan::PROD);
  median.mutable_percentile()->add_q(50);
  unique.mutable_unique();
  for (const std::size_t threads : {most, std::size_t{1}}) {
    measure("sort", sort, {floats}, threads);
    measure("sort int64", sort, {integers}, threads);
    measure("argsort", argsort, {floats}, threads);
    measure("percentile", median, {floats}, threads);
    measure("unique", unique, {floats}, threads);
    measure("cumsum", sum, {floats}, threads);
    measure("cumprod", product, {floats}, threads);
  }
}
