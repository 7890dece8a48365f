// Pace: how many blocks of a job a worker computes before it looks at the clock.
//
// A chunk is computed in steps, so that it can be cut when its time is up. A look at the clock and one more call of the kernel cost little beside
// a step; and where the next blocks are much dearer than the last ones, a step is not many of them.
#pragma once

#include <algorithm>
#include <cstdint>

namespace parcompute {

class Pace {
 public:
  static constexpr double kStepNs = 50e3;

  std::uint64_t step() const { return step_; }
  // So many blocks have taken so long. A step grows by no more than twice: what was short once may have been an exception.
  void note(std::uint64_t blocks, double ns) {
    if (blocks < step_ && ns <= kStepNs) return;  // a chunk shorter than a step
    const double fitting = static_cast<double>(blocks) * kStepNs / std::max(ns, 1.0);
    const double most = 2 * static_cast<double>(std::max(step_, blocks));
    step_ = static_cast<std::uint64_t>(std::clamp(fitting, 1.0, std::min(most, 0x1p40)));
  }

 private:
  std::uint64_t step_ = 1;
};

}  // namespace parcompute
