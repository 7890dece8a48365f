// Profile: the work that a simulated node is given, and what its workers are good for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace parcompute::simulate {

// The blocks' times, on a worker at full speed, as sums: of blocks [first, last) it is sums[last] - sums[first].
using BlockSums = std::vector<double>;

struct JobLoad {
  uid_t uid = 0;
  BlockSums ns;
  std::uint64_t blocks() const { return ns.size() - 1; }
};

// How fast a worker is: at first, and from a moment on.
struct Speed {
  double first = 1;
  double changes_at_ns = 0;
  double then = 1;

  // When work that takes `ns` at full speed ends, where it begins at `start_ns`.
  double end_of(double start_ns, double ns) const;
};

struct Load {
  std::vector<JobLoad> jobs;
  std::vector<Speed> speeds;  // of each worker

  double total_ns() const;
  // No schedule ends earlier: not even one that cut blocks, or not before the longest block has.
  double least_makespan_ns() const;
};

struct LoadOptions {
  unsigned workers = 256;
  double seconds = 1;                      // for each worker, if all of them were always busy
  std::uint64_t blocks_per_worker = 1000;
  std::uint64_t seed = 1;
};

struct Profile {
  std::string_view name, what;
  Load (*make)(const LoadOptions& options);
};

const std::vector<Profile>& profiles();

}  // namespace parcompute::simulate
