// run mandelbrot, nop.
#include <array>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/flags.h"
#include "client/cli/operand.h"
#include "client/cli/picture.h"
#include "client/cli/run_answer.h"
#include "client/cli/run_common.h"
#include "common/array/array_spec.h"

namespace parcompute::cli {
namespace {

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
  add_destination(app, args);
  app.add_option("--png", args.png, "draw them too: x to the right, y up")->type_name("FILE.png");
  add_colormap(app, args.map);
  add_run_flags(app, args);
}

Answer mandelbrot(const Context& context, const MandelbrotFlags& args) {
  check(args);
  if (args.out.empty() && args.into.empty() && args.png.empty())
    throw UsageError("--out, --into or --png is required: the result must go somewhere");
  if (!args.png.empty() && !args.png.ends_with(".png"))
    throw UsageError(fmt::format("--png: '{}' does not end in .png, and PNG is what is written", args.png));
  if (args.detach && !args.png.empty())
    throw UsageError("--detach cannot draw a picture: nobody waits for the result; use --out NAME");
  if (args.size.size() != 2 || args.size[0] == 0 || args.size[1] == 0)
    throw UsageError(fmt::format("--size: '{}' is no grid: write points along x and y, such as 800x800",
                                 format_shape(args.size)));
  if (!args.png.empty()) check_file(args.png);
  Session session = context.connect_or_start(args.timeout);
  const Mandelbrot operation{.nx = static_cast<std::uint64_t>(args.size[0]),
                             .ny = static_cast<std::uint64_t>(args.size[1]),
                             .x_min = args.region[0],
                             .x_max = args.region[1],
                             .y_min = args.region[2],
                             .y_max = args.region[3],
                             .max_iter = args.max_iter};
  Array drawn_from;  // else the new array
  if (!args.into.empty() && !args.png.empty()) {
    drawn_from = operand(session, args.into);
    if (drawn_from.dtype() != DType::kInt64 || drawn_from.shape() != args.size)
      throw UsageError(fmt::format("--png draws the counts themselves: '{}' ({}, {}) is no int64 array of {}", args.into, name(drawn_from.dtype()),
                                   format_shape(drawn_from.shape()), format_shape(args.size)));
  }
  const Ending ending{
      [&](JobResult& result) {
        if (args.png.empty()) return;
        const auto drawn = write_mandelbrot(args.png, elements_of(drawn_from ? drawn_from : result.output),
                                            static_cast<std::int64_t>(args.max_iter), args.map);
        if (!drawn) throw Failure(drawn.error().code, drawn.error().message, drawn.error().system_errno);
      },
      [&](const JobResult& result) {
        const bool only_drawn = args.out.empty() && args.into.empty();
        const std::string kept = only_drawn ? "" : output_label(result, args), drawn = args.png.empty() ? "" : fmt::format("'{}'", args.png);
        return fmt::format("mandelbrot {} -> {}{}{}: {}", format_shape(args.size), kept, kept.empty() || drawn.empty() ? "" : ", ", drawn,
                           figures(result.info, static_cast<double>(args.size[0]) * static_cast<double>(args.size[1]), "points/s"));
      },
      !args.png.empty()};
  const auto run = [&] {
    Answer answer = run_job(context, session, operation, args, ending);
    if (!args.png.empty()) answer.value["png"] = args.png;
    return answer;
  };
  return args.into.empty() ? blaming_the_command_line(run) : run();
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
  Session session = context.connect_or_start(args.timeout);
  const Ending ending{{}, [&](const JobResult& result) {
                        return fmt::format(
                            "nop, {} blocks: {}", args.blocks,
                            figures(result.info, static_cast<double>(result.info.chunks_done), "chunks/s"));
                      }};
  return blaming_the_command_line([&] { return run_job(context, session, Nop{.blocks = args.blocks}, args, ending); });
}

const std::array kCommands{
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
