// run expr, reduce, matmul, dot, vecdot, outer, random.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/flags.h"
#include "client/cli/operand.h"
#include "client/cli/run_answer.h"
#include "client/cli/run_common.h"
#include "client/cli/text.h"
#include "client/cli/value_text.h"
#include "common/array/array_spec.h"
#include "common/base/suggestion.h"
#include "common/expression/program.h"
#include "common/expression/syntax.h"

namespace parcompute::cli {
namespace {

// ---- expr

struct ExprFlags : RunFlags {
  std::string expression;
  std::vector<std::string> bindings;
  std::optional<DType> dtype;
};

void expr_flags(CLI::App& app, ExprFlags& args) {
  app.add_option("EXPRESSION", args.expression, "in Python's syntax, with NumPy's functions: 'sqrt(x**2 + y**2)'")->required()->type_name("");
  app.add_option("NAME=ARRAY", args.bindings, "what a name stands for: x=a, x='a[::2]', x=file.npy; other names are arrays' names")->type_name("");
  add_destination(app, args);
  add_optional_dtype(app, "--dtype", args.dtype, "the result's element type (default: what NumPy gives)");
  add_run_flags(app, args);
  std::vector<std::string_view> dtypes;
  for (const DTypeInfo& row : kDTypes) dtypes.push_back(row.name);
  app.footer(fmt::format("{}\nFunctions:\n{}Reductions, with axis=... and keepdims=True:\n{}Casts, such as float32(x):\n{}Constants:\n{}"
                         "Operators: + - * / // % ** & | ^ ~ << >> == != < <= > >=\n"
                         "\nEXPRESSIONS in man parcompute-client has the language.\n",
                         app.get_footer(), indented_words(function_names()), indented_words(reduction_names()), indented_words(dtypes),
                         indented_words(constant_names())));
}

Answer expr(const Context& context, const ExprFlags& args) {
  // What is no expression needs no server to say so.
  if (const auto syntax = parse_expression(args.expression); !syntax) throw UsageError(syntax.error().message);
  Session session = context.connect_or_start(args.timeout);
  std::vector<Evaluate::Operand> operands;
  for (const std::string& binding : args.bindings) {
    if (binding.starts_with('-')) throw UsageError(fmt::format("'{}' stands behind --, where no flag is read: write it before", binding));
    const std::size_t equals = binding.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == binding.size())
      throw UsageError(fmt::format("'{}' binds no name: write NAME=ARRAY, such as x=a", binding));
    const std::string bound = binding.substr(0, equals);
    for (const Evaluate::Operand& other : operands)
      if (other.name == bound) throw UsageError(fmt::format("'{}' is bound twice", bound));
    operands.push_back({bound, operand(session, binding.substr(equals + 1))});
  }
  Evaluate evaluate = blaming_the_command_line([&] { return session.evaluate(args.expression, std::move(operands)); });
  evaluate.dtype = args.dtype;
  return run_job(context, session, evaluate, args, plain_ending(args.expression, args));
}

// ---- reduce

struct ReduceFlags : RunFlags {
  std::string op;
  std::string array;
  std::string axis;
  bool keepdims = false;
  std::string ddof;
};

std::string reduction(const std::string& word) {
  const auto names = reduction_names();
  if (std::find(names.begin(), names.end(), word) != names.end()) return word;
  const std::string operation = operation_instead(word);
  throw CLI::ValidationError("OP", fmt::format("'{}' is none of {}{}", word, joined(names), operation.empty() ? suggestion(word, names) : operation));
}

void reduce_flags(CLI::App& app, ReduceFlags& args) {
  app.add_option_function<std::string>("OP", [&args](const std::string& word) { args.op = reduction(word); }, "sum, mean, max, ...: NumPy's reductions, below")
      ->type_name("")
      ->required();
  add_operand(app, "ARRAY", args.array, "an array's name, or a .npy file, or a view: 'a[:, 0]'");
  app.add_option("--axis", args.axis, "the axes that go, such as 0 or 0,2 (default: all)")->type_name("AXES");
  app.add_flag("--keepdims", args.keepdims, "leave them as dimensions of one element");
  app.add_option("--ddof", args.ddof, "of var and std: divide by the number of elements less this (default: 0)")->type_name("N");
  add_destination(app, args);
  add_run_flags(app, args);
  app.footer(fmt::format("{}\nOP is one of:\n{}", app.get_footer(), indented_words(reduction_names())));
}

// The expression is ours: what is said of it is said of the operand, without the column.
[[noreturn]] void blame_operand(const Failure& failure, const ReduceFlags& args, const Array& array) {
  std::string sentence = failure.what();
  const std::size_t column = sentence.rfind(" at column ");
  if (failure.code() != ErrorCode::kInvalidArgument || column == std::string::npos) throw failure;
  sentence.erase(column);
  if (sentence.ends_with(',')) sentence.pop_back();
  throw Failure(failure.code(), fmt::format("{} of '{}' ({}, {}): {}", args.op, args.array, name(array.dtype()), format_shape(array.shape()), sentence));
}

Answer reduce(const Context& context, const ReduceFlags& args) {
  std::string call = args.op + "(x";
  if (!args.axis.empty()) {
    call += ", axis=(";
    for (const int axis : parse_axes("--axis", args.axis)) call += fmt::format("{},", axis);
    call += ")";
  }
  if (args.keepdims) call += ", keepdims=True";
  if (!args.ddof.empty()) {
    double ddof = 0;
    const auto [end, error] = std::from_chars(args.ddof.data(), args.ddof.data() + args.ddof.size(), ddof);
    if (error != std::errc{} || !std::isfinite(ddof) || end != args.ddof.data() + args.ddof.size()) throw UsageError(fmt::format("--ddof: '{}' is no number", args.ddof));
    if (!args.op.ends_with("var") && !args.op.ends_with("std")) throw UsageError(fmt::format("--ddof belongs to var and std, not to {}", args.op));
    call += ", ddof=" + args.ddof;
  }
  Session session = context.connect_or_start(args.timeout);
  const Array array = operand(session, args.array);
  const Evaluate evaluate{call + ")", {{"x", array}}, {}};
  try {
    return run_job(context, session, evaluate, args,
                   plain_ending(fmt::format("{} of '{}' ({}, {})", args.op, args.array, name(array.dtype()), format_shape(array.shape())), args));
  } catch (const Failure& failure) {
    blame_operand(failure, args, array);
  }
}

// ---- products

struct ProductFlags : RunFlags {
  std::string a, b;
};

void product_flags(CLI::App& app, ProductFlags& args) {
  add_operand(app, "A", args.a, "the left operand: a name, a .npy file, or a view: 'a.T'");
  add_operand(app, "B", args.b, "the right one");
  add_destination(app, args);
  add_run_flags(app, args);
}

template <class Product>
Answer product(const Context& context, const ProductFlags& args, std::string_view name, bool sums) {
  Session session = context.connect_or_start(args.timeout);
  const Array a = operand(session, args.a);
  const Array b = operand(session, args.b);
  const Ending ending{{}, [&](const JobResult& result) {
                        const auto k = static_cast<double>(a.shape().empty() || !sums ? 1 : a.shape().back());
                        const double results = result.output ? static_cast<double>(result.output.size()) : 1;
                        const std::string label = output_label(result, args);
                        return fmt::format("{} '{}' ({}) by '{}' ({}){}{}: {}", name, args.a, format_shape(a.shape()), args.b,
                                           format_shape(b.shape()), label.empty() ? "" : " -> ", label,
                                           figures(result.info, (sums ? 2 * k : 1) * results, "FLOPS"));
                      }};
  return run_job(context, session, Product{.a = a, .b = b}, args, ending);
}

Answer matmul(const Context& context, const ProductFlags& args) {
  return product<Matmul>(context, args, "matmul", true);
}
Answer dot(const Context& context, const ProductFlags& args) {
  return product<Dot>(context, args, "dot", true);
}
Answer vecdot(const Context& context, const ProductFlags& args) {
  return product<Vecdot>(context, args, "vecdot", true);
}
Answer outer(const Context& context, const ProductFlags& args) {
  return product<Outer>(context, args, "outer", false);
}

// ---- random

constexpr std::array<std::string_view, 4> kDistributions{"uniform", "normal", "exponential", "integers"};

struct RandomFlags : RunFlags {
  Random random;
  std::optional<DType> dtype;
  std::string low, high;
  std::optional<double> mean, deviation, scale;
};

void random_flags(CLI::App& app, RandomFlags& args) {
  add_choice(
      app, "DISTRIBUTION", kDistributions, "", [&args](std::size_t i) { args.random.distribution = static_cast<Random::Distribution>(i); },
      "uniform, normal, exponential or integers")
      ->required();
  add_shape(app, "--shape", args.random.shape, "the result's dimensions, such as 2000x2000")->required();
  add_number(app, "--seed", args.random.seed, "the same seed gives the same numbers, on any number of workers (default: 0)");
  add_optional_dtype(app, "--dtype", args.dtype, "its element type (default: float64; integers: int64)");
  app.add_option("--low", args.low, "of uniform and integers: the least (default: 0)")->type_name("VALUE");
  app.add_option("--high", args.high, "of uniform and integers: the end, not included, as numpy.random's (default of uniform: 1)")->type_name("VALUE");
  add_real(app, "--mean", args.mean, "of normal (default: 0)");
  add_real(app, "--std", args.deviation, "of normal: the standard deviation (default: 1)");
  add_real(app, "--scale", args.scale, "of exponential: the mean (default: 1)");
  add_destination(app, args);
  add_run_flags(app, args);
}

double real_value(const std::string& flag, const std::string& text) {
  const auto value = parse_value(text, DType::kFloat64);
  if (!value) throw UsageError(fmt::format("{}: {}", flag, value.error().message));
  return value->as<double>();
}

// Of two whole numbers, or truths, of one dtype.
bool is_less(const Scalar& a, const Scalar& b) {
  return visit_dtype(a.dtype, [&]<class T>(T) {
    if constexpr (std::is_integral_v<T>) return a.as<T>() < b.as<T>();
    else return false;
  });
}

// The element before `text`'s: the command line's end is not included, as NumPy's, the operation's is.
Scalar before(const std::string& text, DType dtype) {
  std::int64_t end = 0;
  const char* const last = text.data() + text.size();
  if (dtype == DType::kUint64 && text == "18446744073709551616") return {dtype, std::bit_cast<std::array<std::byte, 16>>(std::array<std::uint64_t, 2>{~std::uint64_t{0}, 0})};
  std::uint64_t natural = 0;
  if (const auto [stop, error] = std::from_chars(text.data(), last, end); error == std::errc{} && stop == last && end > std::numeric_limits<std::int64_t>::min()) {
    const auto value = parse_value(dtype == DType::kBool && end == 2 ? "1" : fmt::format("{}", end - 1), dtype);
    if (value) return *value;
  } else if (const auto [after, wrong] = std::from_chars(text.data(), last, natural); wrong == std::errc{} && after == last && natural > 0) {
    const auto value = parse_value(fmt::format("{}", natural - 1), dtype);
    if (value) return *value;
  }
  throw UsageError(fmt::format("--high: '{}' is no end of a range of {}, which does not include it", text, name(dtype)));
}

Answer random(const Context& context, const RandomFlags& args) {
  Random operation = args.random;
  using D = Random::Distribution;
  const bool integers = operation.distribution == D::kIntegers;
  operation.dtype = args.dtype.value_or(integers ? DType::kInt64 : DType::kFloat64);
  const auto refuse_others = [&](bool given, std::string_view flag, D own) {
    if (given && operation.distribution != own)
      throw UsageError(fmt::format("{} does not belong to {}", flag, kDistributions[static_cast<std::size_t>(operation.distribution)]));
  };
  refuse_others(args.mean.has_value(), "--mean", D::kNormal);
  refuse_others(args.deviation.has_value(), "--std", D::kNormal);
  refuse_others(args.scale.has_value(), "--scale", D::kExponential);
  if (operation.distribution != D::kUniform && !integers) {
    refuse_others(!args.low.empty(), "--low", D::kUniform);
    refuse_others(!args.high.empty(), "--high", D::kUniform);
  }
  operation.mean = args.mean.value_or(0);
  operation.standard_deviation = args.deviation.value_or(1);
  operation.scale = args.scale.value_or(1);
  if (integers) {
    if (args.high.empty()) throw UsageError("integers need --high: the end of their range, not included");
    const auto least = parse_value(args.low.empty() ? "0" : args.low, operation.dtype);
    if (!least) throw UsageError("--low: " + least.error().message);
    operation.least = *least;
    operation.most = before(args.high, operation.dtype);
    if (is_less(operation.most, operation.least))
      throw UsageError(fmt::format("there are no integers from {} up to {}, which is not included: --high must be above --low", args.low.empty() ? "0" : args.low, args.high));
  } else if (operation.distribution == D::kUniform) {
    if (!args.low.empty()) operation.low = real_value("--low", args.low);
    if (!args.high.empty()) operation.high = real_value("--high", args.high);
  }
  Session session = context.connect_or_start(args.timeout);
  const auto run = [&] {
    return run_job(context, session, operation, args, plain_ending(fmt::format("random {}", kDistributions[static_cast<std::size_t>(operation.distribution)]), args));
  };
  return args.into.empty() ? blaming_the_command_line(run) : run();
}

const std::array kCommands{
    command<ExprFlags>("run", "expr", "an expression over arrays, element by element and reduced",
                       "parcompute-client run expr 'sqrt(x**2 + y**2)' x=a y='b[::2]' --out c", expr_flags, expr, print_run),
    command<ReduceFlags>("run", "reduce", "sum, mean, max, argmin, ... of an array, over all axes or some",
                         "parcompute-client run reduce sum measurements.npy --axis 0", reduce_flags, reduce, print_run),
    command<ProductFlags>("run", "matmul", "matrix product, as numpy.matmul", "parcompute-client run matmul a b --out c",
                          product_flags, matmul, print_run),
    command<ProductFlags>("run", "dot", "as numpy.dot", "parcompute-client run dot x y", product_flags, dot, print_run),
    command<ProductFlags>("run", "vecdot", "dot products along the last axes, as numpy.vecdot", "parcompute-client run vecdot a b --out c",
                          product_flags, vecdot, print_run),
    command<ProductFlags>("run", "outer", "all products of two elements, as numpy.outer", "parcompute-client run outer x y --out c",
                          product_flags, outer, print_run),
    command<RandomFlags>("run", "random", "random numbers that depend on the seed alone",
                         "parcompute-client run random normal --shape 1000x1000 --seed 7 --out noise", random_flags, random, print_run),
};

}  // namespace

std::span<const Command> compute_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
