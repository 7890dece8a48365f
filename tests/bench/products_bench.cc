// Products by two threads, as two workers would compute them, beside what they have to match: both sides take turns, and
// medians are compared.
//
//   products_bench [FILTER [ROUNDS]]     rows whose name contains FILTER
#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "common/operation/products_plan.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using testing::Buffer;
const unsigned kThreads = std::getenv("THREADS") != nullptr ? static_cast<unsigned>(std::atoi(std::getenv("THREADS"))) : 2;

// Of the clock on the wall, and of the processors: on a machine that others use, only the second can be trusted.
struct Seconds {
  double wall = 0, cpu = 0;
};
Seconds seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}
Seconds median(std::vector<Seconds> all) {
  const auto middle = [&](double Seconds::*which) {
    std::sort(all.begin(), all.end(), [&](const Seconds& a, const Seconds& b) { return a.*which < b.*which; });
    return all[all.size() / 2].*which;
  };
  return {middle(&Seconds::wall), middle(&Seconds::cpu)};
}

void on_threads(const std::function<void(unsigned)>& work) {
  if (kThreads == 1) return work(0);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
}

struct Array {
  ArraySpec spec;
  Buffer buffer;
  Array(DType dtype, Dims shape) : spec(*make_spec(dtype, std::move(shape))), buffer(byte_count(spec)) {
    std::mt19937_64 random(1);
    visit_dtype(dtype, [&](auto element) {
      using T = decltype(element);
      for (std::uint64_t i = 0; i < element_count(spec); ++i) {
        const T x = static_cast<T>(static_cast<float>(random() % 2001) / 1000 - 1);
        std::memcpy(buffer.data() + i * sizeof(T), &x, sizeof x);
      }
    });
  }
  View view() { return {spec, "x", buffer.data(), -1, 0}; }
  double* doubles() { return reinterpret_cast<double*>(buffer.data()); }
};

// A job's blocks, handed out one after another to two threads.
class Ours {
 public:
  Ours(wire::Operation operation, Array& a, Array& b) : operation_(std::move(operation)) {
    const std::vector<OperandInfo> operands{{a.spec, "a"}, {b.spec, "b"}};
    plan_ = *plan_operation(operation_, operands);
    output_ = Buffer(byte_count(*plan_.output));
    scratch_ = Buffer(plan_.scratch_bytes);
    for (unsigned t = 0; t < kThreads; ++t)
      kernels_.push_back(testing::kernel_row(operation_.kind_case())
                             .make({operation_, plan_, {a.view(), b.view()},
                                    {{*plan_.output, "c", output_.data(), -1, 0}}, {scratch_.data(), scratch_.size()}}));
  }
  void run() {
    for (std::size_t phase = 0; phase < plan_.phases.size(); ++phase) {
      const std::uint64_t blocks = plan_.phases[phase].blocks;
      std::atomic<std::uint64_t> next{0};
      on_threads([&](unsigned t) {
        ScalarBytes value;
        for (std::uint64_t b = next++; b < blocks; b = next++) (void)kernels_[t]->run(phase, {b, 1}, value);
      });
    }
  }
  std::string describe() const {
    std::string text;
    for (const Phase& phase : plan_.phases) text += fmt::format(" {} blocks of {:.0f} us", phase.blocks, phase.block_ns / 1e3);
    return text;
  }

 private:
  wire::Operation operation_;
  Plan plan_;
  Buffer output_, scratch_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
};

int rounds = 7;
std::string filter;

void compare(const std::string& name, Ours& ours, double work, const char* unit, const std::function<void()>& theirs) {
  std::vector<Seconds> mine, others;
  ours.run();
  theirs();
  for (int i = 0; i < rounds; ++i) {
    openblas_set_num_threads(1);
    mine.push_back(seconds_of([&] { ours.run(); }));
    others.push_back(seconds_of(theirs));
  }
  const Seconds m = median(mine), o = median(others);
  fmt::print("{:28} {:8.2f} ms (cpu {:8.2f}) {:6.2f} {} | theirs {:8.2f} ms (cpu {:8.2f}) | {:.2f}x (cpu {:.2f}x){}\n", name, m.wall * 1e3,
             m.cpu * 1e3, work / m.wall / 1e9, unit, o.wall * 1e3, o.cpu * 1e3, o.wall / m.wall, o.cpu / m.cpu,
             ours.describe());
  std::fflush(stdout);
}

bool wanted(const std::string& name) { return name.find(filter) != std::string::npos; }

wire::Operation matmul() {
  wire::Operation operation;
  operation.mutable_matmul();
  return operation;
}
wire::Operation dot() {
  wire::Operation operation;
  operation.mutable_dot();
  return operation;
}

void gemm(std::int32_t size, const double* a, const double* b, double* c) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1, a, size, b, size, 0, c, size);
}

// One call of BLAS after another, as np.matmul does for a stack: on one thread, or on two that share the products.
void stack(const std::string& name, std::int64_t batch, std::int64_t size, bool theirs_on_threads) {
  if (!wanted(name)) return;
  Array a(DType::kFloat64, {batch, size, size}), b(DType::kFloat64, {batch, size, size});
  Ours ours(matmul(), a, b);
  Buffer c(byte_count(a.spec));
  const auto products = [&](std::int64_t first, std::int64_t step) {
    for (std::int64_t p = first; p < batch; p += step)
      gemm(static_cast<std::int32_t>(size), a.doubles() + p * size * size, b.doubles() + p * size * size,
           reinterpret_cast<double*>(c.data()) + p * size * size);
  };
  compare(name, ours, 2.0 * static_cast<double>(batch * size * size * size), "GFLOPS", [&] {
    if (theirs_on_threads)
      on_threads([&](unsigned t) { products(t, kThreads); });
    else
      products(0, 1);
  });
}

void one(const std::string& name, std::int64_t size) {
  if (!wanted(name)) return;
  Array a(DType::kFloat64, {size, size}), b(DType::kFloat64, {size, size});
  Ours ours(matmul(), a, b);
  Buffer c(byte_count(a.spec));
  compare(name, ours, 2.0 * static_cast<double>(size * size * size), "GFLOPS", [&] {
    openblas_set_num_threads(2);
    gemm(static_cast<std::int32_t>(size), a.doubles(), b.doubles(), reinterpret_cast<double*>(c.data()));
  });
}

// Integers: alone; np.matmul is measured by itself (it has no BLAS there).
void integers(DType dtype, std::int64_t size) {
  const std::string name = fmt::format("{} {}^3", parcompute::name(dtype), size);
  if (!wanted(name)) return;
  Array a(dtype, {size, size}), b(dtype, {size, size});
  Ours ours(matmul(), a, b);
  compare(name, ours, 2.0 * static_cast<double>(size * size * size), "GOPS", [] {});
}

void vector(const std::string& name, DType dtype, bool by_columns, std::int64_t rows, std::int64_t columns) {
  if (!wanted(name)) return;
  Array a(dtype, {rows, columns}), x(dtype, {by_columns ? rows : columns});
  Ours ours(matmul(), by_columns ? x : a, by_columns ? a : x);
  std::vector<double> y(static_cast<std::size_t>(std::max(rows, columns)));
  compare(name, ours, static_cast<double>(byte_count(a.spec)), "GB/s  ", [&] {
    if (dtype != DType::kFloat64) return;
    openblas_set_num_threads(2);
    const auto ld = static_cast<std::int32_t>(columns);
    cblas_dgemv(CblasRowMajor, by_columns ? CblasTrans : CblasNoTrans, static_cast<std::int32_t>(rows), ld, 1, a.doubles(),
                ld, x.doubles(), 1, 0, y.data(), 1);
  });
}

void dots(const std::string& name, DType dtype, std::int64_t length) {
  if (!wanted(name)) return;
  Array a(dtype, {length}), b(dtype, {length});
  Ours ours(dot(), a, b);
  volatile double sink = 0;
  compare(name, ours, 2 * static_cast<double>(byte_count(a.spec)), "GB/s  ", [&] {
    openblas_set_num_threads(2);
    if (dtype == DType::kFloat64) sink = cblas_ddot(static_cast<std::int32_t>(length), a.doubles(), 1, b.doubles(), 1);
  });
  (void)sink;
}

void outer(const std::string& name, std::int64_t side) {
  if (!wanted(name)) return;
  Array a(DType::kFloat64, {side}), b(DType::kFloat64, {side});
  wire::Operation operation;
  operation.mutable_outer();
  Ours ours(operation, a, b);
  compare(name, ours, 8.0 * static_cast<double>(side * side), "GB/s  ", [] {});
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  using namespace parcompute;
  if (argc > 1) filter = argv[1];
  if (argc > 2) rounds = std::atoi(argv[2]);
  openblas_set_num_threads(1);
  stack("stack 100000 of 32^3", 100'000, 32, false);
  for (const std::int64_t size : {4, 8, 16, 24, 32, 33, 48, 64})  // with THREADS=1: nothing but products
    stack(fmt::format("few of {}^3", size), 200'000 / (size * size * 8), size, false);
  for (const std::int64_t size : {4, 8, 16, 24, 33, 48, 64})
    stack(fmt::format("stack of {}^3", size), 50'000'000 / (size * size * 8), size, false);
  one("one 6000^3", 6000);
  stack("stack 20 of 2000^3", 20, 2000, true);
  one("one 1000^3", 1000);
  for (const DType dtype : {DType::kInt64, DType::kInt32, DType::kInt16, DType::kInt8, DType::kBool}) {
    integers(dtype, 500);
    integers(dtype, 1500);
  }
  vector("matvec 10000x10000", DType::kFloat64, false, 10'000, 10'000);
  vector("vecmat 10000x10000", DType::kFloat64, true, 10'000, 10'000);
  vector("matvec float32 10000x10000", DType::kFloat32, false, 10'000, 10'000);
  vector("matvec tall 5000000x10", DType::kFloat64, false, 5'000'000, 10);
  vector("matvec wide 10x5000000", DType::kFloat64, false, 10, 5'000'000);
  vector("vecmat tall 5000000x10", DType::kFloat64, true, 5'000'000, 10);
  dots("dot float64 50000000", DType::kFloat64, 50'000'000);
  dots("dot float32 50000000", DType::kFloat32, 50'000'000);
  dots("dot complex64 50000000", DType::kComplex64, 50'000'000);
  dots("dot int64 50000000", DType::kInt64, 50'000'000);
  dots("dot int8 50000000", DType::kInt8, 50'000'000);
  outer("outer 8000x8000", 8000);
}
