#include "tests/simulator/profile.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace parcompute::simulate {
namespace {

// Weights of blocks, scaled to what the options ask for.
JobLoad job_of(std::uint64_t blocks, double total_ns, const std::function<double(std::uint64_t)>& weight, uid_t uid = 0) {
  JobLoad job{uid, BlockSums(blocks + 1)};
  for (std::uint64_t i = 0; i < blocks; ++i) job.ns[i + 1] = job.ns[i] + weight(i);
  const double scale = total_ns / job.ns.back();
  for (double& sum : job.ns) sum *= scale;
  return job;
}

double all_ns(const LoadOptions& options) {
  return options.seconds * 1e9 * options.workers;
}
std::uint64_t all_blocks(const LoadOptions& options) {
  return options.blocks_per_worker * options.workers;
}

Load one_job(const LoadOptions& options, const std::function<double(std::uint64_t)>& weight) {
  return {{job_of(all_blocks(options), all_ns(options), weight)}, std::vector<Speed>(options.workers)};
}

Load flat(const LoadOptions& options) {
  return one_job(options, [](std::uint64_t) { return 1.0; });
}
Load rising(const LoadOptions& options) {
  return one_job(options, [](std::uint64_t i) { return static_cast<double>(i + 1); });
}
Load falling(const LoadOptions& options) {
  return one_job(options, [n = all_blocks(options)](std::uint64_t i) { return static_cast<double>(n - i); });
}

// Escape counts of points along lines through the Mandelbrot set, a few points a block, to 500 steps: cheap and dear blocks lie together in
// regions of all sizes.
Load skewed(const LoadOptions& options) {
  const double lines = std::ceil(std::sqrt(static_cast<double>(all_blocks(options))));
  return one_job(options, [lines](std::uint64_t i) {
    const double row = std::floor(static_cast<double>(i) / lines), column = static_cast<double>(i) - row * lines;
    double steps = 0;
    for (int point = 0; point < 4; ++point) {
      const double cx = -2 + 3 * (column + point / 4.0) / lines, cy = -1.5 + 3 * row / lines;
      double x = 0, y = 0;
      int step = 0;
      for (; step < 500 && x * x + y * y <= 4; ++step) {
        const double next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
      }
      steps += step;
    }
    return steps;
  });
}

// One block in a hundred takes a hundred times as long as the others, no one knows which.
Load needles(const LoadOptions& options) {
  std::mt19937_64 dice(options.seed);
  return one_job(options, [&dice](std::uint64_t) { return dice() % 100 == 0 ? 100.0 : 1.0; });
}

// All that is dear comes last.
Load cliff(const LoadOptions& options) {
  return one_job(options, [n = all_blocks(options)](std::uint64_t i) { return i >= n - n / 10 ? 100.0 : 1.0; });
}

Load slow_worker(const LoadOptions& options) {
  Load load = flat(options);
  load.speeds.front() = {0.25, 0, 0.25};
  return load;
}

// Another program takes half of one CPU, from the middle on.
Load stolen(const LoadOptions& options) {
  Load load = flat(options);
  load.speeds.front() = {1, options.seconds * 0.5e9, 0.5};
  return load;
}

// A user with a hundred jobs, and one with a single job that is as large as all of them.
Load users(const LoadOptions& options) {
  Load load{{}, std::vector<Speed>(options.workers)};
  const auto even = [](std::uint64_t) { return 1.0; };
  constexpr std::uint64_t kJobs = 100;
  const std::uint64_t half = all_blocks(options) / 2;
  for (std::uint64_t i = 0; i < kJobs; ++i) load.jobs.push_back(job_of(std::max<std::uint64_t>(1, half / kJobs), all_ns(options) / 2 / kJobs, even, 1001));
  load.jobs.push_back(job_of(std::max<std::uint64_t>(1, half), all_ns(options) / 2, even, 1002));
  return load;
}

}  // namespace

double Speed::end_of(double start_ns, double ns) const {
  if (start_ns >= changes_at_ns) return start_ns + ns / then;
  const double before = (changes_at_ns - start_ns) * first;
  return ns <= before ? start_ns + ns / first : changes_at_ns + (ns - before) / then;
}

double Load::total_ns() const {
  double sum = 0;
  for (const JobLoad& job : jobs) sum += job.ns.back();
  return sum;
}

double Load::least_makespan_ns() const {
  double longest = 0, fastest = 0;
  for (const JobLoad& job : jobs)
    for (std::size_t i = 1; i < job.ns.size(); ++i) longest = std::max(longest, job.ns[i] - job.ns[i - 1]);
  for (const Speed& speed : speeds) fastest = std::max({fastest, speed.first, speed.then});
  // The moment at which the workers together can have done all: what they have done by then grows, so it is found by halving.
  const auto done_by = [this](double time_ns) {
    double sum = 0;
    for (const Speed& speed : speeds)
      sum += std::min(time_ns, speed.changes_at_ns) * speed.first + std::max(0.0, time_ns - speed.changes_at_ns) * speed.then;
    return sum;
  };
  const double total = total_ns();
  double low = 0, high = 1;
  while (done_by(high) < total) high *= 2;
  for (int i = 0; i < 100; ++i) (done_by((low + high) / 2) < total ? low : high) = (low + high) / 2;
  return std::max(high, longest / fastest);
}

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> all{
      {"flat", "blocks of one length", flat},
      {"rising", "block i takes i times as long as the first", rising},
      {"falling", "the same, the longest first", falling},
      {"skewed", "the Mandelbrot set's escape counts", skewed},
      {"needles", "one block in a hundred takes a hundred times as long", needles},
      {"cliff", "the last tenth of the blocks take a hundred times as long", cliff},
      {"slow-worker", "one worker has a quarter of the others' speed", slow_worker},
      {"stolen", "one worker loses half of its CPU in the middle", stolen},
      {"users", "a user with 100 jobs beside a user with one", users},
  };
  return all;
}

}  // namespace parcompute::simulate
