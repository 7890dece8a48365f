// Random numbers and new arrays, kernel by kernel, in one process, into memory that is there.
//
// To stand beside it: NumPy's Generator(Philox(key=7)).random(out=a), timed by random_baseline.py.
#include <cstring>
#include <memory>

#include <benchmark/benchmark.h>

#include "worker/kernels/instruction_set.h"
#include "worker/kernels/kernel.h"

namespace parcompute {
namespace {

constexpr std::int64_t kElements = 32 * 1024 * 1024;

void run_kernel(benchmark::State& state, const wire::Operation& operation) {
  const auto plan = *plan_operation(operation, {});
  const std::size_t bytes = byte_count(*plan.output);
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(4096, bytes)), &std::free);
  std::memset(memory.get(), 1, bytes);
  std::unique_ptr<Kernel> kernel;
  for (const KernelRow& row : kernels())
    if (row.kind == operation.kind_case())
      kernel = row.make({operation, plan, {}, {{*plan.output, "out", memory.get(), -1, 0}}, {}});
  ScalarBytes scalar;
  for (auto _ : state) benchmark::DoNotOptimize(kernel->run(0, {0, plan.phases[0].blocks}, scalar));
  state.counters["element"] =
      benchmark::Counter(static_cast<double>(element_count(*plan.output)),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

wire::Operation random_of(DType dtype, std::int64_t elements = kElements) {
  wire::Operation operation;
  to_wire(*make_spec(dtype, {elements}), *operation.mutable_random()->mutable_spec());
  operation.mutable_random()->set_key_low(7);
  return operation;
}
wire::Operation uniform(DType dtype, std::int64_t elements = kElements) {
  auto operation = random_of(dtype, elements);
  operation.mutable_random()->mutable_uniform()->set_high(1);
  return operation;
}
wire::Operation normal(DType dtype) {
  auto operation = random_of(dtype);
  operation.mutable_random()->mutable_normal()->set_standard_deviation(1);
  return operation;
}
wire::Operation exponential() {
  auto operation = random_of(DType::kFloat64);
  operation.mutable_random()->mutable_exponential()->set_scale(1);
  return operation;
}
template <class T>
wire::Operation integers(T most) {
  auto operation = random_of(dtype_of<T>());
  const T least = 0;
  operation.mutable_random()->mutable_integers()->set_least(&least, sizeof least);
  operation.mutable_random()->mutable_integers()->set_most(&most, sizeof most);
  return operation;
}
wire::Operation fill(wire::Fill::How how, DType dtype) {
  wire::Operation operation;
  to_wire(*make_spec(dtype, {kElements}), *operation.mutable_fill()->mutable_spec());
  operation.mutable_fill()->set_how(how);
  operation.mutable_fill()->mutable_start()->set_real(0.5);
  operation.mutable_fill()->mutable_stop()->set_real(7.5);
  if (info(dtype).kind != Kind::kFloat) operation.mutable_fill()->mutable_start()->set_integer(3);
  return operation;
}

void on_every_set(const std::string& name, const wire::Operation& operation) {
  for (const std::string_view isa : available_instruction_sets())
    benchmark::RegisterBenchmark((name + "/" + std::string(isa)).c_str(), [isa, operation](benchmark::State& state) {
      (void)select_instruction_set(isa);
      run_kernel(state, operation);
    });
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  using namespace parcompute;
  on_every_set("UniformFloat64", uniform(DType::kFloat64));
  on_every_set("UniformFloat64InCache", uniform(DType::kFloat64, 64 * 1024));
  on_every_set("UniformFloat32", uniform(DType::kFloat32));
  on_every_set("NormalFloat64", normal(DType::kFloat64));
  on_every_set("NormalFloat32", normal(DType::kFloat32));
  on_every_set("ExponentialFloat64", exponential());
  on_every_set("IntegersTo1000", integers<std::int64_t>(999));
  on_every_set("IntegersWide", integers<std::int64_t>((std::int64_t{5} << 40)));
  on_every_set("IntegersByte", integers<std::uint8_t>(255));
  on_every_set("ArangeFloat64", fill(wire::Fill::ARANGE, DType::kFloat64));
  on_every_set("ArangeInt64", fill(wire::Fill::ARANGE, DType::kInt64));
  on_every_set("LinspaceFloat64", fill(wire::Fill::LINSPACE, DType::kFloat64));
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
