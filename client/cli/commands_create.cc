// array arange, linspace, eye, copy.
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/flags.h"
#include "client/cli/modes.h"
#include "client/cli/operand.h"
#include "client/cli/value_text.h"
#include "common/array/array_spec.h"
#include "common/base/units.h"

namespace parcompute::cli {
namespace {

struct SequenceFlags {
  std::string name;
  std::optional<DType> dtype;
  std::string start, stop, step = "1";
  std::uint64_t count = 50, rows = 0, columns = 0;
  std::optional<int> diagonal;
  bool excludes_stop = false;
  std::optional<ArrayMode> mode;
};

// A number as it was typed: whole numbers stay whole.
Number number_of(const std::string& what, const std::string& text) {
  Number number;
  const char* const last = text.data() + text.size();
  std::int64_t whole = 0;
  std::uint64_t natural = 0;
  if (const auto [end, error] = std::from_chars(text.data(), last, whole); error == std::errc{} && end == last) {
    number.integer = whole;
  } else if (const auto [after, wrong] = std::from_chars(text.data(), last, natural); wrong == std::errc{} && after == last) {
    number.integer = natural;
  } else {
    const auto value = parse_value(text, DType::kComplex128);
    if (!value) throw UsageError(fmt::format("{}: '{}' is no number", what, text));
    const auto complex = value->as<std::complex<double>>();
    number.is_integer = false;
    number.real = complex.real();
    number.imaginary = complex.imag();
    number.is_complex = text.ends_with('j') || text.ends_with(')');
  }
  return number;
}

// NumPy's: of whole numbers int64, else what the numbers are.
DType dtype_of_numbers(std::initializer_list<Number> numbers, DType of_whole) {
  DType dtype = of_whole;
  for (const Number& number : numbers) {
    if (number.is_complex) return DType::kComplex128;
    if (!number.is_integer) dtype = DType::kFloat64;
  }
  return dtype;
}

Answer made(const Context& context, Session& session, const Array& array, std::optional<ArrayMode> mode) {
  ArrayInfo info = array.info();
  apply_mode(session, info, mode);
  context.note(fmt::format("created {}, {}", array_label(info), format_bytes(info.nbytes())));
  return {.value = describe(info), .array = {}};
}

void arange_flags(CLI::App& app, SequenceFlags& args) {
  add_array_name(app, args.name);
  app.add_option("START", args.start, "the first number")->required()->type_name("");
  app.add_option("STOP", args.stop, "the end, not included")->required()->type_name("");
  app.add_option("STEP", args.step, "from one number to the next (default: 1)")->type_name("");
  add_optional_dtype(app, "--dtype", args.dtype, "the element type (default: int64, or what the numbers need)");
  add_creation_mode(app, args.mode);
}

Answer arange(const Context& context, const SequenceFlags& args) {
  const Number start = number_of("START", args.start), stop = number_of("STOP", args.stop), step = number_of("STEP", args.step);
  const DType dtype = args.dtype.value_or(dtype_of_numbers({start, stop, step}, DType::kInt64));
  Session session = context.connect_or_start();
  return made(context, session, blaming_the_command_line([&] { return session.create_arange(args.name, dtype, start, stop, step); }), args.mode);
}

void linspace_flags(CLI::App& app, SequenceFlags& args) {
  add_array_name(app, args.name);
  app.add_option("START", args.start, "the first number")->required()->type_name("");
  app.add_option("STOP", args.stop, "the last one")->required()->type_name("");
  add_count(app, "COUNT", args.count, "how many (default: 50)");
  app.add_flag("--no-endpoint", args.excludes_stop, "leave STOP out: the last number is one step before it");
  add_optional_dtype(app, "--dtype", args.dtype, "the element type (default: float64, or complex128)");
  add_creation_mode(app, args.mode);
}

Answer linspace(const Context& context, const SequenceFlags& args) {
  const Number start = number_of("START", args.start), stop = number_of("STOP", args.stop);
  const DType dtype = args.dtype.value_or(dtype_of_numbers({start, stop}, DType::kFloat64));
  Session session = context.connect_or_start();
  return made(context, session, blaming_the_command_line([&] { return session.create_linspace(args.name, dtype, start, stop, args.count, !args.excludes_stop); }),
              args.mode);
}

void eye_flags(CLI::App& app, SequenceFlags& args) {
  add_array_name(app, args.name);
  add_count(app, "ROWS", args.rows, "how many rows")->required();
  add_count(app, "COLUMNS", args.columns, "how many columns (default: as many)");
  add_whole(app, "--diagonal", args.diagonal, "where the ones are: 0 is the main diagonal, 1 the one above it");
  add_optional_dtype(app, "--dtype", args.dtype, "the element type (default: float64)");
  add_creation_mode(app, args.mode);
}

Answer eye(const Context& context, const SequenceFlags& args) {
  Session session = context.connect_or_start();
  const auto eye = [&] {
    return session.create_eye(args.name, args.dtype.value_or(DType::kFloat64), args.rows, args.columns == 0 ? args.rows : args.columns, args.diagonal.value_or(0));
  };
  return made(context, session, blaming_the_command_line(eye), args.mode);
}

struct CopyFlags {
  std::string source, name;
  std::optional<DType> dtype;
  std::optional<ArrayMode> mode;
};

void copy_flags(CLI::App& app, CopyFlags& args) {
  app.add_option("ARRAY", args.source, "an array's name, a .npy file, or a view of either")->required()->type_name("");
  add_array_name(app, args.name);
  add_optional_dtype(app, "--dtype", args.dtype, "convert to this element type, as numpy's astype");
  add_creation_mode(app, args.mode);
}

Answer copy(const Context& context, const CopyFlags& args) {
  Session session = context.connect_or_start();
  const Evaluate operation{"x", {{"x", operand(session, args.source)}}, args.dtype};
  SubmitOptions options;
  options.output = args.name;
  return made(context, session, session.submit(operation, options).wait().output, args.mode);
}

const std::array kCommands{
    command<SequenceFlags>("array", "arange", "numbers at equal steps, as numpy.arange", "parcompute-client array arange a 0 1000000", arange_flags, arange, nullptr),
    command<SequenceFlags>("array", "linspace", "numbers from one to another, as numpy.linspace", "parcompute-client array linspace x 0 1 1001", linspace_flags, linspace,
                           nullptr),
    command<SequenceFlags>("array", "eye", "zeros with ones on a diagonal, as numpy.eye", "parcompute-client array eye i 1000", eye_flags, eye, nullptr),
    command<CopyFlags>("array", "copy", "a new array from an array, a view or a file, of another dtype perhaps", "parcompute-client array copy 'a[::2]' b --dtype float32",
                       copy_flags, copy, nullptr),
};

}  // namespace

std::span<const Command> create_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
