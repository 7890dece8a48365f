// The node's figures: the service beside the same work with nothing around it, alternating in one run.
//
//   node_bench [--rounds N] [FIGURE...]     all of them without names; --help lists them
//
// Each line gives the median, what it is compared with, and the figure to reach. It exits with 0 whatever it measures:
// figures are for people, on quiet machines.
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <cblas.h>
#include <fmt/format.h>

#include "client/cpp/parcompute.h"
#include "common/os/child_process.h"
#include "proto/channel.h"
#include "tests/bench/crew.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/instruction_set.h"

namespace parcompute::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Settings {
  int rounds = 9;
  unsigned workers = 2;
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}
double median(const std::vector<double>& values) { return quantile(values, 0.5); }

struct Service {
  PrivateServer server;
  Session session;
  explicit Service(unsigned workers)
      : server([&] {
          ServerOptions options;
          options.workers = workers;
          return options;
        }()),
        session(Session::connect([&] {
          ConnectOptions options;
          options.socket = server.socket();
          return options;
        }())) {}
};

// ---- tiny jobs -----------------------------------------------------------------------------------------------

void tiny(const Settings& settings) {
  auto pair = make_socket_pair();
  const int mine = pair->first.get();
  const pid_t echo = ::fork();
  if (echo == 0) {
    std::array<char, 256> packet;
    pair->first.reset();
    for (ssize_t got; (got = ::recv(pair->second.get(), packet.data(), packet.size(), 0)) > 0;)
      ::send(pair->second.get(), packet.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
    ::_exit(0);
  }
  pair->second.reset();
  Service service(settings.workers);
  Array eight = service.session.create_arange("eight", DType::kFloat64, {8});
  std::vector<double> bare;
  std::vector<double> job;
  std::array<char, 128> packet{};
  const auto time = [](auto&& call) {
    const auto start = Clock::now();
    call();
    return seconds_since(start) * 1e6;
  };
  for (int round = 0; round < settings.rounds; ++round) {
    for (int i = 0; i < 3000; ++i)
      bare.push_back(time([&] {
        ::send(mine, packet.data(), packet.size(), 0);
        ::recv(mine, packet.data(), packet.size(), 0);
      }));
    for (int i = 0; i < 3000; ++i) job.push_back(time([&] { service.session.submit(Reduce{Reduce::Op::kSum, eight}).wait(); }));
  }
  pair->first.reset();
  ::waitpid(echo, nullptr, 0);
  fmt::print("tiny job, round trip: p50 {:.1f} us, p99 {:.1f} us; bare SEQPACKET round trip p50 {:.1f} us; ratio {:.2f}   (reach: p50 <= 35 us, <= 4 x)\n",
             median(job), quantile(job, 0.99), median(bare), median(job) / median(bare));
}

// ---- many jobs at once ---------------------------------------------------------------------------------------

// Seconds or minutes of work in blocks of a millisecond or less: orbits beside the set's cusp, which neither escape nor repeat.
Mandelbrot orbits(std::uint64_t side) {
  return {.nx = side, .ny = side, .x_min = 0.2500000001, .x_max = 0.2500000002, .y_min = -1e-11, .y_max = 1e-11, .max_iter = 5'000};
}

// A tiny job while a large one has all workers. The two are of one user's two sessions.
void beside(const Settings& settings) {
  Service service(settings.workers);
  ConnectOptions to_server;
  to_server.socket = service.server.socket();
  Session other = Session::connect(to_server);
  Array eight = service.session.create_arange("eight", DType::kFloat64, {8});
  std::vector<double> alone, together;
  const auto measure = [&](std::vector<double>& times, int jobs) {
    for (int i = 0; i < jobs; ++i) {
      const auto start = Clock::now();
      service.session.submit(Reduce{Reduce::Op::kSum, eight}).wait();
      times.push_back(seconds_since(start) * 1e3);
    }
  };
  measure(alone, 1000 * settings.rounds / 9);
  Job large = other.submit(orbits(6000));
  while (large.info().chunks_done < 100) {}
  measure(together, 1000 * settings.rounds / 9);
  large.cancel();
  fmt::print("tiny job beside a large one that has all {} workers: p50 {:.2f} ms, p99 {:.2f} ms; alone p50 {:.3f} ms   (reach: p99 <= 5 ms)\n", settings.workers, median(together),
             quantile(together, 0.99), median(alone));
}

// The workers' time that one job has beside a hundred of another session's, as between users (who need a shared server); the core's tests have those.
void fairness(const Settings& settings) {
  Service service(settings.workers);
  ConnectOptions to_server;
  to_server.socket = service.server.socket();
  Session other = Session::connect(to_server);
  std::vector<Job> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(other.submit(orbits(1500)));
  Job one = service.session.submit(orbits(6000));
  const auto busy_of_crowd = [&] {
    double sum = 0;
    for (const JobInfo& job : service.session.jobs()) sum += job.busy_seconds;
    return sum - one.info().busy_seconds;
  };
  // What is in hand, and the first chunks of a job that nothing is known of, count little after some seconds.
  const double crowd_before = busy_of_crowd(), before = one.info().busy_seconds;
  const auto start = Clock::now();
  while (seconds_since(start) < 1.0 * settings.rounds) one.explain();
  const double mine = one.info().busy_seconds - before, theirs = busy_of_crowd() - crowd_before;
  fmt::print("one session's job beside 100 of another: {:.1f} % of the workers' time   (reach: 47.5 to 52.5 %)\n", 100 * mine / (mine + theirs));
  one.cancel();
  for (Job& job : crowd) job.cancel();
}

// From a cancel to the job's end, in the middle of blocks of a millisecond or less.
void cancel(const Settings& settings) {
  Service service(settings.workers);
  std::vector<double> times;
  for (int round = 0; round < 10 * settings.rounds; ++round) {
    Job job = service.session.submit(orbits(1500));
    while (job.info().chunks_done < 20) {}
    const auto start = Clock::now();
    job.cancel();
    try {
      job.wait();
    } catch (const Failure&) {
      // Cancelled, as was wished.
    }
    times.push_back(seconds_since(start) * 1e3);
  }
  fmt::print("a cancelled job's end: p50 {:.2f} ms, p99 {:.2f} ms   (reach: 10 ms)\n", median(times), quantile(times, 0.99));
}

void dispatch(const Settings& settings) {
  Service service(settings.workers);
  std::vector<double> rates;
  for (int round = 0; round < settings.rounds; ++round) {
    SubmitOptions options;
    options.chunk_blocks = 1;
    const JobInfo info = service.session.submit(Nop{500'000}, options).wait().info;
    rates.push_back(static_cast<double>(info.chunks_done) / info.seconds);
  }
  fmt::print("empty chunks per second, {} workers: {:.2f} M   (reach: 0.30 M)\n", settings.workers, median(rates) * 1e-6);
}

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
  Scalar half;
  half.dtype = DType::kFloat64;
  const double value = 0.5;
  std::memcpy(half.bytes.data(), &value, sizeof value);
  Array x = service.session.create_full("x", half, {kProducts, kN, kN});
  Array y = service.session.create_full("y", half, {kProducts, kN, kN});
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

struct Figure {
  const char* name;
  void (*measure)(const Settings&);
};
constexpr std::array<Figure, 11> kFigures{{{"tiny", tiny},
                                          {"beside", beside},
                                          {"fairness", fairness},
                                          {"cancel", cancel},
                                          {"dispatch", dispatch},
                                          {"sum", sum},
                                          {"matmul", matmul},
                                          {"mandelbrot", mandelbrot},
                                          {"cold_start", cold_start},
                                          {"replace", replace},
                                          {"arrays", arrays}}};

int run(const std::vector<std::string>& words) {
  Settings settings;
  std::vector<std::string> wanted;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--rounds" && i + 1 < words.size()) settings.rounds = std::max(2, std::atoi(words[++i].c_str()));
    else if (words[i] == "--workers" && i + 1 < words.size()) settings.workers = static_cast<unsigned>(std::max(1, std::atoi(words[++i].c_str())));
    else wanted.push_back(words[i]);
  }
  for (const std::string& name : wanted) {
    if (std::none_of(kFigures.begin(), kFigures.end(), [&](const Figure& figure) { return name == figure.name; })) {
      fmt::print(stderr, "usage: node_bench [--rounds N] [--workers N] [FIGURE...]; figures:");
      for (const Figure& figure : kFigures) fmt::print(stderr, " {}", figure.name);
      fmt::print(stderr, "\n");
      return name == "--help" ? 0 : 64;
    }
  }
  if (const auto chosen = select_instruction_set(); !chosen) return fmt::print(stderr, "{}\n", chosen.error().message), 78;
  for (const Figure& figure : kFigures) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), figure.name) == wanted.end()) continue;
    figure.measure(settings);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace parcompute::bench

int main(int argc, char** argv) {
  try {
    return parcompute::bench::run({argv + 1, argv + argc});
  } catch (const parcompute::Failure& failure) {
    fmt::print(stderr, "node_bench: {}\n", failure.what());
    return 1;
  }
}
