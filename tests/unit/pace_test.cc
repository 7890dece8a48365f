#include "worker/pace.h"

#include <gtest/gtest.h>

namespace parcompute {
namespace {

// Blocks that a worker computes in so many steps, each as long as `ns` says.
std::uint64_t blocks_of_steps(Pace& pace, int steps, double ns) {
  std::uint64_t blocks = 0;
  for (int i = 0; i < steps; ++i) {
    const std::uint64_t step = pace.step();
    blocks += step;
    pace.note(step, static_cast<double>(step) * ns);
  }
  return blocks;
}

TEST(PaceTest, BeginsWithOneBlockAndStaysThereWhereBlocksAreLong) {
  Pace pace;
  EXPECT_EQ(pace.step(), 1u);
  EXPECT_EQ(blocks_of_steps(pace, 10, 1e9), 10u);
}

TEST(PaceTest, ComesInAFewStepsToTheirTime) {
  for (const double ns : {0.01, 3.0, 777.0, 40e3}) {
    Pace pace;
    blocks_of_steps(pace, 40, ns);
    const double step_ns = static_cast<double>(pace.step()) * ns;
    EXPECT_GT(step_ns, Pace::kStepNs / 2) << ns;
    EXPECT_LE(step_ns, Pace::kStepNs) << ns;
  }
}

TEST(PaceTest, GrowsByNoMoreThanTwiceAndShrinksAtOnce) {
  Pace pace;
  pace.note(1, 1);
  EXPECT_EQ(pace.step(), 2u);
  pace.note(2, 1);
  EXPECT_EQ(pace.step(), 4u);
  blocks_of_steps(pace, 20, 10);
  ASSERT_GT(pace.step(), 1000u);
  pace.note(pace.step(), static_cast<double>(pace.step()) * 1e6);
  EXPECT_EQ(pace.step(), 1u);
}

// A chunk may have fewer blocks than a step.
TEST(PaceTest, LearnsOfAShortChunkOnlyThatItTookTooLong) {
  Pace pace;
  for (int chunk = 0; chunk < 40; ++chunk) pace.note(3, 30);
  EXPECT_EQ(pace.step(), 6u);
  pace.note(3, 3 * Pace::kStepNs);
  EXPECT_EQ(pace.step(), 1u);
}

TEST(PaceTest, IsNeverLessThanABlockOrMoreThanCanBeCounted) {
  Pace pace;
  for (int i = 0; i < 100; ++i) pace.note(pace.step(), 0);
  EXPECT_LE(pace.step(), std::uint64_t{1} << 40);
  pace.note(1, 1e300);
  EXPECT_EQ(pace.step(), 1u);
}

}  // namespace
}  // namespace parcompute
