// The scheduler's figures: tiny jobs, many jobs, many workers. How it is called: figures.h.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <cblas.h>

#include "common/os/affinity.h"
#include "common/os/unix_socket.h"
#include "tests/bench/crew.h"
#include "tests/bench/figures.h"

namespace parcompute::bench {
namespace {

// ---- tiny jobs -----------------------------------------------------------------------------------------------

// p50 and p99 of Python's ThreadPool.apply, in microseconds; nothing where there is no Python.
std::optional<std::pair<double, double>> thread_pool_apply() {
  std::FILE* python = ::popen("exec python3 '" THREAD_POOL_BASELINE "'", "r");
  if (python == nullptr) return std::nullopt;
  double p50 = 0, p99 = 0;
  const bool is_read = std::fscanf(python, "%lf %lf", &p50, &p99) == 2;
  if (::pclose(python) != 0 || !is_read) return std::nullopt;
  return std::pair(p50, p99);
}

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
  std::vector<double> bare, job, apply_p50, apply_p99;
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
    if (const auto apply = thread_pool_apply()) apply_p50.push_back(apply->first), apply_p99.push_back(apply->second);
  }
  pair->first.reset();
  ::waitpid(echo, nullptr, 0);
  fmt::print("tiny job, round trip: p50 {:.1f} us, p99 {:.1f} us; bare SEQPACKET round trip p50 {:.1f} us, p99 {:.1f} us; ratio {:.2f}   (reach: 25 us, 80 us)\n", median(job),
             quantile(job, 0.99), median(bare), quantile(bare, 0.99), median(job) / median(bare));
  if (apply_p50.empty()) return fmt::print("Python's ThreadPool.apply: there is no python3 to ask\n");
  fmt::print("Python's ThreadPool.apply of a sum of eight numbers: p50 {:.1f} us, p99 {:.1f} us; ratio {:.2f}   (reach: below 1)\n", median(apply_p50), median(apply_p99),
             median(job) / median(apply_p50));
}

// ---- many jobs at once ---------------------------------------------------------------------------------------

// Seconds or minutes of work in blocks of a millisecond or less: orbits beside the set's cusp, which neither escape nor repeat.
Mandelbrot orbits(std::uint64_t side) {
  return {.nx = side, .ny = side, .x_min = 0.2500000001, .x_max = 0.2500000002, .y_min = -1e-11, .y_max = 1e-11, .max_iter = 5'000};
}

void wait_until_under_way(Job& job) {
  while (true) {
    const JobInfo info = job.info();
    if (info.chunks_done >= 20) return;
    if (info.state != JobState::kQueued && info.state != JobState::kRunning) throw Failure(ErrorCode::kComputationFailed, "the job ended before it was measured");
  }
}

// A tiny job while a large one has all workers. The two are of one user's two sessions.
void beside(const Settings& settings) {
  Service service(settings.workers);
  Session other = service.another_session();
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
  wait_until_under_way(large);
  measure(together, 1000 * settings.rounds / 9);
  large.cancel();
  fmt::print("tiny job beside a large one that has all {} workers: p50 {:.2f} ms, p99 {:.2f} ms; alone p50 {:.3f} ms   (reach: p99 <= 5 ms)\n", settings.workers, median(together),
             quantile(together, 0.99), median(alone));
}

// The workers' time that one job has beside a hundred of another session's, as between users (who need a shared server); the core's tests have those.
void fairness(const Settings& settings) {
  Service service(settings.workers);
  Session other = service.another_session();
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
    wait_until_under_way(job);
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

// ---- workers -------------------------------------------------------------------------------------------------

// The same work by 1, 2, 4, ... workers, as many as there are CPUs.
void scaling(const Settings& settings) {
  const auto cpus = static_cast<unsigned>(std::max<std::size_t>(1, affinity_cpus().size()));
  std::vector<unsigned> sizes;
  for (unsigned workers = 1; workers < cpus; workers *= 2) sizes.push_back(workers);
  sizes.push_back(cpus);
  std::vector<std::unique_ptr<Service>> services;
  for (const unsigned workers : sizes) services.push_back(std::make_unique<Service>(workers));
  std::vector<std::vector<double>> seconds(sizes.size());
  for (int round = 0; round < settings.rounds; ++round)
    for (std::size_t i = 0; i < sizes.size(); ++i) seconds[i].push_back(services[i]->session.submit(orbits(800)).wait().info.seconds);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double speed_up = median(seconds[0]) / median(seconds[i]);
    fmt::print("{:3} workers: {:7.1f} ms, speed-up {:5.2f}, a worker {:.3f}   (reach: 0.95)\n", sizes[i], median(seconds[i]) * 1e3, speed_up, speed_up / sizes[i]);
  }
}

// A stack of products by a static pool whose library has as many threads as there are CPUs, as it has where nobody says otherwise; by one whose
// library has one; and by the service, which is told by the environment to have the former.
void library_threads(const Settings& settings) {
  constexpr int kN = 500, kProducts = 64;
  constexpr std::size_t kElements = std::size_t{kN} * kN;
  const auto cpus = static_cast<int>(std::max<std::size_t>(1, affinity_cpus().size()));
  std::vector<double> a, b, c;
  const auto make = [&] {
    for (auto* stack : {&a, &b, &c}) stack->assign(kElements * kProducts, 0.5);
  };
  const auto multiply_share = [&](unsigned member) {
    for (unsigned product = member; product < kProducts; product += settings.workers)
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kN, kN, kN, 1, &a[product * kElements], kN, &b[product * kElements], kN, 0, &c[product * kElements], kN);
  };
  Crew single(settings.workers, [&](unsigned) { openblas_set_num_threads(1), make(); }, multiply_share);
  Crew threaded(settings.workers, [&](unsigned) { openblas_set_num_threads(cpus), make(); }, multiply_share);
  ::setenv("OPENBLAS_NUM_THREADS", std::to_string(cpus).c_str(), 1);
  Service service(settings.workers);
  Array x = service.session.create_full("x", one_half(), {kProducts, kN, kN});
  Array y = service.session.create_full("y", one_half(), {kProducts, kN, kN});
  SubmitOptions into_z;
  into_z.into = service.session.create_full("z", one_half(), {kProducts, kN, kN});
  std::vector<double> alone, with_threads, ours;
  for (int round = 0; round < 3 * settings.rounds; ++round) {
    alone.push_back(single.round());
    with_threads.push_back(threaded.round());
    const auto start = Clock::now();
    service.session.submit(Matmul{x, y}, into_z).wait();
    if (round > 0) ours.push_back(seconds_since(start));  // the first one maps
  }
  fmt::print("{} products of {} x {} by {} processes: library with 1 thread {:.1f} ms, with {} {:.1f} ms ({:.2f} x); the service, told to use {}, {:.1f} ms ({:.2f} x)   (reach: 1.0 x)\n", kProducts,
             kN, kN, settings.workers, median(alone) * 1e3, cpus, median(with_threads) * 1e3, median(with_threads) / median(alone), cpus, median(ours) * 1e3,
             median(ours) / median(alone));
}

constexpr std::array<Figure, 7> kFigures{{{"tiny", tiny},
                                         {"beside", beside},
                                         {"fairness", fairness},
                                         {"cancel", cancel},
                                         {"dispatch", dispatch},
                                         {"scaling", scaling},
                                         {"library_threads", library_threads}}};

}  // namespace
}  // namespace parcompute::bench

int main(int argc, char** argv) {
  return parcompute::bench::run_figures("scheduler_bench", parcompute::bench::kFigures, argc, argv);
}
