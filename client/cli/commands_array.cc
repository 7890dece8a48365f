// array create, import, attach, export, list, info, show, rm, accept, chmod, image.
#include <array>

#include <fmt/format.h>

#include "client/cli/array_text.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "client/cli/modes.h"
#include "client/cli/operand.h"
#include "client/cli/picture.h"
#include "client/cli/run_common.h"
#include "client/cli/text.h"
#include "client/cli/text_width.h"
#include "client/cli/value_text.h"
#include "client/cli/wait.h"
#include "common/array/array_spec.h"
#include "common/array/view.h"
#include "common/base/units.h"

namespace parcompute::cli {
namespace {

// A command that reads one array: a file needs a server only to be attached to, so one is started for it.
Session session_for(const Context& context, const std::string& array) {
  return context.connect(names_file(split_view(array).name));
}

void note_made(const Context& context, std::string_view verb, const ArrayInfo& array) {
  context.note(fmt::format("{} {}, {}", verb, array_label(array), format_bytes(array.nbytes())));
}

Answer note_made(const Context& context, Session& session, std::string_view verb, ArrayInfo array, std::optional<ArrayMode> mode) {
  apply_mode(session, array, mode);
  note_made(context, verb, array);
  return {.value = describe(array), .array = {}};
}

// ---- create

struct CreateFlags {
  std::string name;
  std::vector<std::int64_t> shape;
  DType dtype = DType::kFloat64;
  std::string fill = "zeros";
  std::optional<ArrayMode> mode;
};

void create_flags(CLI::App& app, CreateFlags& args) {
  add_array_name(app, args.name);
  add_shape(app, "--shape", args.shape, "its dimensions, such as 2000x2000")->required();
  add_dtype(app, "--dtype", args.dtype, "its element type, such as float64 (default)");
  app.add_option("--fill", args.fill, "zeros (default), ones, arange, or a value for every element")
      ->type_name("zeros|ones|VALUE|arange");
  add_creation_mode(app, args.mode);
}

Answer create(const Context& context, const CreateFlags& args) {
  std::optional<Scalar> value;
  if (args.fill != "zeros" && args.fill != "arange") {
    const auto parsed = parse_value(args.fill == "ones" ? "1" : args.fill, args.dtype);
    if (!parsed) throw UsageError("--fill: " + parsed.error().message);
    value = *parsed;
  }
  Session session = context.connect_or_start();
  const Array array = blaming_the_command_line([&] {
    if (value) return session.create_full(args.name, *value, args.shape);
    return args.fill == "arange" ? session.create_arange(args.name, args.dtype, args.shape) : session.create(args.name, args.dtype, args.shape);
  });
  return note_made(context, session, "created", array.info(), args.mode);
}

// ---- import, attach, export

struct FileFlags {
  std::string array;
  std::string file;
  bool writable = false;
  std::optional<ArrayMode> mode;
};

void file_flags(CLI::App& app, FileFlags& args) {
  add_array_name(app, args.array);
  app.add_option("FILE", args.file, "a .npy file")->required()->type_name("");
}

void import_flags(CLI::App& app, FileFlags& args) {
  file_flags(app, args);
  add_creation_mode(app, args.mode);
}

void attach_flags(CLI::App& app, FileFlags& args) {
  file_flags(app, args);
  app.add_flag("--writable", args.writable, "let programs that find the array write into the file");
}

void export_flags(CLI::App& app, FileFlags& args) {
  app.add_option("ARRAY", args.array, "an array's name, or a .npy file")->required()->type_name("");
  app.add_option("FILE", args.file, "the .npy file to write, whole or not at all")->required()->type_name("");
}

Answer import(const Context& context, const FileFlags& args) {
  Session session = context.connect_or_start();
  WatchedCall watched(context);
  Array array;
  JobInfo last;
  try {
    const auto progress = watched.callback();
    array = session.import_npy(args.array, args.file, [&](const JobInfo& job) {
      last = job;
      progress(job);
    });
  } catch (const Interrupted&) {
    throw Failure(ErrorCode::kCancelled,
                  fmt::format("the import of '{}' was cancelled by Ctrl-C", args.file));
  }
  if (last.id != 0) {  // else it was done before anything could be shown
    last.blocks_done = last.blocks_total;
    watched.finish(last);
  }
  return note_made(context, session, "imported", array.info(), args.mode);
}

Answer attach(const Context& context, const FileFlags& args) {
  Session session = context.connect_or_start();
  const Array array = session.attach_npy(args.array, args.file, args.writable);
  note_made(context, "attached", array.info());
  return {.value = describe(array.info()), .array = {}};
}

Answer export_array(const Context& context, const FileFlags& args) {
  if (!names_file(args.file))
    throw UsageError(fmt::format("'{0}' names no file here: write '{0}.npy', or './{0}' for a file of that very name", args.file));
  check_file(args.file);
  Session session = session_for(context, args.array);
  const Array array = whole_operand(session, args.array);
  session.export_npy(array, args.file);
  context.note(fmt::format("wrote {}, {} to '{}'", array_label(array.info()),
                           format_bytes(array.info().nbytes()), args.file));
  Value value = describe(array.info());
  value["path"] = args.file;
  return {.value = value, .array = {}};
}

// ---- list, info, show

Answer list(const Context& context, const NoFlags&) {
  Value arrays = Value::array();
  for (const ArrayInfo& array : context.connect_running().list()) arrays.push_back(describe(array));
  return {.value = arrays, .array = {}};
}

std::string place_of(const Value& array) {
  std::string place = array["path"].is_null() ? "shared memory" : one_line(array["path"].get<std::string>());
  if (array["incomplete"].get<bool>()) place += array["writer_job"].is_null() ? ", incomplete" : fmt::format(", being written by job {}", array["writer_job"].dump());
  return place;
}

std::string print_list(const Answer& answer) {
  std::vector<std::vector<std::string>> rows{{"name", "dtype", "shape", "size", "owner", "mode", "in"}};
  for (const Value& array : answer.value)
    rows.push_back({array["name"].is_null() ? "-" : array["name"].get<std::string>(),
                    array["dtype"].get<std::string>(), format_shape(array["shape"].get<Dims>()),
                    format_bytes(array["nbytes"].get<std::uint64_t>()), user_name(array["owner_uid"].get<std::uint32_t>()),
                    array["mode"].get<std::string>(), place_of(array)});
  return table(rows, {3});
}

struct ArrayFlags {
  std::string array;
};

void array_flags(CLI::App& app, ArrayFlags& args) {
  app.add_option("ARRAY", args.array, "an array's name, or a .npy file")->required()->type_name("");
}

Answer info_of(const Context& context, const ArrayFlags& args) {
  Session session = session_for(context, args.array);
  return {.value = describe(operand(session, args.array).info()), .array = {}};
}

std::string strides_text(const Value& strides) {
  std::vector<std::string> words;
  for (const Value& stride : strides) words.push_back(stride.dump());
  return joined(words) + " bytes";
}

std::string print_info(const Answer& answer) {
  const Value& array = answer.value;
  std::vector<std::vector<std::string>> rows{
      {"name", array["name"].is_null() ? "-" : array["name"].get<std::string>()},
      {"dtype", array["dtype"].get<std::string>()},
      {"shape", format_shape(array["shape"].get<Dims>())},
      {"strides", array["strides"].empty() ? "()" : strides_text(array["strides"])},
      {"size", fmt::format("{} elements, {}", array["size"].dump(),
                           format_bytes(array["nbytes"].get<std::uint64_t>()))},
      {"in", place_of(array)},
      {"writable", array["writable"].get<bool>() ? "yes" : "no"},
      {"owner", user_name(array["owner_uid"].get<std::uint32_t>())},
      {"mode", array["mode"].get<std::string>()},
  };
  if (!array["segment"].is_null()) rows.push_back({"segment", array["segment"].get<std::string>()});
  return table(rows);
}

Answer show(const Context& context, const ArrayFlags& args) {
  Session session = session_for(context, args.array);
  Array array = whole_operand(session, args.array);
  Value value = describe(array.info());
  if (context.flags.json) {
    if (array.size() > kMaxJsonElements)
      throw Failure(
          ErrorCode::kInvalidArgument,
          fmt::format(
              "{} has {} elements, more than the {} that --json shows; export it to a .npy file instead",
              array_label(array.info()), array.size(), kMaxJsonElements));
    value["data"] = array_json(elements_of(array));
  }
  return {.value = std::move(value), .array = std::move(array)};
}

std::string print_show(const Answer& answer) {
  return array_text(elements_of(answer.array)) + "\n";
}

// ---- rm, accept, chmod

struct NamesFlags {
  std::vector<std::string> names;
  std::optional<ArrayMode> mode;
};

void names_flags(CLI::App& app, NamesFlags& args) {
  app.add_option("NAME", args.names, "the arrays' names")->required()->type_name("");
}

void chmod_flags(CLI::App& app, NamesFlags& args) {
  add_mode(app, "MODE", args.mode, "private (600), group-read (640) or group-write (660): what others whom the server admits may do")->required();
  names_flags(app, args);
}

// One name that is refused does not keep the others: what could not be done is told in the answer's error.
template <class Work>
Answer for_each_name(const NamesFlags& args, Value done, const Work& work) {
  std::optional<ErrorCode> code;
  std::string words;
  for (const std::string& name : args.names) {
    try {
      work(name, done);
    } catch (const Failure& failure) {
      if (code) words += "; ";
      code = code.value_or(failure.code());
      words += failure.what();
    }
  }
  Answer answer{.value = std::move(done), .array = {}};
  if (!code) return answer;
  answer.exit_code = exit_code(*code);
  answer.error = words;
  answer.value.update(describe_error(error_code_name(*code), words, answer.exit_code));
  return answer;
}

Answer remove(const Context& context, const NamesFlags& args) {
  Session session = context.connect_running();
  return for_each_name(args, {{"removed", Value::array()}}, [&](const std::string& name, Value& done) {
    session.remove(name);
    done["removed"].push_back(name);
    context.note(fmt::format("removed '{}'", name));
  });
}

Answer accept(const Context& context, const NamesFlags& args) {
  Session session = context.connect_running();
  return for_each_name(args, {{"accepted", Value::array()}, {"whole_already", Value::array()}}, [&](const std::string& name, Value& done) {
    const bool was_incomplete = session.accept(name);
    done[was_incomplete ? "accepted" : "whole_already"].push_back(name);
    context.note(fmt::format("'{}' {}", name, was_incomplete ? "is taken as it is" : "was whole already: nothing changed"));
  });
}

Answer change_mode(const Context& context, const NamesFlags& args) {
  Session session = context.connect_running();
  const std::string mode(parcompute::name(*args.mode));
  return for_each_name(args, {{"changed", Value::array()}, {"mode", mode}}, [&](const std::string& name, Value& done) {
    session.set_mode(name, *args.mode);
    done["changed"].push_back(name);
    context.note(fmt::format("'{}' is {}", name, mode));
  });
}

// ---- image

struct ImageFlags {
  std::string array;
  std::string file;
  Colormap map = Colormap::kHot;
};

void image_flags(CLI::App& app, ImageFlags& args) {
  app.add_option("ARRAY", args.array, "a two-dimensional array's name, or a .npy file")
      ->required()
      ->type_name("");
  app.add_option("FILE", args.file, "the PNG file to write")->required()->type_name("");
  add_colormap(app, args.map);
}

Answer image(const Context& context, const ImageFlags& args) {
  if (!args.file.ends_with(".png"))
    throw UsageError(fmt::format("'{}' does not end in .png, and PNG is what is written", args.file));
  check_file(args.file);
  Session session = session_for(context, args.array);
  const Array array = whole_operand(session, args.array);
  if (const auto written = write_image(args.file, elements_of(array), args.map); !written)
    throw Failure(written.error().code, written.error().message, written.error().system_errno);
  context.note(fmt::format("wrote {} to '{}'", array_label(array.info()), args.file));
  return {.value = {{"path", args.file}, {"width", array.shape()[1]}, {"height", array.shape()[0]}},
          .array = {}};
}

const std::array kCommands{
    command<CreateFlags>("array", "create", "make an array",
                         "parcompute-client array create a --shape 2000x2000 --dtype float64 --fill arange",
                         create_flags, create, nullptr),
    command<FileFlags>("array", "import",
                       "copy a .npy file into shared memory, read in parallel by the workers",
                       "parcompute-client array import a measurements.npy", import_flags, import, nullptr),
    command<FileFlags>("array", "attach", "use a .npy file where it lies; nothing is copied",
                       "parcompute-client array attach a measurements.npy --writable", attach_flags, attach,
                       nullptr),
    command<FileFlags>("array", "export", "write an array to a .npy file",
                       "parcompute-client array export a result.npy", export_flags, export_array, nullptr),
    command<NoFlags>("array", "list", "list the arrays", "parcompute-client array list", no_flags, list,
                     print_list),
    command<ArrayFlags>("array", "info", "show an array's dtype, shape and place",
                        "parcompute-client array info a", array_flags, info_of, print_info),
    command<ArrayFlags>("array", "show", "print an array's elements, those at the edges of a large one",
                        "parcompute-client array show a", array_flags, show, print_show),
    command<NamesFlags>("array", "rm", "remove arrays; memory still in use goes with its last user",
                        "parcompute-client array rm a b", names_flags, remove, nullptr),
    command<NamesFlags>("array", "accept", "take incomplete arrays as they are",
                        "parcompute-client array accept a", names_flags, accept, nullptr),
    command<NamesFlags>("array", "chmod", "say what others than the owner may do with arrays", "parcompute-client array chmod group-read a b",
                        chmod_flags, change_mode, nullptr),
    command<ImageFlags>("array", "image",
                        "draw a two-dimensional array, smallest value to largest, row 0 on top",
                        "parcompute-client array image a a.png --cmap viridis", image_flags, image, nullptr),
};

}  // namespace

std::span<const Command> array_commands() {
  return kCommands;
}

}  // namespace parcompute::cli
