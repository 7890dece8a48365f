// What every `run` command takes, does and says.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"

namespace parcompute::cli {

struct RunFlags {
  std::uint64_t chunk_blocks = 0;
  unsigned max_workers = 0;
  std::optional<double> timeout;
  bool detach = false;
  int priority = 0;
  bool background = false;
  std::vector<std::uint64_t> after;
  std::optional<double> time_limit;
  std::string out;   // a name, a file, or empty
  std::optional<ArrayMode> mode;  // of the array of that name
  std::string into;  // an array that exists, or a view of one; or empty
};

void add_run_flags(CLI::App& app, RunFlags& args);
CLI::Option* add_out(CLI::App& app, RunFlags& args, const std::string& help);
// --out and --into: where a result goes that is printed otherwise.
void add_destination(CLI::App& app, RunFlags& args);
// An operand: a name, a file, or a view of either.
CLI::Option* add_operand(CLI::App& app, const std::string& flag, std::string& out, const std::string& help);

// Refuses, before there is work to lose, a file that could not be written. It leaves nothing behind.
void check_file(const std::string& file);
void check(const RunFlags& args);
// That what a flag calls an array does not look like a file of another kind.
void check_name(const std::string& flag, const std::string& name);
SubmitOptions submit_options(Session& session, const RunFlags& args);
// Those of a job that has to come behind the first: without --out, --into, --after and what else is the first one's alone.
SubmitOptions follow_up_options(const RunFlags& args);

// What is left to do, and to say, when the job is done.
struct Ending {
  std::function<void(JobResult&)> finish;  // may be empty
  std::function<std::string(const JobResult&)> summary;
  bool is_kept = false;  // `finish` has put the result where it was wanted: it is not printed
};

// A result that has no destination is the answer's array, for the printer to show.
Answer run_job(const Context& context, Session& session, const Operation& operation, const RunFlags& args,
               const Ending& ending);

// A detached job's id, the scalar, or the array's elements.
std::string print_run(const Answer& answer);

// "'c' (float64, 3x4)": where the result went.
std::string output_label(const JobResult& result, const RunFlags& args);
// "sum of 'a' -> ...: 0.1 s, 12 chunks, 14 GB/s"
Ending plain_ending(std::string what, const RunFlags& args);

}  // namespace parcompute::cli
