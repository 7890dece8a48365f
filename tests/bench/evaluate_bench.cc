// Expressions without processes, one thread: GB/s of operands read, beside a plain loop that reads as much.
//
//   evaluate_bench --benchmark_filter=sum
#include <immintrin.h>

#include <cstring>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "common/operation/plans.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using testing::Buffer;

constexpr std::int64_t kRows = 16384, kColumns = 4096;

Buffer& bytes_of(int which) {
  static Buffer buffers[2] = {[] {
                                Buffer buffer(static_cast<std::size_t>(kRows * kColumns) * 8);
                                return buffer;
                              }(),
                              Buffer(static_cast<std::size_t>(kRows * kColumns) * 8)};
  return buffers[which];
}

void fill(DType dtype) {
  static DType holds = DType::kComplex128;
  if (holds == dtype) return;
  holds = dtype;
  std::mt19937_64 random(1);
  for (int which = 0; which < 2; ++which) {
    std::byte* const at = bytes_of(which).data();
    for (std::int64_t i = 0; i < kRows * kColumns; ++i) {
      const double x = static_cast<double>(random() >> 11) * 0x1p-53 - 0.5;
      visit_dtype(dtype, [&]<class T>(T) {
        T value{};
        if constexpr (std::is_same_v<T, bool>) value = x > 0;
        else if constexpr (std::is_integral_v<T>) value = static_cast<T>(x * 100);
        else if constexpr (std::is_floating_point_v<T>) value = static_cast<T>(x);
        std::memcpy(at + static_cast<std::size_t>(i) * sizeof(T), &value, sizeof value);
      });
    }
  }
}

struct Case {
  const char* expression;
  DType dtype;
  Dims shape;
  int operands;
};

void set_rate(benchmark::State& state, double bytes) {
  state.counters["GB/s"] = benchmark::Counter(bytes * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}

// A job of operands a and, of two, b, with the memory that it needs.
struct Job {
  Job(std::string_view expression, const ArraySpec& spec, int count) {
    operation.mutable_evaluate()->set_expression(std::string(expression));
    for (int i = 0; i < count; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      operation.mutable_evaluate()->add_names(name);
      inputs.push_back({spec, name, bytes_of(i).data(), -1, 0});
      operands.push_back({spec, name});
    }
    plan = *plan_operation(operation, operands);
    output = Buffer(byte_count(*plan.output));
    scratch = Buffer(plan.scratch_bytes);
  }
  void run(benchmark::State& state) {
    const auto kernel = testing::kernel_row(operation.kind_case())
                            .make(KernelJob{operation, plan, inputs, {{*plan.output, "out", output.data(), -1, 0}}, {scratch.data(), scratch.size()}});
    ScalarBytes scalar{};
    for (std::size_t phase = 0; phase < plan.phases.size(); ++phase)
      if (const auto ok = kernel->run(phase, {0, plan.phases[phase].blocks}, scalar); !ok) state.SkipWithError(ok.error().message.c_str());
  }

  wire::Operation operation;
  std::vector<View> inputs;
  std::vector<OperandInfo> operands;
  Plan plan;
  Buffer output, scratch;
};

void run(benchmark::State& state, const Case& wanted) {
  fill(wanted.dtype);
  const ArraySpec spec = *make_spec(wanted.dtype, wanted.shape);
  Job job(wanted.expression, spec, wanted.operands);
  for (auto _ : state) job.run(state);
  set_rate(state, static_cast<double>(job.plan.bytes_read + (element_count(*job.plan.output) > 1'000'000 ? job.plan.bytes_written : 0)));
  const double elements = static_cast<double>(element_count(spec));
  state.counters["ns/element"] = benchmark::Counter(elements * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// What an expression costs before it computes: the plan, which the coordinator and each worker make; the kernel.
void plan_alone(benchmark::State& state, const std::string& expression) {
  const Job job(expression, *make_spec(DType::kFloat64, {8}), 2);
  for (auto _ : state) benchmark::DoNotOptimize(plan_operation(job.operation, job.operands));
}
void kernel_alone(benchmark::State& state, const std::string& expression) {
  Job job(expression, *make_spec(DType::kFloat64, {8}), 2);
  for (auto _ : state) job.run(state);
}

[[gnu::target("avx2")]] std::uint64_t read_all(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sums[8]{};
  for (std::size_t i = 0; i + 8 <= count; i += 8)
    for (std::size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : sums) sum += lane;
  return sum;
}

void roof(benchmark::State& state) {
  fill(DType::kFloat64);
  const std::size_t count = static_cast<std::size_t>(kRows * kColumns);
  for (auto _ : state) benchmark::DoNotOptimize(read_all(reinterpret_cast<const std::uint64_t*>(bytes_of(0).data()), count));
  set_rate(state, static_cast<double>(count) * 8);
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  using namespace parcompute;
  const Dims matrix{kRows, kColumns};
  for (const char* expression : {"sum(a)", "2*a + 3*b", "sqrt(a**2 + b**2)", "a - mean(a)"}) {
    benchmark::RegisterBenchmark(("plan/" + std::string(expression)).c_str(), plan_alone, expression);
    benchmark::RegisterBenchmark(("kernel/" + std::string(expression)).c_str(), kernel_alone, expression);
  }
  const std::vector<Case> cases{
      {"2*a + 3*b", DType::kFloat64, matrix, 2},
      {"a + 1", DType::kFloat64, matrix, 1},
      {"exp(a)", DType::kFloat64, {kRows / 8, kColumns}, 1},
      {"sum((a - b)**2)", DType::kFloat64, matrix, 2},
      {"sum(a)", DType::kFloat64, matrix, 1},
      {"sum(a, axis=0)", DType::kFloat64, matrix, 1},
      {"sum(a, axis=1)", DType::kFloat64, matrix, 1},
      {"sum(a.T, axis=0)", DType::kFloat64, matrix, 1},
      {"sum(a, axis=0)", DType::kFloat64, {kRows * kColumns / 3, 3}, 1},
      {"sum(a, axis=1)", DType::kFloat64, {kRows * kColumns / 3, 3}, 1},
      {"sum(a, axis=0)", DType::kFloat64, {3, kRows * kColumns / 3}, 1},
      {"sum(a, axis=1)", DType::kFloat64, {kRows * 64, 64}, 1},
      {"sum(a, axis=1)", DType::kFloat64, {256, 64, kRows * kColumns / 256 / 64}, 1},
      {"var(a)", DType::kFloat64, matrix, 1},
      {"var(a, axis=0)", DType::kFloat64, matrix, 1},
      {"var(a, axis=1)", DType::kFloat64, matrix, 1},
      {"max(a)", DType::kFloat64, matrix, 1},
      {"max(abs(a), axis=1)", DType::kFloat64, matrix, 1},
      {"max(a, axis=0)", DType::kFloat64, matrix, 1},
      {"argmax(a)", DType::kFloat64, matrix, 1},
      {"argmax(a, axis=0)", DType::kFloat64, matrix, 1},
      {"argmax(a, axis=1)", DType::kFloat64, matrix, 1},
      {"prod(a)", DType::kFloat64, matrix, 1},
      {"a - mean(a, axis=0)", DType::kFloat64, matrix, 1},
      {"sum(a)", DType::kFloat32, matrix, 1},
      {"sum(a, axis=0)", DType::kFloat32, matrix, 1},
      {"max(a)", DType::kFloat32, matrix, 1},
      {"var(a)", DType::kFloat32, matrix, 1},
      {"sum(a)", DType::kInt8, matrix, 1},
      {"sum(a, axis=0)", DType::kInt8, matrix, 1},
      {"max(a)", DType::kInt8, matrix, 1},
      {"argmax(a)", DType::kInt8, matrix, 1},
      {"sum(a)", DType::kInt32, matrix, 1},
      {"sum(a)", DType::kBool, matrix, 1},
      {"count_nonzero(a)", DType::kBool, matrix, 1},
      {"all(a)", DType::kBool, matrix, 1},
      {"sum(a[:, ::-1])", DType::kFloat64, {kRows / 4, kColumns}, 1},
      {"a + b.T", DType::kFloat64, {4096, 4096}, 2},
      {"a.T + 1", DType::kFloat64, {4096, 4096}, 1},
  };
  benchmark::RegisterBenchmark("plain loop that reads", roof);
  for (const Case& wanted : cases) {
    const std::string label = std::string(wanted.expression) + " of " + std::string(name(wanted.dtype)) + " " + format_shape(wanted.shape);
    benchmark::RegisterBenchmark(label.c_str(), [wanted](benchmark::State& state) { run(state, wanted); })->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
