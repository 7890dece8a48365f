#include "client/cli/progress_bar.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli/number_text.h"

namespace parcompute::cli {
namespace {

constexpr double kShowAfterSeconds = 0.5;
constexpr std::size_t kWidestBar = 60;
constexpr std::size_t kNarrowestBar = 4;

// "00:03", "1:02:03": tqdm's clock.
std::string clock(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e8) return "?";
  const auto whole = static_cast<unsigned long>(seconds);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

std::string bar(double fraction, std::size_t cells, const BarStyle& style) {
  static constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const std::size_t parts = style.utf8 ? 8 : 10;
  const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(cells * parts));
  const std::size_t whole = filled / parts;
  const std::size_t rest = filled % parts;
  std::string text;
  for (std::size_t i = 0; i < whole; ++i) text += style.utf8 ? "█" : "#";
  if (rest > 0) text += style.utf8 ? std::string(kEighths[rest]) : std::to_string(rest);
  const std::string blank(cells - whole - (rest > 0), ' ');
  return style.color ? fmt::format("\x1b[32m{}\x1b[0m{}", text, blank) : text + blank;
}

bool is_utf8_locale() {
  return std::string_view(nl_langinfo(CODESET)) == "UTF-8";
}

std::size_t columns(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* variable = std::getenv("COLUMNS");
  const unsigned long value = variable != nullptr ? std::strtoul(variable, nullptr, 10) : 0;
  return value > 0 && value < 10000 ? value : 80;
}

bool wants_color(bool terminal) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return terminal && (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::string_view(term) != "dumb";
}

}  // namespace

std::string progress_line(const JobInfo& job, const BarStyle& style) {
  const double done = static_cast<double>(job.blocks_done);
  const double fraction =
      job.blocks_total == 0 ? 0 : std::min(1.0, done / static_cast<double>(job.blocks_total));
  const std::string percent = fmt::format("{:3.0f}%", std::floor(fraction * 100));
  const std::string count = fmt::format("{}/{} blocks", job.blocks_done, job.blocks_total);
  const double remaining = fraction > 0 ? job.seconds * (1 - fraction) / fraction : HUGE_VAL;
  const std::string times = fmt::format("{}<{}", clock(job.seconds), clock(remaining));

  std::string rate;
  if (job.seconds > 0) {
    rate = fmt::format(", {}chunks/s", with_si_prefix(static_cast<double>(job.chunks_done) / job.seconds));
    const double bytes = static_cast<double>(job.bytes_read + job.bytes_written) * fraction / job.seconds;
    if (bytes > 0) rate += fmt::format(", {}B/s", with_si_prefix(bytes));
  }

  // What stands right of the bar, richest first.
  const std::array<std::string, 3> tails{fmt::format(" {} [{}{}]", count, times, rate),
                                         fmt::format(" {} [{}]", count, times), fmt::format(" {}", count)};
  const std::size_t room = style.width > 1 ? style.width - 1 : 0;
  for (const std::string& tail : tails) {
    const std::size_t text = percent.size() + tail.size() + 2;
    if (text + kNarrowestBar > room) continue;
    return fmt::format("{}|{}|{}", percent, bar(fraction, std::min(room - text, kWidestBar), style), tail);
  }
  const std::string bare = percent + tails.back();
  return bare.size() <= room ? bare : percent.substr(0, room);
}

ProgressBar::ProgressBar(ProgressWhen when, std::FILE* stream)
    : when_(when), stream_(stream), terminal_(isatty(fileno(stream)) == 1) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::update(const JobInfo& job) {
  if (when_ == ProgressWhen::kNever) return;
  if (when_ == ProgressWhen::kAuto && (!terminal_ || job.seconds < kShowAfterSeconds)) return;
  draw(job);
}

void ProgressBar::finish(const JobInfo& job) {
  if (when_ == ProgressWhen::kAlways) draw(job);
  clear();
}

void ProgressBar::draw(const JobInfo& job) {
  const BarStyle style{columns(stream_), is_utf8_locale(), wants_color(terminal_)};
  std::fputs(fmt::format("\r{}{}", progress_line(job, style), terminal_ ? "\x1b[K" : "").c_str(), stream_);
  std::fflush(stream_);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  // A terminal has the summary to show instead; a log keeps the bar.
  std::fputs(terminal_ && when_ == ProgressWhen::kAuto ? "\r\x1b[K" : "\n", stream_);
  std::fflush(stream_);
  drawn_ = false;
}

}  // namespace parcompute::cli
