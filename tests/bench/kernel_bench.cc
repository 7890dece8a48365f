// What the kernels reach, against what the machine gives: each pair runs in one process, so compare ratios.
//
//   kernel_bench --benchmark_filter=Mandelbrot  against plain vector loops that have neither sieve nor cycle detection
//   kernel_bench --benchmark_filter=Matmul      GFLOPS of tiles by shape, against one call for the whole product
//   PARCOMPUTE_ISA=avx2 kernel_bench ...        on another instruction set
#include <immintrin.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "common/operation/plans.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/instruction_set.h"
#include "worker/kernels/mandelbrot_simd.h"

namespace parcompute {
namespace {

using testing::Buffer;

void set_rate(benchmark::State& state, const char* unit, double per_iteration) {
  state.counters[unit] = benchmark::Counter(per_iteration * static_cast<double>(state.iterations()) / 1e9,
                                            benchmark::Counter::kIsRate);
}

// ---- mandelbrot ----

constexpr std::uint64_t kSide = 800;
constexpr std::uint64_t kMaxIter = 10'000;

MandelbrotGrid picture() {
  return {Linspace(-2, 1, kSide), Linspace(-1.5, 1.5, kSide), kSide, kMaxIter};
}

// state.range(0): blocks in a run, 0 for the whole picture.
void Mandelbrot(benchmark::State& state) {
  const MandelbrotGrid grid = picture();
  std::vector<std::int64_t> counts(kSide * kSide);
  const std::uint64_t run = state.range(0) == 0
                                ? counts.size()
                                : static_cast<std::uint64_t>(state.range(0)) * kMandelbrotBlockPoints;
  for (auto _ : state)
    for (std::uint64_t first = 0; first < counts.size(); first += run)
      mandelbrot_counts(grid, first, std::min<std::uint64_t>(run, counts.size() - first),
                        counts.data() + first);
}
BENCHMARK(Mandelbrot)->Arg(0)->Arg(64)->Arg(16)->Arg(4)->Arg(1)->Unit(benchmark::kMillisecond);

#if defined(__x86_64__)
// What one writes by hand first: four vectors, counted by masks, given up together. Without fused operations.
[[gnu::target("avx512f,avx512dq")]] void plain_avx512(const double* cx, const double* cy,
                                                      std::int64_t* counts) {
  __m512d vcx[4], vcy[4], x[4], y[4];
  __m512i taken[4];
  __mmask8 alive[4];
  for (int v = 0; v < 4; ++v) {
    vcx[v] = _mm512_loadu_pd(cx + 8 * v);
    vcy[v] = _mm512_loadu_pd(cy + 8 * v);
    x[v] = y[v] = _mm512_setzero_pd();
    taken[v] = _mm512_setzero_si512();
    alive[v] = 0xFF;
  }
  const __m512d four = _mm512_set1_pd(4);
  const __m512i one = _mm512_set1_epi64(1);
  for (std::uint64_t n = 0; n < kMaxIter; ++n) {
    for (int v = 0; v < 4; ++v) {
      const __m512d xx = _mm512_mul_pd(x[v], x[v]), yy = _mm512_mul_pd(y[v], y[v]),
                    xy = _mm512_mul_pd(x[v], y[v]);
      alive[v] = _mm512_mask_cmp_pd_mask(alive[v], _mm512_add_pd(xx, yy), four, _CMP_LE_OQ);
      taken[v] = _mm512_mask_add_epi64(taken[v], alive[v], taken[v], one);
      x[v] = _mm512_add_pd(_mm512_sub_pd(xx, yy), vcx[v]);
      y[v] = _mm512_add_pd(_mm512_add_pd(xy, xy), vcy[v]);
    }
    if ((alive[0] | alive[1] | alive[2] | alive[3]) == 0) break;
  }
  for (int v = 0; v < 4; ++v) _mm512_storeu_si512(counts + 8 * v, taken[v]);
}

[[gnu::target("avx2")]] void plain_avx2(const double* cx, const double* cy, std::int64_t* counts) {
  __m256d vcx[4], vcy[4], x[4], y[4], alive[4];
  __m256i taken[4];
  for (int v = 0; v < 4; ++v) {
    vcx[v] = _mm256_loadu_pd(cx + 4 * v);
    vcy[v] = _mm256_loadu_pd(cy + 4 * v);
    x[v] = y[v] = _mm256_setzero_pd();
    taken[v] = _mm256_setzero_si256();
    alive[v] = _mm256_castsi256_pd(_mm256_set1_epi64x(-1));
  }
  const __m256d four = _mm256_set1_pd(4);
  for (std::uint64_t n = 0; n < kMaxIter; ++n) {
    for (int v = 0; v < 4; ++v) {
      const __m256d xx = _mm256_mul_pd(x[v], x[v]), yy = _mm256_mul_pd(y[v], y[v]),
                    xy = _mm256_mul_pd(x[v], y[v]);
      alive[v] = _mm256_and_pd(alive[v], _mm256_cmp_pd(_mm256_add_pd(xx, yy), four, _CMP_LE_OQ));
      taken[v] = _mm256_sub_epi64(taken[v], _mm256_castpd_si256(alive[v]));
      x[v] = _mm256_add_pd(_mm256_sub_pd(xx, yy), vcx[v]);
      y[v] = _mm256_add_pd(_mm256_add_pd(xy, xy), vcy[v]);
    }
    const __m256d any = _mm256_or_pd(_mm256_or_pd(alive[0], alive[1]), _mm256_or_pd(alive[2], alive[3]));
    if (_mm256_movemask_pd(any) == 0) break;
  }
  for (int v = 0; v < 4; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(counts + 4 * v), taken[v]);
}

template <std::size_t kPoints, class Plain>
void mandelbrot_plain(benchmark::State& state, const char* feature, bool supported, Plain plain) {
  if (!supported) return state.SkipWithError(feature);
  const MandelbrotGrid grid = picture();
  std::vector<double> cx(kSide * kSide), cy(kSide * kSide);
  for (std::uint64_t i = 0; i < cx.size(); ++i) cx[i] = grid.x(i / kSide), cy[i] = grid.y(i % kSide);
  std::vector<std::int64_t> counts(cx.size()), wanted(cx.size());
  mandelbrot_counts(grid, 0, wanted.size(), wanted.data());
  for (auto _ : state)
    for (std::size_t i = 0; i < cx.size(); i += kPoints) plain(&cx[i], &cy[i], &counts[i]);
  if (counts != wanted) state.SkipWithError("the plain kernel counted otherwise");
}
void MandelbrotPlainAvx512(benchmark::State& state) {
  mandelbrot_plain<32>(state, "this CPU lacks AVX-512", __builtin_cpu_supports("avx512dq") != 0,
                       plain_avx512);
}
BENCHMARK(MandelbrotPlainAvx512)->Unit(benchmark::kMillisecond);
void MandelbrotPlainAvx2(benchmark::State& state) {
  mandelbrot_plain<16>(state, "this CPU lacks AVX2", __builtin_cpu_supports("avx2") != 0, plain_avx2);
}
BENCHMARK(MandelbrotPlainAvx2)->Unit(benchmark::kMillisecond);
#endif

// ---- matmul ----

std::vector<double> random_matrix(std::int64_t rows, std::int64_t columns) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> elements(static_cast<std::size_t>(rows * columns));
  for (double& x : elements) x = uniform(random);
  return elements;
}

// A product of range(0)^3 in tiles of range(1) x range(2): one call each. The whole in one: 0 x 0.
void MatmulTile(benchmark::State& state) {
  const std::int64_t size = state.range(0);
  const std::int64_t tile_m = state.range(1) == 0 ? size : state.range(1);
  const std::int64_t tile_n = state.range(2) == 0 ? size : state.range(2);
  const std::vector<double> a = random_matrix(size, size), b = random_matrix(size, size);
  std::vector<double> c(a.size());
  const auto ld = static_cast<std::int32_t>(size);
  for (auto _ : state)
    for (std::int64_t i = 0; i < size; i += tile_m)
      for (std::int64_t j = 0; j < size; j += tile_n)
        multiply(static_cast<std::int32_t>(std::min(tile_m, size - i)),
                 static_cast<std::int32_t>(std::min(tile_n, size - j)), ld,
                 BlasMatrix<double>{&a[static_cast<std::size_t>(i * size)], ld, false},
                 BlasMatrix<double>{&b[static_cast<std::size_t>(j)], ld, false},
                 &c[static_cast<std::size_t>(i * size + j)], ld);
  set_rate(state, "GFLOPS", 2.0 * static_cast<double>(size * size * size));
}
BENCHMARK(MatmulTile)
    ->Unit(benchmark::kMillisecond)
    ->Args({2000, 0, 0})
    ->Args({2000, 1000, 2000})
    ->Args({2000, 672, 2000})
    ->Args({2000, 500, 2000})
    ->Args({2000, 256, 2000})
    ->Args({2000, 128, 1024})
    ->Args({2000, 512, 512})
    ->Args({2000, 2000, 512})
    ->Args({1000, 0, 0})
    ->Args({1000, 128, 512});

// The plan's own blocks: a stack of range(0) products of range(1)^3.
void MatmulStack(benchmark::State& state) {
  const std::int64_t batch = state.range(0), size = state.range(1);
  const std::vector<double> a = random_matrix(batch * size, size), b = random_matrix(batch * size, size);
  const ArraySpec spec = *make_spec(DType::kFloat64, {batch, size, size});
  const auto view = [&](const std::vector<double>& elements, const char* label) {
    return View{spec, label, reinterpret_cast<std::byte*>(const_cast<double*>(elements.data())), -1, 0};
  };
  wire::Operation operation;
  operation.mutable_matmul();
  const std::vector<OperandInfo> operands{{spec, "a"}, {spec, "b"}};
  const Plan plan = *plan_operation(operation, operands);
  std::vector<double> c(a.size());
  const auto kernel = testing::kernel_row(operation.kind_case())
                          .make({operation, plan, {view(a, "a"), view(b, "b")}, {view(c, "c")}, {}});
  ScalarBytes value;
  for (auto _ : state) benchmark::DoNotOptimize(kernel->run(0, {0, plan.phases[0].blocks}, value));
  set_rate(state, "GFLOPS", 2.0 * static_cast<double>(batch * size * size * size));
  state.counters["blocks"] = static_cast<double>(plan.phases[0].blocks);
}
BENCHMARK(MatmulStack)
    ->Unit(benchmark::kMillisecond)
    ->Args({2, 2000})
    ->Args({1, 1000})
    ->Args({10'000, 32})
    ->Args({100, 200});

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  parcompute::hold_blas_at_one_thread();
  if (auto ok = parcompute::select_instruction_set(); !ok) {
    std::fprintf(stderr, "%s\n", ok.error().message.c_str());
    return EXIT_FAILURE;
  }
  benchmark::AddCustomContext("instruction_set", std::string(parcompute::current_instruction_set()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
  benchmark::RunSpecifiedBenchmarks();
  return EXIT_SUCCESS;
}
