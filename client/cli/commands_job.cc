// job list, show, explain, wait, cancel.
#include <array>
#include <sstream>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/explanation_text.h"
#include "client/cli/flags.h"
#include "client/cli/modes.h"
#include "client/cli/run_answer.h"
#include "client/cli/text_width.h"
#include "client/cli/wait.h"
#include "common/base/units.h"

namespace parcompute::cli {
namespace {

// Of an expression, in the list's row and alone.
constexpr std::size_t kListedColumns = 40, kShownColumns = 1000;

struct JobFlags {
  std::uint64_t id = 0;
  std::optional<double> timeout;
};

void job_flags(CLI::App& app, JobFlags& args) {
  add_count(app, "ID", args.id, "the job's number")->required()->type_name("");
}

void wait_flags(CLI::App& app, JobFlags& args) {
  job_flags(app, args);
  add_seconds(app, "--timeout", args.timeout,
              "stop waiting after so long (exit status 124); the job goes on");
}

std::string done_of(const Value& job) {
  const auto done = job["blocks_done"].get<std::uint64_t>();
  const auto total = job["blocks_total"].get<std::uint64_t>();
  if (total == 0) return "-";
  return fmt::format("{}%",
                     static_cast<unsigned>(static_cast<double>(done) / static_cast<double>(total) * 100));
}

// "expr 'x * 2 + y'". What another user wrote may hold anything.
std::string operation_of(const Value& job, std::size_t columns) {
  const std::string word = one_line(job["operation"].get<std::string>());
  if (job["expression"].is_null()) return word;
  return fmt::format("{} '{}'", word, clipped(one_line(job["expression"].get<std::string>()), columns));
}

Answer list(const Context& context, const NoFlags&) {
  Value jobs = Value::array();
  for (const JobInfo& job : context.connect_running().jobs()) jobs.push_back(describe(job));
  return {.value = jobs, .array = {}};
}

std::string print_list(const Answer& answer) {
  std::vector<std::vector<std::string>> rows{{"id", "owner", "state", "operation", "done", "chunks", "time", ""}};
  for (const Value& job : answer.value) {
    std::string remark;
    if (!job["waiting_for"].is_null()) remark = "waits for " + one_line(job["waiting_for"].get<std::string>());
    if (!job["error"].is_null()) remark = one_line(job["error"]["message"].get<std::string>());
    rows.push_back({job["id"].dump(), user_name(job["owner_uid"].get<std::uint32_t>()), job["state"].get<std::string>(), operation_of(job, kListedColumns),
                    done_of(job), job["chunks"].dump(), format_seconds(job["seconds"].get<double>()),
                    remark});
  }
  return table(rows, {0, 4, 5, 6});
}

Answer show(const Context& context, const JobFlags& args) {
  return {.value = describe(context.connect_running().find_job(args.id).info()), .array = {}};
}

// What became of each worker that tried the chunk: a line, and its stack's frames below.
std::string print_certificate(const Value& certificate) {
  const auto first = certificate["first_block"].get<std::uint64_t>(), count = certificate["block_count"].get<std::uint64_t>();
  std::string text = fmt::format("\nblocks {} to {} of phase {}", first, first + count - 1, certificate["phase"].dump());
  if (!certificate["slice"].is_null()) text += fmt::format(", {} of the output", one_line(certificate["slice"].get<std::string>()));
  text += fmt::format(", ended {} workers:\n", certificate["deaths"].size());
  for (const Value& death : certificate["deaths"]) {
    const auto peak = death["peak_bytes"].get<std::uint64_t>();
    text += fmt::format("  worker {} (pid {}) {}", death["worker"].dump(), death["pid"].dump(), one_line(death["how"].get<std::string>()));
    if (peak > 0) text += fmt::format(", after it had used {} at most", format_bytes(peak));
    text += "\n";
    if (death["fault"].is_null()) continue;
    std::istringstream lines(death["fault"].get<std::string>());
    for (std::string line; std::getline(lines, line);) text += fmt::format("    {}\n", one_line(line));
  }
  return text;
}

std::string print_show(const Answer& answer) {
  const Value& job = answer.value;
  std::vector<std::vector<std::string>> rows{
      {"job", job["id"].dump()},
      {"operation", operation_of(job, kShownColumns)},
      {"state", job["state"].get<std::string>()},
      {"blocks", fmt::format("{} of {}", job["blocks_done"].dump(), job["blocks_total"].dump())},
      {"chunks", job["chunks"].dump()},
      {"time", format_seconds(job["seconds"].get<double>())},
      {"workers' time", format_seconds(job["busy_seconds"].get<double>())},
      {"read", format_bytes(job["bytes_read"].get<std::uint64_t>())},
      {"written", format_bytes(job["bytes_written"].get<std::uint64_t>())},
      {"retries", job["retries"].dump()},
      {"owner", user_name(job["owner_uid"].get<std::uint32_t>())},
      {"detached", job["detached"].get<bool>() ? "yes" : "no"},
      {"priority", job["background"].get<bool>() ? "background" : job["priority"].dump()},
  };
  if (!job["time_limit_seconds"].is_null()) rows.push_back({"time limit", format_seconds(job["time_limit_seconds"].get<double>())});
  if (!job["waiting_for"].is_null()) rows.push_back({"waits for", one_line(job["waiting_for"].get<std::string>())});
  if (!job["error"].is_null()) rows.push_back({"error", one_line(job["error"]["message"].get<std::string>())});
  return table(rows) + (job["certificate"].is_null() ? "" : print_certificate(job["certificate"]));
}

Answer wait(const Context& context, const JobFlags& args) {
  Session session = context.connect_running(args.timeout);
  Job job = session.find_job(args.id);
  return {.value = describe_result(wait_for(context, session, job, args.timeout, GiveUp::kLeaveJob)), .array = {}};
}

Answer cancel(const Context& context, const JobFlags& args) {
  Session session = context.connect_running();
  Job job = session.find_job(args.id);
  job.cancel();
  const JobInfo info = job.info();
  const bool live = info.state == JobState::kQueued || info.state == JobState::kRunning;
  context.note(live ? fmt::format("job {} ends after the blocks that workers have in hand", info.id)
                    : fmt::format("job {} has ended: {}", info.id, state_name(info.state)));
  return {.value = describe(info), .array = {}};
}

Answer explain(const Context& context, const JobFlags& args) {
  return {.value = describe(context.connect_running().find_job(args.id).explain()), .array = {}};
}

const std::array kCommands{
    command<NoFlags>("job", "list", "list running, waiting and recently ended jobs",
                     "parcompute-client job list", no_flags, list, print_list),
    command<JobFlags>("job", "show", "show one job", "parcompute-client job show 7", job_flags, show,
                      print_show),
    command<JobFlags>("job", "explain", "why a job waits, or what it is doing and when it will be done", "parcompute-client job explain 7", job_flags, explain,
                      print_explanation),
    command<JobFlags>("job", "wait", "wait for a job's end and print its scalar, or its output's name",
                      "parcompute-client job wait 7 --timeout 60", wait_flags, wait, print_result),
    command<JobFlags>("job", "cancel", "end a job after the blocks that workers have in hand",
                      "parcompute-client job cancel 7", job_flags, cancel, nullptr),
};

}  // namespace

std::span<const Command> job_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
