// A job's progress on standard error, in tqdm's shape:
//
//    45%|########3          | 450/1000 blocks [00:03<00:04, 12.5 chunks/s, 8.13 GB/s]
//
// progress_line() is the picture, as a pure function; ProgressBar decides when to draw it and leaves the line
// clean.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include "client/cpp/job.h"

namespace parcompute::cli {

enum class ProgressWhen { kAuto, kAlways, kNever };

struct BarStyle {
  std::size_t width = 80;  // columns of the terminal
  bool utf8 = false;       // eighths of a block instead of digits
  bool color = false;
};

// One line without its end, at most style.width - 1 columns wide: the rate, then the times, then the bar are
// left out where it would not fit.
std::string progress_line(const JobInfo& job, const BarStyle& style);

class ProgressBar {
 public:
  // auto draws where `stream` is a terminal, and after half a second. always draws at once, wherever it goes.
  ProgressBar(ProgressWhen when, std::FILE* stream);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();  // takes an unfinished bar off a terminal, or ends its line elsewhere

  void update(const JobInfo& job);
  // Shows the end where every bar is shown, and clears up.
  void finish(const JobInfo& job);

 private:
  void draw(const JobInfo& job);
  void clear();

  ProgressWhen when_;
  std::FILE* stream_;
  bool terminal_;
  bool drawn_ = false;
};

}  // namespace parcompute::cli
