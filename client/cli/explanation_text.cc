#include "client/cli/explanation_text.h"

#include <array>
#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "client/cli/text_width.h"
#include "common/base/units.h"

namespace parcompute::cli {
namespace {

std::string text_of(const Value& value) {
  return value.is_null() ? "" : one_line(value.get<std::string>());
}

struct Sentence {
  std::string_view cause;
  std::string (*write)(const Value& obstacle);
};

// A line for each cause of Obstacle.
const std::array kSentences{
    Sentence{"operand", [](const Value& row) { return fmt::format("waits for job {}, which is to write array '{}', which it reads", row["job"].dump(), text_of(row["array"])); }},
    Sentence{"output", [](const Value& row) { return fmt::format("waits for job {}, which uses array '{}', which it writes", row["job"].dump(), text_of(row["array"])); }},
    Sentence{"after", [](const Value& row) { return fmt::format("waits for the end of job {}, which it comes after", row["job"].dump()); }},
    Sentence{"memory",
             [](const Value& row) {
               return fmt::format("waits for memory: {} are still being given back", format_bytes(row["bytes"].is_null() ? 0 : row["bytes"].get<std::uint64_t>()));
             }},
    Sentence{"no_worker", [](const Value&) -> std::string { return "waits for a worker: none is up ('parcompute-client status' has more)"; }},
    Sentence{"share", [](const Value&) -> std::string { return "takes turns with other jobs: they have their share of the workers' time first"; }},
    Sentence{"foreground", [](const Value&) -> std::string { return "waits in the background: other jobs have work for the workers"; }},
    Sentence{"blocks", [](const Value&) -> std::string { return "has no blocks to hand out: workers have the last ones of this phase in hand"; }},
    Sentence{"workers", [](const Value&) -> std::string { return "has all the workers that it may have"; }},
};

std::string sentence(const Value& obstacle, const Value& job) {
  const auto cause = obstacle["cause"].get<std::string>();
  // Which one, and what became of the last.
  if (cause == "no_worker" && !job["waiting_for"].is_null()) return "waits for " + text_of(job["waiting_for"]);
  for (const Sentence& row : kSentences)
    if (row.cause == cause) return row.write(obstacle);
  return "waits, for a reason that this client does not know: upgrade it";
}

// "14:03:20", or with its day where that is not today's.
std::string clock_time(double seconds_from_now) {
  const std::time_t now = std::time(nullptr), then = now + static_cast<std::time_t>(seconds_from_now);
  const std::tm today = fmt::localtime(now), day = fmt::localtime(then);
  return today.tm_yday == day.tm_yday && today.tm_year == day.tm_year ? fmt::format("{:%H:%M:%S}", day) : fmt::format("{:%Y-%m-%d %H:%M}", day);
}

std::string progress(const Value& running) {
  const auto number = [&](const char* key) { return running[key].get<std::uint64_t>(); };
  const std::string phase = number("phase") == 0 ? "reserves memory" : fmt::format("phase {} of {}", number("phase"), number("phases"));
  std::string text = fmt::format("  {}: {} of {} blocks are done, {} in the hands of {} of {} workers\n", phase, number("phase_blocks_done"), number("phase_blocks"), number("blocks_in_hand"),
                                 number("workers"), number("most_workers"));
  text += fmt::format("  its share of the workers' time is {:.3g} %\n", 100 * running["share"].get<double>());
  if (running["seconds_left"].is_null()) return text;
  const auto left = running["seconds_left"].get<double>();
  // Beyond that no calendar helps.
  constexpr double kTenYears = 3e8;
  return text + fmt::format("  about {} are left, as estimated{}\n", format_seconds(left), left < kTenYears ? fmt::format(": it will be done at {}", clock_time(left)) : "");
}

}  // namespace

std::string print_explanation(const Answer& answer) {
  const Value& job = answer.value["job"];
  const auto state = job["state"].get<std::string>();
  std::string text = fmt::format("job {} ({}) is {}", job["id"].dump(), one_line(job["operation"].get<std::string>()), state);
  if (!job["error"].is_null()) text += ": " + text_of(job["error"]["message"]);
  else if (state == "done") text += fmt::format(", after {}", format_seconds(job["seconds"].get<double>()));
  text += "\n";
  for (const Value& obstacle : answer.value["obstacles"]) text += fmt::format("  {}\n", sentence(obstacle, job));
  const auto shown = answer.value["obstacles"].size();
  if (const auto all = answer.value["obstacle_count"].get<std::size_t>(); all > shown) text += fmt::format("  and for {} jobs more\n", all - shown);
  if (!answer.value["running"].is_null()) text += progress(answer.value["running"]);
  return text;
}

}  // namespace parcompute::cli
