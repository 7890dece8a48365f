// From the command line to a row of the table with its flags filled in.
#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "client/cli/command.h"

namespace parcompute::cli {

// --help or --version: nothing is left to do but to show it.
struct Shown {
  std::string text;
};

struct Invocation {
  const Command* command = nullptr;
  GlobalFlags flags;
  Handler handler;
};

// `words` are the arguments without the program's name. Global flags may stand before, between and after the
// command's words. Throws UsageError.
std::variant<Shown, Invocation> parse(const std::vector<std::string>& words);

// --json stands somewhere among them: so that errors of the command line are JSON too.
bool asks_for_json(const std::vector<std::string>& words);

// All commands with their summaries.
std::string overview();
// The flags and the example of one.
std::string help_of(const Command& command);

}  // namespace parcompute::cli
