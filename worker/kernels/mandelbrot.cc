// mandelbrot: escape counts on a grid (plan: common/operation/mandelbrot_plan.cc; arithmetic:
// mandelbrot_simd.cc).
#include <algorithm>
#include <utility>

#include "common/operation/plans.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/mandelbrot_simd.h"

namespace parcompute {
namespace {

MandelbrotGrid grid_of(const wire::Mandelbrot& m) {
  return {Linspace(m.x_min(), m.x_max(), m.nx()), Linspace(m.y_min(), m.y_max(), m.ny()), m.ny(),
          m.max_iter()};
}

class Mandelbrot final : public Kernel {
 public:
  explicit Mandelbrot(KernelJob job) : job_(std::move(job)), grid_(grid_of(job_.operation.mandelbrot())) {}

  // Consecutive blocks are one run: the last points of one are worked on beside the first of the next.
  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    count(blocks.first, [&] { return std::exchange(blocks.count, 0); });
    return {};
  }
  // So are steps: points that go on for long would keep a run's end waiting, each time.
  Result<void> run_steps(std::size_t, std::uint64_t first, Steps& steps, ScalarBytes&) override {
    count(first, [&] { return steps.next(); });
    return {};
  }

 private:
  template <class Next>
  void count(std::uint64_t first_block, Next next_blocks) {
    const View& output = job_.outputs[0];
    const std::uint64_t points = element_count(output.spec), first = first_block * kMandelbrotBlockPoints;
    std::uint64_t begun = first;
    const auto more = [&] {
      const std::uint64_t before = begun;
      begun = std::min(points, before + next_blocks() * kMandelbrotBlockPoints);
      return begun - before;
    };
    mandelbrot_counts(grid_, first, more, reinterpret_cast<std::int64_t*>(first_element(output)) + first);
  }

  KernelJob job_;
  MandelbrotGrid grid_;
};

}  // namespace

std::unique_ptr<Kernel> make_mandelbrot(KernelJob job) {
  return std::make_unique<Mandelbrot>(std::move(job));
}

}  // namespace parcompute
