#include "client/cli/run_common.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "client/cli/array_text.h"
#include "client/cli/describe.h"
#include "client/cli/flags.h"
#include "client/cli/modes.h"
#include "client/cli/operand.h"
#include "client/cli/run_answer.h"
#include "client/cli/wait.h"
#include "common/array/array_spec.h"
#include "common/array/npy.h"
#include "common/os/atomic_file.h"

namespace parcompute::cli {

void add_run_flags(CLI::App& app, RunFlags& args) {
  add_chunk(app, "--chunk", args.chunk_blocks);
  add_count(app, "--workers", args.max_workers, "most workers that compute it at once (default: all)");
  CLI::Option* timeout =
      add_seconds(app, "--timeout", args.timeout, "cancel it after so long (exit status 124)");
  app.add_flag("--detach", args.detach, "print the job's id and leave it running; job wait ID answers for it")
      ->excludes(timeout);
  CLI::Option* priority = add_priority(app, "--priority", args.priority, "-20 (soonest) to 19, as nice's: each step lower has 1.25 times the workers' time (default: 0)");
  app.add_flag("--background", args.background, "compute it only while nobody else has work for the workers")->excludes(priority);
  add_jobs(app, "--after", args.after, "start it when these jobs have ended well; it is cancelled where one does not");
  add_seconds(app, "--time-limit", args.time_limit, "cancel it when it has run for so long, however long it waited before");
}

CLI::Option* add_out(CLI::App& app, RunFlags& args, const std::string& help) {
  CLI::Option* out = app.add_option("--out", args.out, help)->type_name("NAME|FILE.npy");
  add_creation_mode(app, args.mode)->needs(out);
  return out;
}

void add_destination(CLI::App& app, RunFlags& args) {
  CLI::Option* out = add_out(app, args, "keep the result as a new array, or write it to a file; else it is printed");
  app.add_option("--into", args.into, "write the result into an array that exists, or a view of one: a, 'a[10:20, ::-1]', 'a[3]'")
      ->type_name("ARRAY")
      ->excludes(out);
}

CLI::Option* add_operand(CLI::App& app, const std::string& flag, std::string& out, const std::string& help) {
  return app.add_option(flag, out, help)->required()->type_name("");
}

namespace {

// Names may hold dots, but what ends so is a file for everybody else.
constexpr std::array<std::string_view, 12> kFileEndings{".txt", ".csv", ".tsv", ".dat", ".json", ".png", ".jpg", ".jpeg", ".npz", ".mat", ".h5", ".hdf5"};

}  // namespace

void check_name(const std::string& flag, const std::string& name) {
  if (!names_file(name) && std::any_of(kFileEndings.begin(), kFileEndings.end(), [&](std::string_view ending) { return name.ends_with(ending); }))
    throw UsageError(fmt::format("{0}: '{1}' names no file here: write '{1}.npy', or './{1}' for a .npy file of that very name", flag, name));
}

void check_file(const std::string& file) {
  // Made without a name, and dropped.
  if (const auto probe = AtomicFile::create(file); !probe) throw Failure(probe.error().code, probe.error().message, probe.error().system_errno);
}

void check(const RunFlags& args) {
  check_name("--out", args.out);
  if (args.mode && names_file(args.out))
    throw UsageError(fmt::format("--mode is an array's, and --out '{}' is a file: 'chmod' changes its mode", args.out));
  if (args.detach && names_file(args.out))
    throw UsageError(fmt::format(
        "--detach cannot write '{}': nobody waits for the result; give --out an array's name and export "
        "that when the job has ended",
        args.out));
  if (names_file(args.out)) check_file(args.out);
}

SubmitOptions submit_options(Session& session, const RunFlags& args) {
  SubmitOptions options = follow_up_options(args);
  if (!names_file(args.out)) options.output = args.out;
  if (!args.into.empty()) {
    options.into = operand(session, args.into);
    if (options.into.name().empty())
      throw UsageError(fmt::format("--into: '{}' is a file: attach it first ('parcompute-client array attach NAME {} --writable')", args.into, args.into));
  }
  options.chunk_blocks = args.chunk_blocks;
  options.detach = args.detach;
  options.after = args.after;
  return options;
}

SubmitOptions follow_up_options(const RunFlags& args) {
  SubmitOptions options;
  options.max_workers = args.max_workers;
  options.priority = args.priority;
  options.background = args.background;
  if (args.time_limit) options.time_limit = std::chrono::duration<double>(*args.time_limit);
  return options;
}

namespace {

// A scalar becomes an array without dimensions, as numpy.save has it.
void write_file(Session& session, const JobResult& result, const std::string& file) {
  if (result.output) return session.export_npy(result.output, file);
  if (!result.scalar) return;
  const auto written = write_npy(file, ArraySpec{result.scalar->dtype, {}, {}, 0}, result.scalar->bytes.data());
  if (!written) throw Failure(written.error().code, written.error().message, written.error().system_errno);
}

}  // namespace

Answer run_job(const Context& context, Session& session, const Operation& operation, const RunFlags& args,
               const Ending& ending) {
  check(args);
  Job job = session.submit(operation, submit_options(session, args));
  if (args.detach) {
    if (args.mode) session.set_mode(args.out, *args.mode);
    Value value{{"job", job.id()}};
    return {.value = std::move(value), .array = {}};
  }
  JobResult result = wait_for(context, session, job, args.timeout, GiveUp::kCancelJob);
  if (names_file(args.out)) write_file(session, result, args.out);
  if (args.mode) session.set_mode(args.out, *args.mode);
  if (ending.finish) ending.finish(result);
  Value value = describe_result(result);
  if (args.mode && value.contains("result")) value["result"]["mode"] = name(*args.mode);
  if (names_file(args.out)) (result.output ? value["result"] : value)["path"] = args.out;
  if (!args.into.empty()) value["into"] = args.into;
  context.note(ending.summary(result));
  const bool is_shown = !ending.is_kept && args.out.empty() && args.into.empty() && result.output && !result.scalar;
  if (is_shown && context.flags.json && result.output.size() <= kMaxJsonElements) value["data"] = array_json(elements_of(result.output));
  return {.value = std::move(value), .array = is_shown ? result.output : Array()};
}

std::string print_run(const Answer& answer) {
  if (!answer.value.contains("result")) return answer.value["job"].dump() + "\n";
  return answer.array ? array_text(elements_of(answer.array)) + "\n" : print_scalar(answer);
}

std::string output_label(const JobResult& result, const RunFlags& args) {
  if (!args.into.empty()) return fmt::format("'{}'", args.into);
  if (!result.output) return args.out.empty() ? "" : fmt::format("'{}'", args.out);
  const std::string spec =
      fmt::format("{}, {}", name(result.output.dtype()), format_shape(result.output.shape()));
  return args.out.empty() ? spec : fmt::format("'{}' ({})", args.out, spec);
}

Ending plain_ending(std::string what, const RunFlags& args) {
  return {{}, [what = std::move(what), &args](const JobResult& result) {
            const std::string label = output_label(result, args);
            return fmt::format("{}{}{}: {}", what, label.empty() ? "" : " -> ", label,
                               figures(result.info, static_cast<double>(result.info.bytes_read + result.info.bytes_written), "B/s"));
          }};
}

}  // namespace parcompute::cli
