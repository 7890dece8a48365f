// mandelbrot: escape counts on a grid (plan: common/operation/mandelbrot_plan.cc; arithmetic:
// mandelbrot_simd.cc).
#include <algorithm>

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
    const View& output = job_.outputs[0];
    const std::uint64_t points = element_count(output.spec);
    const std::uint64_t first = blocks.first * kMandelbrotBlockPoints;
    const std::uint64_t count = std::min(points - first, blocks.count * kMandelbrotBlockPoints);
    auto* counts = reinterpret_cast<std::int64_t*>(first_element(output));
    mandelbrot_counts(grid_, first, count, counts + first);
    return {};
  }

 private:
  KernelJob job_;
  MandelbrotGrid grid_;
};

}  // namespace

std::unique_ptr<Kernel> make_mandelbrot(KernelJob job) {
  return std::make_unique<Mandelbrot>(std::move(job));
}

}  // namespace parcompute
