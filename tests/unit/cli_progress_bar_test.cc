#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "client/cli/progress_bar.h"

namespace parcompute::cli {
namespace {

JobInfo job_at(std::uint64_t done, double seconds) {
  JobInfo job;
  job.blocks_done = done;
  job.blocks_total = 1000;
  job.chunks_done = 50;
  job.seconds = seconds;
  job.bytes_read = 64'000'000'000;
  return job;
}

// Everything that a bar of this kind writes to a file, which is no terminal.
std::string written(ProgressWhen when, const JobInfo& middle, const JobInfo& end) {
  std::FILE* file = std::tmpfile();
  {
    ProgressBar bar(when, file);
    bar.update(middle);
    bar.finish(end);
  }
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(CliProgressBar, HasTqdmsShape) {
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 80}),
            " 45%|#######6         | 450/1000 blocks [00:04<00:04, 12.5 chunks/s, 7.20 GB/s]");
  EXPECT_EQ(progress_line(job_at(1000, 4), {.width = 80}),
            "100%|################| 1000/1000 blocks [00:04<00:00, 12.5 chunks/s, 16.0 GB/s]");
}

TEST(CliProgressBar, NothingDoneYetHasNoRemainingTime) {
  EXPECT_EQ(progress_line(job_at(0, 0), {.width = 60}),
            "  0%|                             | 0/1000 blocks [00:00<?]");
}

TEST(CliProgressBar, AJobWithoutBlocksIsAtZero) {
  EXPECT_EQ(progress_line(JobInfo{}, {.width = 40}).substr(0, 5), "  0%|");
}

TEST(CliProgressBar, HoursAreShown) {
  EXPECT_NE(progress_line(job_at(500, 3723), {.width = 80}).find("[1:02:03<1:02:03"), std::string::npos);
}

TEST(CliProgressBar, NeverExceedsTheTerminal) {
  for (std::size_t width = 1; width < 200; ++width)
    EXPECT_LT(progress_line(job_at(450, 4), {.width = width}).size(), width) << width;
}

TEST(CliProgressBar, GivesUpTheRateFirstThenTheTimesThenTheBar) {
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 50}),
            " 45%|#####8       | 450/1000 blocks [00:04<00:04]");
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 35}), " 45%|#####4      | 450/1000 blocks");
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 22}), " 45% 450/1000 blocks");
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 10}), " 45%");
}

TEST(CliProgressBar, Utf8BarsHaveEighths) {
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 35, .utf8 = true}), " 45%|█████▍      | 450/1000 blocks");
}

TEST(CliProgressBar, ColourWrapsTheBarAlone) {
  EXPECT_EQ(progress_line(job_at(450, 4), {.width = 35, .color = true}),
            " 45%|\x1b[32m#####4\x1b[0m      | 450/1000 blocks");
}

TEST(CliProgressBar, AutoWritesNothingWhereThereIsNoTerminal) {
  EXPECT_EQ(written(ProgressWhen::kAuto, job_at(450, 4), job_at(1000, 8)), "");
  EXPECT_EQ(written(ProgressWhen::kNever, job_at(450, 4), job_at(1000, 8)), "");
}

TEST(CliProgressBar, AlwaysWritesItsEndAndALineFeed) {
  const std::string text = written(ProgressWhen::kAlways, job_at(450, 4), job_at(1000, 8));
  EXPECT_NE(text.find("\r 45%|"), std::string::npos);
  EXPECT_NE(text.find("\r100%|"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace parcompute::cli
