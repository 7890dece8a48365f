// The node's figures: the service beside the same work with nothing around it. How it is called: figures.h.
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <numeric>

#include <cblas.h>

#include "common/os/child_process.h"
#include "tests/bench/crew.h"
#include "tests/bench/figures.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/instruction_set.h"

namespace parcompute::bench {
namespace {

// ---- bandwidth -----------------------------------------------------------------------------------------------

std::uint64_t plain_sum(const std::uint64_t* words, std::size_t count) {
  std::array<std::uint64_t, 64> lanes{};
  for (std::size_t i = 0; i + 64 <= count; i += 64)
    for (std::size_t lane = 0; lane < 64; ++lane) lanes[lane] += words[i + lane];
  return std::accumulate(lanes.begin(), lanes.end(), std::uint64_t{0});
}

void sum(const Settings& settings) {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  const std::size_t share = kBytes / settings.workers / 4096 * 4096;
  auto* shared = static_cast<std::uint8_t*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  volatile std::uint64_t sink = 0;
  const auto read = [&](unsigned member) {
    sink = plain_sum(reinterpret_cast<const std::uint64_t*>(shared + member * share), share / 8);
  };
  Crew crew(settings.workers, [&](unsigned member) {
    std::memset(shared + member * share, 1, share);
    read(member);
  }, read);
  Service service(settings.workers);
  Scalar one;
  one.dtype = DType::kUint8;
  one.bytes[0] = std::byte{1};
  Array array = service.session.create_full("bytes", one, {static_cast<std::int64_t>(kBytes)});
  std::vector<double> ours;
  std::vector<double> plain;
  for (int round = 0; round < settings.rounds; ++round) {
    plain.push_back(static_cast<double>(share * settings.workers) / crew.round());
    const auto start = Clock::now();
    const auto result = service.session.submit(Reduce{Reduce::Op::kSum, array}).wait();
    const double elapsed = seconds_since(start);
    if (result.scalar->as<std::uint64_t>() != kBytes) fmt::print("WRONG SUM\n");
    if (round > 0) ours.push_back(static_cast<double>(kBytes) / elapsed);  // the first one maps
  }
  fmt::print("sum of 1 GiB uint8: {:.1f} GB/s; plain loop in {} processes {:.1f} GB/s; ratio {:.3f}   (reach: 0.85)\n", median(ours) * 1e-9,
             settings.workers, median(plain) * 1e-9, median(ours) / median(plain));
}

// ---- products ------------------------------------------------------------------------------------------------

void matmul(const Settings& settings) {
  constexpr int kN = 2000;
  constexpr int kProducts = 20;
  constexpr std::size_t kElements = std::size_t{kN} * kN;
  std::vector<double> a;
  std::vector<double> b;
  std::vector<double> c;
  Crew crew(settings.workers,
            [&](unsigned) {
              hold_blas_at_one_thread();
              for (auto* matrix : {&a, &b, &c}) matrix->assign(kElements, 0.5);
            },
            [&](unsigned member) {
              for (unsigned product = member; product < kProducts; product += settings.workers)
                cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kN, kN, kN, 1, a.data(), kN, b.data(), kN, 0, c.data(), kN);
            });
  Service service(settings.workers);
  Array x = service.session.create_full("x", one_half(), {kProducts, kN, kN});
  Array y = service.session.create_full("y", one_half(), {kProducts, kN, kN});
  constexpr double kFlop = 2.0 * kProducts * kN * kN * kN;
  std::vector<double> ours;
  std::vector<double> bare;
  std::vector<double> busy;
  const int rounds = std::min(settings.rounds, 5);
  for (int round = 0; round < rounds; ++round) {
    bare.push_back(kFlop / crew.round());
    const auto start = Clock::now();
    const auto result = service.session.submit(Matmul{x, y}).wait();
    ours.push_back(kFlop / seconds_since(start));
    busy.push_back(result.info.busy_seconds / result.info.seconds / settings.workers);
  }
  fmt::print("20 products of 2000 x 2000 float64: {:.1f} GFLOPS; bare OpenBLAS in {} processes {:.1f}; ratio {:.3f}; workers busy {:.1f} %   (reach: 0.97)\n",
             median(ours) * 1e-9, settings.workers, median(bare) * 1e-9, median(ours) / median(bare), 100 * median(busy));
}

// ---- mandelbrot ----------------------------------------------------------------------------------------------

void mandelbrot(const Settings& settings) {
  wire::Operation operation;
  wire::Mandelbrot& wanted = *operation.mutable_mandelbrot();
  wanted.set_nx(800);
  wanted.set_ny(800);
  wanted.set_x_min(-2);
  wanted.set_x_max(1);
  wanted.set_y_min(-1.5);
  wanted.set_y_max(1.5);
  wanted.set_max_iter(10'000);
  auto plan = plan_operation(operation, {});
  testing::Buffer counts(byte_count(*plan->output));
  KernelJob job{operation, *plan, {}, {}, {}};
  job.outputs.push_back({*plan->output, "counts", counts.data(), -1, 0});
  std::unique_ptr<Kernel> kernel;
  for (const KernelRow& row : kernels())
    if (row.kind == wire::Operation::kMandelbrot) kernel = row.make(std::move(job));
  const auto whole_grid = [&] {
    ScalarBytes unused{};
    if (auto done = kernel->run(0, {0, plan->phases[0].blocks}, unused); !done) fmt::print("{}\n", done.error().message);
  };
  // What the machine gives when all of its cores compute at once: each process does the whole grid.
  Crew crew(settings.workers, [&](unsigned) { whole_grid(); }, [&](unsigned) { whole_grid(); });
  Service service(settings.workers);
  std::vector<double> alone;
  std::vector<double> together;
  std::vector<double> ours;
  std::vector<double> idle;
  for (int round = 0; round < settings.rounds; ++round) {
    auto start = Clock::now();
    whole_grid();
    alone.push_back(seconds_since(start));
    together.push_back(crew.round());
    start = Clock::now();
    const auto result = service.session.submit(Mandelbrot{800, 800, -2, 1, -1.5, 1.5, 10'000}).wait();
    ours.push_back(seconds_since(start));
    idle.push_back(1 - result.info.busy_seconds / settings.workers / result.info.seconds);
    Array output = result.output;
    if (std::memcmp(output.data(), counts.data(), byte_count(*plan->output)) != 0) fmt::print("WRONG COUNTS\n");
  }
  const double ms = 1e3 / settings.workers;
  fmt::print("mandelbrot 800 x 800, 10000: {:.2f} ms; the kernel alone on one core, over {} workers {:.2f} ms, ratio {:.3f}; in {} processes at once, over {} workers "
             "{:.2f} ms, ratio {:.3f}; workers idle {:.1f} %   (reach: 1.15; idle 2 %)\n",
             median(ours) * 1e3, settings.workers, median(alone) * ms, median(ours) * 1e3 / (median(alone) * ms), settings.workers, settings.workers,
             median(together) * ms, median(ours) * 1e3 / (median(together) * ms), 100 * median(idle));
}

// ---- starting and recovering ---------------------------------------------------------------------------------

void cold_start(const Settings& settings) {
  const auto client = find_program("parcompute-client", "PARCOMPUTE_CLIENT");
  if (!client) return fmt::print("cold start: {}\n", client.error().message);
  std::vector<double> times;
  for (int round = 0; round < settings.rounds; ++round) {
    const auto start = Clock::now();
    const auto pid = spawn(*client, {"with-server", "--", client->native(), "run", "mandelbrot", "--size", "8x8", "--region", "-2,1,-1.5,1.5", "--max-iter", "10",
                                     "--out", "m"}, {});
    int status = -1;
    if (pid) ::waitpid(*pid, &status, 0);
    times.push_back(seconds_since(start));
    if (status != 0) return fmt::print("cold start: the client ended with wait status {}\n", status);
  }
  fmt::print("cold start, 'with-server' + first result + its end, from the command line: {:.1f} ms   (reach: 60 ms)\n", median(times) * 1e3);
}

void replace(const Settings& settings) {
  Service service(settings.workers);
  std::vector<double> times;
  for (int round = 0; round < settings.rounds * 3; ++round) {
    WorkerInfo before;
    do before = service.session.status().workers[0];
    while (before.state != WorkerInfo::State::kIdle);
    const auto start = Clock::now();
    ::kill(before.pid, SIGKILL);
    while (true) {
      const WorkerInfo now = service.session.status().workers[0];
      if (now.replaced > before.replaced && now.state == WorkerInfo::State::kIdle) break;
    }
    times.push_back(seconds_since(start));
  }
  fmt::print("replacing a killed worker: p50 {:.2f} ms, p90 {:.2f} ms   (reach: 5 ms)\n", median(times) * 1e3, quantile(times, 0.9) * 1e3);
}

void arrays(const Settings& settings) {
  Service service(settings.workers);
  const auto start = Clock::now();
  constexpr int kArrays = 10'000;
  for (int i = 0; i < kArrays; ++i) service.session.create(fmt::format("array-{}", i), DType::kFloat64, {100});
  const double each = seconds_since(start) / kArrays;
  std::ifstream status(fmt::format("/proc/{}/status", service.session.status().server_pid));
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with("VmRSS")) break;
  fmt::print("10,000 arrays: coordinator {} ; {:.1f} us to make one   (reach: 64 MiB)\n", line, each * 1e6);
}

constexpr std::array<Figure, 6> kFigures{{{"sum", sum},
                                         {"matmul", matmul},
                                         {"mandelbrot", mandelbrot},
                                         {"cold_start", cold_start},
                                         {"replace", replace},
                                         {"arrays", arrays}}};

}  // namespace
}  // namespace parcompute::bench

int main(int argc, char** argv) {
  using namespace parcompute;
  if (const auto chosen = select_instruction_set(); !chosen) return fmt::print(stderr, "{}\n", chosen.error().message), 78;
  return bench::run_figures("node_bench", bench::kFigures, argc, argv);
}
