// What the promises cost: the same work with them and without, alternating in one run.
//
//   promises_bench [ROUNDS]
//
//   redo log     an array overwritten in place, by jobs that count once at whatever instruction a worker dies, beside plain
//                processes that overwrite the same memory with nothing to fall back on
//   reservation  fresh shared memory that is reserved and then written, beside memory that is written alone
//   leases       a sum cut into chunks that others could take over, beside one chunk for each worker
//
// It exits with 0 whatever it measures: figures are for people, on quiet machines.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "client/cpp/parcompute.h"
#include "common/operation/reserve.h"
#include "common/shm/segment.h"
#include "tests/bench/crew.h"

namespace parcompute::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr unsigned kWorkers = 2;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Medians of both sides' seconds and of each round's ratio, and the reach.
void report(const char* what, const std::vector<double>& with, const std::vector<double>& without, const char* reach) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < with.size(); ++i) ratios.push_back(with[i] / without[i]);
  fmt::print("{}: with {:.1f} ms, without {:.1f} ms; cost {:+.1f} %   (reach: <= {})\n", what, median(with) * 1e3, median(without) * 1e3,
             (median(ratios) - 1) * 100, reach);
}

void redo_log(int rounds, Session& session, Crew& crew) {
  Array a = session.create_arange("a", DType::kFloat64, {std::int64_t{1} << 26});
  SubmitOptions options;
  options.into = a;
  std::vector<double> with, without;
  for (int round = 0; round < rounds + 1; ++round) {
    const double bare = crew.round();
    const double ours = session.submit(Evaluate{"0.5*a + 1", {{"a", a}}, {}}, options).wait().info.seconds;
    if (round == 0) continue;  // pages and mappings
    without.push_back(bare);
    with.push_back(ours);
  }
  session.remove("a");
  report("redo log, 0.5*a + 1 into a, 512 MiB", with, without, "5 %");
}

void reservation(int rounds) {
  constexpr std::uint64_t kBytes = std::uint64_t{512} << 20;
  const auto run = [&](bool reserve) {
    const int fd = ::memfd_create("parcompute-bench", MFD_CLOEXEC);
    if (fd < 0 || ::ftruncate(fd, kBytes) != 0) std::exit(1);
    const auto start = Clock::now();
    if (reserve)
      for (std::uint64_t at = 0; at < kBytes; at += kReserveBlockBytes)
        if (!reserve_pages(fd, at, kReserveBlockBytes, "the benchmark's memory")) std::exit(1);
    void* data = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) std::exit(1);
    std::memset(data, 1, kBytes);
    const double seconds = seconds_since(start);
    ::munmap(data, kBytes);
    ::close(fd);
    return seconds;
  };
  std::vector<double> with, without;
  for (int round = 0; round < rounds; ++round) {
    without.push_back(run(false));
    with.push_back(run(true));
  }
  report("reservation, 512 MiB of fresh memory", with, without, "3 %");
}

void leases(int rounds, Session& session) {
  constexpr std::int64_t kElements = std::int64_t{1} << 27;
  Array a = session.create_arange("a", DType::kFloat32, {kElements});
  const auto seconds = [&](std::uint64_t chunk_blocks) {
    SubmitOptions options;
    options.chunk_blocks = chunk_blocks;
    return session.submit(Reduce{Reduce::Op::kSum, a}, options).wait().info.seconds;
  };
  const std::uint64_t blocks = session.submit(Reduce{Reduce::Op::kSum, a}).wait().info.blocks_total;
  std::vector<double> with, without;
  for (int round = 0; round < rounds; ++round) {
    without.push_back(seconds((blocks + kWorkers - 1) / kWorkers));
    with.push_back(seconds(0));
  }
  session.remove("a");
  report("leases, the sum of 512 MiB", with, without, "3 %");
}

// A member's half, with nothing around it.
struct Half {
  double* data = nullptr;
  std::size_t count = 0;
};

}  // namespace
}  // namespace parcompute::bench

int main(int argc, char** argv) {
  using namespace parcompute;
  using namespace parcompute::bench;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  if (rounds < 1) {
    fmt::print(stderr, "promises_bench: '{}' is no number of rounds above 0\n", argv[1]);
    return 64;
  }
  // Before anything has threads: processes on shared memory of their own.
  constexpr std::size_t kElements = std::size_t{1} << 26;
  void* shared = ::mmap(nullptr, kElements * sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  Half halves[kWorkers];
  for (unsigned i = 0; i < kWorkers; ++i) halves[i] = {static_cast<double*>(shared) + i * (kElements / kWorkers), kElements / kWorkers};
  Crew crew(
      kWorkers, [&](unsigned i) { std::fill_n(halves[i].data, halves[i].count, 1.0); },
      [&](unsigned i) {
        double* data = halves[i].data;
        for (std::size_t at = 0; at < halves[i].count; ++at) data[at] = 0.5 * data[at] + 1;
      });
  ServerOptions options;
  options.workers = kWorkers;
  PrivateServer server(options);
  ConnectOptions where;
  where.socket = server.socket();
  Session session = Session::connect(where);
  redo_log(rounds, session, crew);
  reservation(rounds);
  leases(rounds, session);
  return 0;
}
