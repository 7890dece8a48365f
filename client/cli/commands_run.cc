// run reduce, matmul, mandelbrot, nop.
#include <array>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/flags.h"
#include "client/cli/number_text.h"
#include "client/cli/operand.h"
#include "client/cli/picture.h"
#include "client/cli/run_answer.h"
#include "client/cli/wait.h"
#include "common/array/array_spec.h"

namespace parcompute::cli {
namespace {

// ---- what every run takes

struct RunFlags {
  std::uint64_t chunk_blocks = 0;
  unsigned max_workers = 0;
  std::optional<double> timeout;
  bool detach = false;
  std::string out;  // a name, a file, or empty
};

void add_run_flags(CLI::App& app, RunFlags& args) {
  add_chunk(app, "--chunk", args.chunk_blocks);
  add_count(app, "--workers", args.max_workers, "most workers that compute it at once (default: all)");
  CLI::Option* timeout =
      add_seconds(app, "--timeout", args.timeout, "cancel it after so long (exit status 124)");
  app.add_flag("--detach", args.detach, "print the job's id and leave it running; job wait ID answers for it")
      ->excludes(timeout);
}

CLI::Option* add_out(CLI::App& app, RunFlags& args, const std::string& help) {
  return app.add_option("--out", args.out, help)->type_name("NAME|FILE.npy");
}

void check(const RunFlags& args) {
  if (args.detach && names_file(args.out))
    throw UsageError(fmt::format(
        "--detach cannot write '{}': nobody waits for the result; give --out an array's name and export "
        "that when the job has ended",
        args.out));
}

SubmitOptions submit_options(const RunFlags& args) {
  SubmitOptions options;
  if (!names_file(args.out)) options.output = args.out;
  options.chunk_blocks = args.chunk_blocks;
  options.max_workers = args.max_workers;
  options.detach = args.detach;
  return options;
}

// What is left to do, and to say, when the job is done.
struct Ending {
  std::function<void(JobResult&)> finish;  // may be empty
  std::function<std::string(const JobResult&)> summary;
};

Answer run_job(const Context& context, Session& session, const Operation& operation, const RunFlags& args,
               const SubmitOptions& options, const Ending& ending) {
  Job job = session.submit(operation, options);
  if (args.detach) {
    Value value{{"job", job.id()}};
    return {.value = std::move(value), .array = {}};
  }
  JobResult result = wait_for(context, job, args.timeout, GiveUp::kCancelJob);
  if (result.output && names_file(args.out)) session.export_npy(result.output, args.out);
  if (ending.finish) ending.finish(result);
  Value value = describe_result(result);
  if (result.output && names_file(args.out)) value["result"]["path"] = args.out;
  context.note(ending.summary(result));
  return {.value = std::move(value), .array = {}};
}

// A detached job's id, or the scalar, alone on its line.
std::string print_run(const Answer& answer) {
  return answer.value.contains("result") ? print_scalar(answer) : answer.value["job"].dump() + "\n";
}

std::string output_label(const JobResult& result, const RunFlags& args) {
  const std::string spec =
      fmt::format("{}, {}", name(result.output.dtype()), format_shape(result.output.shape()));
  return args.out.empty() ? spec : fmt::format("'{}' ({})", args.out, spec);
}

// ---- reduce

constexpr std::array<std::string_view, 3> kReductions{"sum", "min", "max"};

struct ReduceFlags : RunFlags {
  Reduce::Op op = Reduce::Op::kSum;
  std::string array;
};

void reduce_flags(CLI::App& app, ReduceFlags& args) {
  add_choice(
      app, "OP", kReductions, "", [&args](std::size_t i) { args.op = static_cast<Reduce::Op>(i); },
      "sum, min or max")
      ->required();
  app.add_option("ARRAY", args.array, "an array's name, or a .npy file")->required()->type_name("");
  add_out(app, args, "keep the result as an array without dimensions too");
  add_run_flags(app, args);
}

Answer reduce(const Context& context, const ReduceFlags& args) {
  if (args.detach && !args.out.empty())
    throw UsageError(
        "--detach and --out do not go together here: job wait ID prints the result of a detached reduction");
  Session session = context.connect_or_start();
  const Array array = operand(session, args.array);
  // The scalar comes to us, and we store it: see that the name is free before the work, not after.
  const bool named = !args.out.empty() && !names_file(args.out);
  if (named)
    for (const ArrayInfo& existing : session.list())
      if (existing.name == args.out)
        throw Failure(
            ErrorCode::kAlreadyExists,
            fmt::format(
                "there is an array named '{0}' already; remove it (parcompute-client array rm {0}) or choose "
                "another name",
                args.out));
  SubmitOptions options = submit_options(args);
  options.output.clear();
  const Ending ending{[&](JobResult& result) {
                        if (args.out.empty()) return;
                        const Array kept = session.create_full(named ? args.out : "", *result.scalar, {});
                        if (!named) session.export_npy(kept, args.out);
                      },
                      [&](const JobResult& result) {
                        return fmt::format(
                            "{} of '{}' ({}, {}): {}", kReductions[static_cast<std::size_t>(args.op)],
                            args.array, name(array.dtype()), format_shape(array.shape()),
                            figures(result.info, static_cast<double>(result.info.bytes_read), "B/s"));
                      }};
  return run_job(context, session, Reduce{.op = args.op, .a = array}, args, options, ending);
}

// ---- matmul

struct MatmulFlags : RunFlags {
  std::string a, b;
};

void matmul_flags(CLI::App& app, MatmulFlags& args) {
  app.add_option("A", args.a, "the left matrix, or stack of matrices: a name, or a .npy file")
      ->required()
      ->type_name("");
  app.add_option("B", args.b, "the right one")->required()->type_name("");
  add_out(app, args, "where the product goes")->required();
  add_run_flags(app, args);
}

Answer matmul(const Context& context, const MatmulFlags& args) {
  check(args);
  Session session = context.connect_or_start();
  const Array a = operand(session, args.a);
  const Array b = operand(session, args.b);
  const Ending ending{{}, [&](const JobResult& result) {
                        const auto k = static_cast<double>(a.shape().empty() ? 0 : a.shape().back());
                        const double operations = 2 * k * static_cast<double>(result.output.size());
                        return fmt::format("matmul '{}' ({}) by '{}' ({}) -> {}: {}", args.a,
                                           format_shape(a.shape()), args.b, format_shape(b.shape()),
                                           output_label(result, args),
                                           figures(result.info, operations, "FLOPS"));
                      }};
  return run_job(context, session, Matmul{.a = a, .b = b}, args, submit_options(args), ending);
}

// ---- mandelbrot

struct MandelbrotFlags : RunFlags {
  std::vector<std::int64_t> size;
  std::array<double, 4> region{-2, 1, -1.5, 1.5};
  std::uint64_t max_iter = 0;
  std::string png;
  Colormap map = Colormap::kHot;
};

void mandelbrot_flags(CLI::App& app, MandelbrotFlags& args) {
  add_shape(app, "--size", args.size, "points along x and y, such as 800x800")->required();
  add_region(app, "--region", args.region, "part of the plane (default: -2,1,-1.5,1.5)");
  add_count(app, "--max-iter", args.max_iter, "steps before a point counts as inside")->required();
  add_out(app, args, "where the escape counts go: int64, x on axis 0");
  app.add_option("--png", args.png, "draw them too: x to the right, y up")->type_name("FILE.png");
  add_colormap(app, args.map);
  add_run_flags(app, args);
}

Answer mandelbrot(const Context& context, const MandelbrotFlags& args) {
  check(args);
  if (args.out.empty() && args.png.empty())
    throw UsageError("--out or --png is required: the result must go somewhere");
  if (args.detach && !args.png.empty())
    throw UsageError("--detach cannot draw a picture: nobody waits for the result; use --out NAME");
  if (args.size.size() != 2 || args.size[0] == 0 || args.size[1] == 0)
    throw UsageError(fmt::format("--size: '{}' is no grid: write points along x and y, such as 800x800",
                                 format_shape(args.size)));
  Session session = context.connect_or_start();
  const Mandelbrot operation{.nx = static_cast<std::uint64_t>(args.size[0]),
                             .ny = static_cast<std::uint64_t>(args.size[1]),
                             .x_min = args.region[0],
                             .x_max = args.region[1],
                             .y_min = args.region[2],
                             .y_max = args.region[3],
                             .max_iter = args.max_iter};
  const Ending ending{
      [&](JobResult& result) {
        if (args.png.empty()) return;
        const auto drawn = write_mandelbrot(args.png, elements_of(result.output),
                                            static_cast<std::int64_t>(args.max_iter), args.map);
        if (!drawn) throw Failure(drawn.error().code, drawn.error().message, drawn.error().system_errno);
      },
      [&](const JobResult& result) {
        return fmt::format("mandelbrot {} -> {}: {}", format_shape(args.size), output_label(result, args),
                           figures(result.info, static_cast<double>(result.output.size()), "points/s"));
      }};
  return run_job(context, session, operation, args, submit_options(args), ending);
}

// ---- nop

struct NopFlags : RunFlags {
  std::uint64_t blocks = 0;
};

void nop_flags(CLI::App& app, NopFlags& args) {
  add_count(app, "--blocks", args.blocks, "how many")->required();
  add_run_flags(app, args);
}

Answer nop(const Context& context, const NopFlags& args) {
  Session session = context.connect_or_start();
  const Ending ending{{}, [&](const JobResult& result) {
                        return fmt::format(
                            "nop, {} blocks: {}", args.blocks,
                            figures(result.info, static_cast<double>(result.info.chunks_done), "chunks/s"));
                      }};
  return run_job(context, session, Nop{.blocks = args.blocks}, args, submit_options(args), ending);
}

const std::array kCommands{
    command<ReduceFlags>(
        "run", "reduce", "the sum, smallest or largest of all elements; a scalar, alone on its line",
        "parcompute-client run reduce sum measurements.npy", reduce_flags, reduce, print_run),
    command<MatmulFlags>("run", "matmul", "matrix product, as numpy.matmul",
                         "parcompute-client run matmul a b --out c", matmul_flags, matmul, print_run),
    command<MandelbrotFlags>(
        "run", "mandelbrot", "escape counts on a grid, and their picture",
        "parcompute-client run mandelbrot --size 800x800 --region -2,1,-1.5,1.5 --max-iter 10000 "
        "--out counts.npy --png mandelbrot.png",
        mandelbrot_flags, mandelbrot, print_run),
    command<NopFlags>("run", "nop", "blocks that do nothing: measures dispatch",
                      "parcompute-client run nop --blocks 1000000 --chunk 1", nop_flags, nop, print_run),
};

}  // namespace

std::span<const Command> run_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
