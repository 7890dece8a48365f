// mandelbrot against its definition, step by step, on every instruction set and for every split.
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/plans.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/mandelbrot_simd.h"

namespace parcompute {
namespace {

using testing::run_job;
using testing::WithInstructionSet;

wire::Operation mandelbrot(std::uint64_t nx, std::uint64_t ny, double x_min, double x_max, double y_min,
                           double y_max, std::uint64_t max_iter) {
  wire::Operation operation;
  wire::Mandelbrot& grid = *operation.mutable_mandelbrot();
  grid.set_nx(nx);
  grid.set_ny(ny);
  grid.set_x_min(x_min);
  grid.set_x_max(x_max);
  grid.set_y_min(y_min);
  grid.set_y_max(y_max);
  grid.set_max_iter(max_iter);
  return operation;
}

std::int64_t count_by_definition(double cx, double cy, std::int64_t max_iter) {
  double x = 0, y = 0;
  std::int64_t count = 0;
  while (count < max_iter && x * x + y * y <= 4) {
    ++count;
    const double next_x = (x * x - y * y) + cx;
    y = 2 * (x * y) + cy;
    x = next_x;
  }
  return count;
}

std::vector<std::int64_t> counts_by_definition(const wire::Operation& operation) {
  const wire::Mandelbrot& grid = operation.mandelbrot();
  const Linspace x(grid.x_min(), grid.x_max(), grid.nx()), y(grid.y_min(), grid.y_max(), grid.ny());
  std::vector<std::int64_t> counts;
  for (std::uint64_t i = 0; i < grid.nx(); ++i)
    for (std::uint64_t j = 0; j < grid.ny(); ++j)
      counts.push_back(count_by_definition(x(i), y(j), static_cast<std::int64_t>(grid.max_iter())));
  return counts;
}

void expect_definition(const wire::Operation& operation) {
  const std::vector<std::int64_t> wanted = counts_by_definition(operation);
  std::uint32_t seed = 0;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    for (int split = 0; split < 2; ++split, ++seed)
      EXPECT_EQ(run_job(operation, {}, {.seed = seed})->output_as<std::int64_t>(), wanted)
          << operation.mandelbrot().max_iter() << " iterations, " << isa << ", split " << seed;
  }
}

TEST(Mandelbrot, CountsByDefinition) {
  expect_definition(mandelbrot(97, 71, -2, 1, -1.5, 1.5, 1500));
}

TEST(Mandelbrot, LimitsAroundTheWindow) {
  for (const std::uint64_t max_iter :
       {0U, 1U, 2U, 3U, 15U, 16U, 17U, 31U, 32U, 33U, 47U, 48U, 49U, 64U, 100U})
    expect_definition(mandelbrot(33, 35, -2, 1, -1.5, 1.5, max_iter));
}

// Near the needle's tip |z| crosses 2 slowly, by little more each step, so that a window can end in between.
TEST(Mandelbrot, NeedleIsExact) {
  expect_definition(mandelbrot(601, 3, -2, -1.4, -1e-9, 1e-9, 900));
  for (double side = 0.1; side > 1e-16; side /= 3)
    expect_definition(mandelbrot(60, 60, -2 - side / 9, -2 + side, -side, side, 200));
}

// Where orbits leave only after thousands of steps, and where their cycles are long: seahorses, minibrots.
TEST(Mandelbrot, BoundaryIsExact) {
  expect_definition(mandelbrot(40, 40, -0.7463, -0.7453, 0.1102, 0.1112, 6000));
  expect_definition(mandelbrot(30, 30, -1.7550, -1.7540, -0.0005, 0.0005, 20000));
  expect_definition(mandelbrot(30, 30, 0.2499, 0.2501, -0.0001, 0.0001, 30000));
}

TEST(Mandelbrot, CircleOfRadiusTwoIsExact) {
  expect_definition(mandelbrot(64, 64, -2, 2, -2, 2, 50));
  expect_definition(mandelbrot(64, 64, 1.99999999999999, 2.00000000000001, -1e-14, 1e-14, 50));
  expect_definition(mandelbrot(64, 64, -1e-300, 1e-300, -1e-310, 1e-310, 300));
}

TEST(Mandelbrot, FarAndUnboundedRegionsFollowTheDefinition) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_definition(mandelbrot(5, 7, -1e308, 1e308, -1e308, 1e308, 40));
  expect_definition(mandelbrot(5, 7, -1e300, 1e200, -1, 1, 40));
  expect_definition(mandelbrot(3, 40, nan, 1, -1, 1, 40));
  expect_definition(mandelbrot(3, 40, -inf, inf, -1, 1, 40));
  expect_definition(mandelbrot(1, 40, 0, 0, nan, nan, 40));
}

TEST(Mandelbrot, HugeLimitEndsWhereTheOrbitIsPeriodic) {
  const std::uint64_t huge = std::uint64_t{1} << 40;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    const auto counts = run_job(mandelbrot(9, 5, -0.3, 0.1, -0.2, 0.2, huge), {})->output_as<std::int64_t>();
    EXPECT_THAT(counts, ::testing::Each(static_cast<std::int64_t>(huge))) << isa;
  }
  const auto most = run_job(mandelbrot(1, 1, 0, 0, 0, 0, INT64_MAX), {});
  EXPECT_EQ(most->output_as<std::int64_t>(), std::vector<std::int64_t>{INT64_MAX});
}

TEST(Mandelbrot, EmptyGridHasNoPhases) {
  EXPECT_TRUE(run_job(mandelbrot(0, 800, -2, 1, -1, 1, 10), {})->plan.phases.empty());
  EXPECT_TRUE(run_job(mandelbrot(800, 0, -2, 1, -1, 1, 10), {})->plan.phases.empty());
}

TEST(Mandelbrot, RefusesWhatNoArrayHoldsAndWhatNoCountHolds) {
  EXPECT_EQ(run_job(mandelbrot(std::uint64_t{1} << 63, 1, 0, 1, 0, 1, 1), {}).error().code,
            ErrorCode::kOverBudget);
  EXPECT_EQ(
      run_job(mandelbrot(std::uint64_t{1} << 40, std::uint64_t{1} << 40, 0, 1, 0, 1, 1), {}).error().code,
      ErrorCode::kOverBudget);
  EXPECT_EQ(run_job(mandelbrot(1, 1, 0, 1, 0, 1, std::uint64_t{1} << 63), {}).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace parcompute
