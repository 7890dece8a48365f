// Nanoseconds an element of the loops of expressions, over strips in the L1 cache, on each instruction set:
//   ninja loops_bench && bin/loops_bench --benchmark_filter='sin|exp'
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "worker/kernels/instruction_set.h"
#include "worker/kernels/loops.h"

namespace parcompute {
namespace {

constexpr std::size_t kCount = 1024;

// Numbers between 0.5 and 20 (integers: 1 to 100).
std::vector<std::byte> elements(DType dtype, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> values(kCount);
  for (double& x : values) {
    const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
    x = info(dtype).kind == Kind::kFloat || info(dtype).kind == Kind::kComplex ? 0.5 + 19.5 * unit
                                                                               : 1 + std::floor(99 * unit);
  }
  if (dtype == DType::kBool)
    for (double& x : values) x = x > 50 ? 1 : 0;
  std::vector<std::byte> bytes(kCount * itemsize(dtype));
  find_cast(DType::kFloat64, dtype)({.in = {values.data()}, .out = bytes.data(), .count = kCount});
  return bytes;
}

void run(benchmark::State& state, std::string_view isa, Loop (*find)(int, int), int first, int second, DType in,
         DType condition, std::size_t out_size, bool single) {
  if (!select_instruction_set(isa)) return state.SkipWithError("no such instruction set here");
  const Loop loop = find(first, second);
  const auto a = elements(condition, 1), b = elements(in, 2), c = elements(in, 3);
  std::vector<std::byte> out(kCount * out_size);
  const Strip strip{
      .in = {a.data(), b.data(), c.data()}, .is_single = {false, single, false}, .out = out.data(), .count = kCount};
  for (auto _ : state) {
    loop(strip);
    benchmark::ClobberMemory();
  }
  state.counters["ns_per_element"] = benchmark::Counter(static_cast<double>(state.iterations()) * kCount * 1e-9,
                                                        benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  (void)select_instruction_set("");
}

Loop find_op(int op, int dtype) {
  return find_loop(static_cast<Op>(op), static_cast<DType>(dtype));
}
Loop find_conversion(int from, int to) {
  return find_cast(static_cast<DType>(from), static_cast<DType>(to));
}

void add_all() {
  const std::vector<DType> dtypes{DType::kFloat64, DType::kFloat32, DType::kInt64,
                                  DType::kInt32,   DType::kUint8,   DType::kComplex128};
  for (const std::string_view isa : available_instruction_sets()) {
    const auto named = [&](const std::string& text) { return text + "/" + std::string(isa); };
    for (const OpInfo& row : kOps)
      for (const DType dtype : dtypes) {
        if ((row.kinds & kind_set(dtype)) == 0) continue;
        const DType first = row.op == Op::kWhere ? DType::kBool : dtype;
        for (const bool single : {false, true}) {
          if (single && row.operands != 2) continue;
          benchmark::RegisterBenchmark(
              named(std::string(row.name) + "/" + std::string(name(dtype)) + (single ? "/single" : "")).c_str(), run,
              isa, find_op, static_cast<int>(row.op), static_cast<int>(dtype), dtype, first,
              itemsize(result_dtype(row.op, dtype)), single);
        }
      }
    for (const DTypeInfo& from : kDTypes)
      for (const DTypeInfo& to : kDTypes)
        benchmark::RegisterBenchmark(named("cast/" + std::string(from.name) + "/" + std::string(to.name)).c_str(), run,
                                     isa, find_conversion, static_cast<int>(from.dtype), static_cast<int>(to.dtype),
                                     from.dtype, from.dtype, std::size_t{to.itemsize}, false);
  }
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  parcompute::add_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
