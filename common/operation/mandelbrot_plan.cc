#include <algorithm>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

// One point's first guess: some steps for everyone, more where the limit lets points stay longer. Most points
// leave early, or are found to stay for ever, long before a high limit.
constexpr double kNsPerStep = 0.5;
constexpr double kUsualSteps = 200;

}  // namespace

Result<Plan> plan_mandelbrot(const wire::Operation& operation, Operands) {
  const wire::Mandelbrot& grid = operation.mandelbrot();
  constexpr std::uint64_t kMaxSide = std::uint64_t{1} << 62;
  if (grid.nx() > kMaxSide || grid.ny() > kMaxSide)
    return fail(
        ErrorCode::kOverBudget,
        fmt::format("a mandelbrot grid of {}x{} points is larger than any memory; choose a smaller size",
                    grid.nx(), grid.ny()));
  if (grid.max_iter() > static_cast<std::uint64_t>(INT64_MAX))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("mandelbrot's limit of {} iterations does not fit the int64 counts; at most {}",
                            grid.max_iter(), INT64_MAX));
  auto output =
      make_spec(DType::kInt64, {static_cast<std::int64_t>(grid.nx()), static_cast<std::int64_t>(grid.ny())});
  if (!output) return fail(output.error());

  Plan plan;
  const std::uint64_t points = element_count(*output);
  plan.bytes_written = byte_count(*output);
  plan.output = *std::move(output);
  if (points == 0) return plan;
  const double steps = std::min(kUsualSteps, static_cast<double>(grid.max_iter()) + 1);
  plan.phases.push_back({ceil_div(points, kMandelbrotBlockPoints),
                         static_cast<double>(std::min(points, kMandelbrotBlockPoints)) * steps * kNsPerStep, kMandelbrotBlockPoints});
  return plan;
}

}  // namespace parcompute
