// run sort, argsort, cumsum, cumprod, unique, searchsorted, take, compress, bincount, histogram, percentile, concatenate, stack.
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/flags.h"
#include "client/cli/operand.h"
#include "client/cli/run_answer.h"
#include "client/cli/run_common.h"
#include "client/cli/wait.h"
#include "common/array/array_spec.h"

namespace parcompute::cli {
namespace {

// ---- a second array: the counts of unique, the edges of a histogram

// Where it goes is asked before anything is computed.
void check_second(Session& session, const std::string& flag, const std::string& to, const RunFlags& args) {
  if (to.empty()) return;
  check(args);
  check_name(flag, to);
  if (args.detach) throw UsageError(fmt::format("--detach makes one array: nobody waits for the result, which {} needs", flag));
  if (to == args.out) throw UsageError(fmt::format("{} and --out both go to '{}': they are two arrays", flag, to));
  if (names_file(to)) return check_file(to);
  const auto taken_by_others = [&] { return Failure(ErrorCode::kAlreadyExists, fmt::format("{}: the name '{}' is taken by another user's array: choose another name", flag, to)); };
  try {
    if (session.find(to).info().owner_uid != ::geteuid() && ::geteuid() != 0) throw taken_by_others();
  } catch (const Failure& failure) {
    if (failure.code() == ErrorCode::kNotFound) return;
    if (failure.code() == ErrorCode::kNotPermitted) throw taken_by_others();
    throw;
  }
  throw Failure(ErrorCode::kAlreadyExists,
                fmt::format("{0}: array '{1}' exists already: choose another name, or remove it with 'parcompute-client array rm {1}'", flag, to));
}

void note_second(const Context& context, std::string_view what, const std::string& to, const Array& array) {
  context.note(fmt::format("{} -> '{}' ({}, {})", what, to, name(array.dtype()), format_shape(array.shape())));
}

// ---- along one axis

struct AxisFlags : RunFlags {
  std::string a, b;
  Axis axis;
  bool flat = false;
  bool option = false;  // --descending, --right
};

Axis axis_or(const AxisFlags& args, Axis otherwise) {
  return args.flat ? Axis() : args.axis ? args.axis : otherwise;
}

void add_axis(CLI::App& app, AxisFlags& args, const std::string& otherwise) {
  add_whole(app, "--axis", args.axis, fmt::format("along this axis (default: {})", otherwise))->excludes(app.add_flag("--flat", args.flat, "take the array flat, in C order"));
}

void sort_flags(CLI::App& app, AxisFlags& args) {
  add_operand(app, "ARRAY", args.a, "an array's name, a .npy file, or a view of either");
  add_axis(app, args, "the last one");
  app.add_flag("--descending", args.option, "largest first");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer sort(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Sort{operand(session, args.a), axis_or(args, -1), args.option}, args, plain_ending(fmt::format("sort '{}'", args.a), args));
}
Answer argsort(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Argsort{operand(session, args.a), axis_or(args, -1), args.option}, args, plain_ending(fmt::format("argsort '{}'", args.a), args));
}

void scan_flags(CLI::App& app, AxisFlags& args) {
  add_operand(app, "ARRAY", args.a, "an array's name, a .npy file, or a view of either");
  add_axis(app, args, "the array flat, as NumPy");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer cumsum(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Cumsum{operand(session, args.a), axis_or(args, {})}, args, plain_ending(fmt::format("cumsum '{}'", args.a), args));
}
Answer cumprod(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Cumprod{operand(session, args.a), axis_or(args, {})}, args, plain_ending(fmt::format("cumprod '{}'", args.a), args));
}

void one_flags(CLI::App& app, AxisFlags& args) {
  add_operand(app, "ARRAY", args.a, "an array's name, a .npy file, or a view of either");
  add_destination(app, args);
  add_run_flags(app, args);
}

struct UniqueFlags : AxisFlags {
  std::string counts;
};

void unique_flags(CLI::App& app, UniqueFlags& args) {
  one_flags(app, args);
  app.add_option("--counts", args.counts, "make an array, or a file, of how often each occurs, too")->type_name("NAME|FILE.npy");
}

// How often each distinct element occurs: so far it reaches among the sorted ones.
void keep_counts(const Context& context, Session& session, const Array& a, const Array& distinct, const UniqueFlags& args) {
  const auto run = [&](const Operation& operation, const std::string& output) {
    SubmitOptions options = follow_up_options(args);
    options.output = output;
    Job job = session.submit(operation, options);
    return wait_for(context, session, job, args.timeout, GiveUp::kCancelJob).output;
  };
  const Array sorted = run(Sort{a, {}, false}, {});
  const Array before = run(Searchsorted{sorted, distinct, false}, {}), behind = run(Searchsorted{sorted, distinct, true}, {});
  const Array counts = run(Evaluate{"behind - before", {{"behind", behind}, {"before", before}}, {}}, names_file(args.counts) ? "" : args.counts);
  if (names_file(args.counts)) session.export_npy(counts, args.counts);
  note_second(context, fmt::format("counts of '{}'", args.a), args.counts, counts);
}

Answer unique(const Context& context, const UniqueFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  check_second(session, "--counts", args.counts, args);
  const Array a = operand(session, args.a);
  Ending ending = plain_ending(fmt::format("unique '{}'", args.a), args);
  if (!args.counts.empty()) {
    // All numbers with a NaN are one, wherever they stand in the order.
    if (info(a.dtype()).kind == Kind::kComplex)
      throw Failure(ErrorCode::kUnsupported, fmt::format("--counts counts real numbers, and '{}' is {}: leave it away", args.a, name(a.dtype())));
    ending.finish = [&](JobResult& result) { keep_counts(context, session, a, result.output, args); };
  }
  Answer answer = run_job(context, session, Unique{a}, args, ending);
  if (!args.counts.empty()) answer.value["counts"] = args.counts;
  return answer;
}

void search_flags(CLI::App& app, AxisFlags& args) {
  add_operand(app, "SORTED", args.a, "a sorted one-dimensional array");
  add_operand(app, "VALUES", args.b, "what to place in it");
  app.add_flag("--right", args.option, "behind equal elements, not before them");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer searchsorted(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Searchsorted{operand(session, args.a), operand(session, args.b), args.option}, args,
                 plain_ending(fmt::format("searchsorted '{}' in '{}'", args.b, args.a), args));
}

void take_flags(CLI::App& app, AxisFlags& args) {
  add_operand(app, "ARRAY", args.a, "an array's name, a .npy file, or a view of either");
  add_operand(app, "INDICES", args.b, "which elements: integers, negative ones from the end");
  add_axis(app, args, "the array flat, as NumPy");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer take(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Take{operand(session, args.a), operand(session, args.b), axis_or(args, {})}, args,
                 plain_ending(fmt::format("take '{}' from '{}'", args.b, args.a), args));
}

void compress_flags(CLI::App& app, AxisFlags& args) {
  add_operand(app, "ARRAY", args.a, "an array's name, a .npy file, or a view of either");
  add_operand(app, "MASK", args.b, "bool, with the shape of the array's first dimensions");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer compress(const Context& context, const AxisFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Compress{operand(session, args.a), operand(session, args.b)}, args, plain_ending(fmt::format("compress '{}' by '{}'", args.a, args.b), args));
}

// ---- counting

struct CountFlags : RunFlags {
  std::string array, weights, edges, edges_out, range;
  std::uint64_t bins = 0, least_length = 0;
};

// A whole number that the server computes of an array.
std::int64_t largest(Session& session, const Array& array) {
  if (array.size() == 0) return -1;
  const auto scalar = session.submit(Evaluate{"int64(max(x))", {{"x", array}}, {}}).wait().scalar;
  return scalar->as<std::int64_t>();
}

void bincount_flags(CLI::App& app, CountFlags& args) {
  add_operand(app, "ARRAY", args.array, "whole numbers from 0");
  app.add_option("--weights", args.weights, "add these real numbers up, as float64, instead of counting")->type_name("ARRAY");
  add_count(app, "--minlength", args.least_length, "at least so many counts");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer bincount(const Context& context, const CountFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  const Array array = operand(session, args.array);
  const auto length = std::max(args.least_length, static_cast<std::uint64_t>(largest(session, array) + 1));
  return run_job(context, session, Bincount{array, length, args.weights.empty() ? Array() : operand(session, args.weights)}, args,
                 plain_ending(fmt::format("bincount '{}'", args.array), args));
}

void histogram_flags(CLI::App& app, CountFlags& args) {
  add_operand(app, "ARRAY", args.array, "an array's name, a .npy file, or a view of either");
  add_count(app, "--bins", args.bins, "so many bins of equal width (default: 10)");
  app.add_option("--range", args.range, "from the lower to the upper end (default: from the least element to the largest)")->type_name("LOW,HIGH");
  app.add_option("--edges", args.edges, "an array of the bins' edges, instead")->type_name("ARRAY");
  app.add_option("--edges-out", args.edges_out, "make an array, or a file, of the edges of bins of equal width, too")->type_name("NAME|FILE.npy");
  app.add_option("--weights", args.weights, "add these real numbers up, in their dtype, instead of counting")->type_name("ARRAY");
  add_destination(app, args);
  add_run_flags(app, args);
}
// Those that the elements were compared with.
void keep_edges(const Context& context, Session& session, const Histogram& operation, const CountFlags& args) {
  const auto number = [](double x) {
    Number real;
    real.is_integer = false;
    real.real = x;
    return real;
  };
  const DType dtype = operation.a.dtype() == DType::kFloat32 ? DType::kFloat32 : DType::kFloat64;
  const bool to_file = names_file(args.edges_out);
  const Array edges = session.create_linspace(to_file ? "" : args.edges_out, dtype, number(operation.low), number(operation.high), operation.bins + 1);
  if (to_file) session.export_npy(edges, args.edges_out);
  note_second(context, fmt::format("edges of '{}'", args.array), args.edges_out, edges);
}

Answer histogram(const Context& context, const CountFlags& args) {
  Session session = context.connect_or_start(args.timeout);
  if (!args.edges.empty() && !args.edges_out.empty()) throw UsageError("--edges-out is of bins of equal width: with --edges you have the edges");
  check_second(session, "--edges-out", args.edges_out, args);
  if (!args.edges.empty() && (args.bins != 0 || !args.range.empty())) throw UsageError("--edges says where the bins are: leave --bins and --range away");
  constexpr std::uint64_t kNumPysBins = 10;
  Histogram operation{operand(session, args.array), args.bins == 0 ? kNumPysBins : args.bins, 0, 1, {}, {}};
  if (!args.weights.empty()) operation.weights = operand(session, args.weights);
  if (!args.edges.empty()) {
    operation.edges = operand(session, args.edges);
  } else if (!args.range.empty()) {
    const std::vector<double> ends = parse_reals("--range", args.range);
    if (ends.size() != 2) throw UsageError(fmt::format("--range: '{}' is no range: write two numbers, such as 0,1", args.range));
    if (ends[0] > ends[1]) throw UsageError(fmt::format("--range: from {} to {} there is nothing: the upper end lies below the lower one", ends[0], ends[1]));
    operation.low = ends[0];
    operation.high = ends[1];
  } else if (operation.a.size() > 0) {
    const auto end = [&](const char* op) { return session.submit(Evaluate{fmt::format("float64({}(x))", op), {{"x", operation.a}}, {}}).wait().scalar->as<double>(); };
    operation.low = end("min");
    operation.high = end("max");
  }
  // NumPy's: a range of one value is widened by half on either side.
  if (operation.low == operation.high) {
    operation.low -= 0.5;
    operation.high += 0.5;
  }
  Ending ending = plain_ending(fmt::format("histogram '{}'", args.array), args);
  if (!args.edges_out.empty()) ending.finish = [&](JobResult&) { keep_edges(context, session, operation, args); };
  Answer answer = run_job(context, session, operation, args, ending);
  if (!args.edges_out.empty()) answer.value["edges"] = args.edges_out;
  return answer;
}

struct PercentileFlags : AxisFlags {
  std::string q;
};

void percentile_flags(CLI::App& app, PercentileFlags& args) {
  add_operand(app, "ARRAY", args.a, "an array's name, a .npy file, or a view of either");
  app.add_option("--q", args.q, "percentages from 0 to 100, such as 50 or 25,50,75 (default: 50, the median)")->type_name("Q");
  add_axis(app, args, "the array flat, as NumPy");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer percentile(const Context& context, const PercentileFlags& args) {
  const std::vector<double> q = parse_reals("--q", args.q.empty() ? "50" : args.q);
  for (const double percentage : q)
    if (percentage < 0 || percentage > 100) throw UsageError(fmt::format("--q: {} is no percentage from 0 to 100", percentage));
  Session session = context.connect_or_start(args.timeout);
  return run_job(context, session, Percentile{operand(session, args.a), q, axis_or(args, {})}, args, plain_ending(fmt::format("percentile '{}'", args.a), args));
}

// ---- joining

struct JoinFlags : RunFlags {
  std::vector<std::string> arrays;
  Axis axis;
};

void join_flags(CLI::App& app, JoinFlags& args) {
  app.add_option("ARRAY", args.arrays, "the arrays, one behind the other; their dtypes meet as NumPy's")->required()->type_name("");
  add_whole(app, "--axis", args.axis, "along this axis (default: 0)");
  add_destination(app, args);
  add_run_flags(app, args);
}
Answer join(const Context& context, const JoinFlags& args, bool stack) {
  Session session = context.connect_or_start(args.timeout);
  Concatenate operation{{}, args.axis.value_or(0), stack};
  for (const std::string& array : args.arrays) operation.arrays.push_back(operand(session, array));
  return run_job(context, session, operation, args, plain_ending(stack ? "stack" : "concatenate", args));
}
Answer concatenate(const Context& context, const JoinFlags& args) {
  return join(context, args, false);
}
Answer stack(const Context& context, const JoinFlags& args) {
  return join(context, args, true);
}

const std::array kCommands{
    command<AxisFlags>("run", "sort", "sorted elements, as numpy.sort", "parcompute-client run sort a --out sorted", sort_flags, sort, print_run),
    command<AxisFlags>("run", "argsort", "the order that sorts, stable, as numpy.argsort", "parcompute-client run argsort a --flat", sort_flags, argsort, print_run),
    command<AxisFlags>("run", "cumsum", "running sums, as numpy.cumsum", "parcompute-client run cumsum a --axis 0 --out sums", scan_flags, cumsum, print_run),
    command<AxisFlags>("run", "cumprod", "running products, as numpy.cumprod", "parcompute-client run cumprod a", scan_flags, cumprod, print_run),
    command<UniqueFlags>("run", "unique", "sorted distinct elements, as numpy.unique", "parcompute-client run unique a --out values --counts counts", unique_flags, unique,
                         print_run),
    command<AxisFlags>("run", "searchsorted", "where values belong in a sorted array, as numpy.searchsorted", "parcompute-client run searchsorted sorted values --right",
                       search_flags, searchsorted, print_run),
    command<AxisFlags>("run", "take", "elements by their indices, as numpy.take", "parcompute-client run take a indices --axis 0", take_flags, take, print_run),
    command<AxisFlags>("run", "compress", "elements where a mask is true, as a[mask]", "parcompute-client run compress a mask --out chosen", compress_flags, compress,
                       print_run),
    command<CountFlags>("run", "bincount", "how often each whole number occurs, as numpy.bincount", "parcompute-client run bincount a", bincount_flags, bincount, print_run),
    command<CountFlags>("run", "histogram", "counts in bins, as numpy.histogram", "parcompute-client run histogram a --bins 50 --range 0,1", histogram_flags, histogram,
                        print_run),
    command<PercentileFlags>("run", "percentile", "percentiles, as numpy.percentile", "parcompute-client run percentile a --q 25,50,75 --axis 0", percentile_flags, percentile,
                             print_run),
    command<JoinFlags>("run", "concatenate", "arrays one behind the other, as numpy.concatenate", "parcompute-client run concatenate a b --axis 1 --out c", join_flags,
                       concatenate, print_run),
    command<JoinFlags>("run", "stack", "arrays along a new axis, as numpy.stack", "parcompute-client run stack a b --out c", join_flags, stack, print_run),
};

}  // namespace

std::span<const Command> order_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
