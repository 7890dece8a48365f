#include "client/cli/command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include <fmt/format.h>

#include "client/cli/text_width.h"

namespace parcompute::cli {

Session Context::connect(bool start_embedded, TimeLimit limit) const {
  ConnectOptions options{.socket = flags.socket, .start_embedded = start_embedded, .client_name = "parcompute-client"};
  if (limit) options.patience = std::chrono::ceil<std::chrono::milliseconds>(std::min<std::chrono::duration<double>>(options.patience, std::chrono::duration<double>(*limit)));
  options.on_start = [this](const std::string& why) { note(fmt::format("{}: a private server is started for you", why)); };
  return Session::connect(options);
}

void Context::note(std::string_view line) const {
  if (!flags.quiet) tell(line);
}

void tell(std::string_view line) {
  // Where nobody reads it, or its disk is full, the command goes on: what it is for goes to standard output, and ends in its status.
  std::fputs((harmless(line) + "\n").c_str(), stderr);
}

std::string Command::full_name() const {
  return group.empty() ? std::string(name) : fmt::format("{} {}", group, name);
}

std::span<const Command> commands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> rows;
    for (const auto part : {server_commands(), array_commands(), create_commands(), compute_commands(), order_commands(), run_commands(), job_commands()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return all;
}

}  // namespace parcompute::cli
