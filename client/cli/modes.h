// Arrays' owners and modes on the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "client/cpp/session.h"

namespace parcompute::cli {

// --mode of commands that make an array.
CLI::Option* add_creation_mode(CLI::App& app, std::optional<ArrayMode>& out);

// Gives an array that was just made its mode, where one was asked for.
void apply_mode(Session& session, ArrayInfo& array, std::optional<ArrayMode> mode);

// "alice", or "uid 1234" where nobody has the number.
std::string user_name(std::uint32_t uid);

}  // namespace parcompute::cli
