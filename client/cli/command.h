// A command of parcompute-client is a row: name, flags, handler, printer.
//
// The handler does the work and answers with a JSON value: that is what --json prints. The printer makes of
// the same value what a person reads. A handler that fails throws: UsageError for the command line, Failure
// for everything else.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/progress_bar.h"
#include "client/cpp/parcompute.h"

namespace parcompute::cli {

using Value = nlohmann::ordered_json;

struct GlobalFlags {
  std::string socket;  // empty: searched for
  bool json = false;
  bool quiet = false;
  ProgressWhen progress = ProgressWhen::kAuto;
};

// --timeout, where it was given: seconds. No server that says nothing is waited for longer.
using TimeLimit = std::optional<double>;

// What a command may use besides its own flags.
struct Context {
  GlobalFlags flags;

  // Commands that only look or end something must not bring a server to life.
  Session connect_running(TimeLimit limit = {}) const { return connect(false, limit); }
  Session connect_or_start(TimeLimit limit = {}) const { return connect(true, limit); }
  Session connect(bool start_embedded, TimeLimit limit = {}) const;

  // A line for a person, on standard error, unless --quiet.
  void note(std::string_view line) const;
};

// A line for a person, on standard error. Names in it may be anybody's: what could do something to a terminal is left out.
void tell(std::string_view line);

struct Answer {
  Value value;  // null: nothing goes to standard output
  Array array;  // whose elements the printer shows
  int exit_code = 0;
  std::string error = {};  // what could not be done, where some of it was: goes to standard error
};

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A command without operands: what the server refuses of it, the command line got wrong.
template <class Work>
auto blaming_the_command_line(const Work& work) {
  try {
    return work();
  } catch (const Failure& failure) {
    if (failure.code() != ErrorCode::kInvalidArgument) throw;
    throw UsageError(failure.what());
  }
}

using Handler = std::function<Answer(const Context&)>;
using Printer = std::string (*)(const Answer&);

struct Command {
  std::string_view group;  // "array", "run", "job"; empty: stands alone
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view example;  // one or more whole command lines
  // Declares the command's flags; what it returns runs the command with what they were given.
  std::function<Handler(CLI::App&)> bind;
  Printer print;  // null: the value is for --json alone

  std::string full_name() const;  // "array create"
};

// A row whose flags live in an Args of its own.
template <class Args>
Command command(std::string_view group, std::string_view name, std::string_view summary,
                std::string_view example, void (*flags)(CLI::App&, Args&),
                Answer (*handle)(const Context&, const Args&), Printer print) {
  const auto bind = [flags, handle](CLI::App& app) -> Handler {
    auto args = std::make_shared<Args>();
    flags(app, *args);
    return [args, handle](const Context& context) { return handle(context, *args); };
  };
  return Command{group, name, summary, example, bind, print};
}

struct NoFlags {};
inline void no_flags(CLI::App&, NoFlags&) {}

// The table, in the order of the overview.
std::span<const Command> commands();

// Its parts.
std::span<const Command> server_commands();
std::span<const Command> array_commands();
std::span<const Command> create_commands();
std::span<const Command> compute_commands();
std::span<const Command> order_commands();
std::span<const Command> run_commands();
std::span<const Command> job_commands();

}  // namespace parcompute::cli
