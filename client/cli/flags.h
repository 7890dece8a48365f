// Flags by what they hold: each reads its text exactly and refuses the rest with a sentence that names the
// flag.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/cli/colormap.h"
#include "common/array/array_mode.h"
#include "common/array/dtype.h"

namespace parcompute::cli {

// `name` as CLI11 writes it: "--memory", "-w,--workers", "NAME" for a positional.

// "512MiB"
CLI::Option* add_bytes(CLI::App& app, const std::string& name, std::uint64_t& out, const std::string& help);
// A whole number of at least 1.
CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint64_t& out, const std::string& help);
CLI::Option* add_count(CLI::App& app, const std::string& name, unsigned& out, const std::string& help);
// A number above 0.
CLI::Option* add_seconds(CLI::App& app, const std::string& name, std::optional<double>& out,
                         const std::string& help);
// "2000x2000"
CLI::Option* add_shape(CLI::App& app, const std::string& name, std::vector<std::int64_t>& out,
                       const std::string& help);
CLI::Option* add_dtype(CLI::App& app, const std::string& name, DType& out, const std::string& help);
CLI::Option* add_optional_dtype(CLI::App& app, const std::string& name, std::optional<DType>& out, const std::string& help);
// --mode: what others than its owner may do with an array that is made.
CLI::Option* add_mode(CLI::App& app, const std::string& name, std::optional<ArrayMode>& out, const std::string& help);
// A whole number of 64 bits, 0 included.
CLI::Option* add_number(CLI::App& app, const std::string& name, std::uint64_t& out, const std::string& help);
// A whole number, negative ones included.
CLI::Option* add_whole(CLI::App& app, const std::string& name, std::optional<int>& out, const std::string& help);
// nice's: -20 to 19.
CLI::Option* add_priority(CLI::App& app, const std::string& name, int& out, const std::string& help);
// "7,9": jobs' numbers.
CLI::Option* add_jobs(CLI::App& app, const std::string& name, std::vector<std::uint64_t>& out, const std::string& help);
// A finite number.
CLI::Option* add_real(CLI::App& app, const std::string& name, std::optional<double>& out, const std::string& help);
// "25,50,75"
std::vector<double> parse_reals(const std::string& flag, const std::string& text);
// "0,-1"
std::vector<int> parse_axes(const std::string& flag, const std::string& text);
// "auto" (0) or a number of blocks.
CLI::Option* add_chunk(CLI::App& app, const std::string& name, std::uint64_t& out);
// "-2,1,-1.5,1.5": finite numbers.
CLI::Option* add_region(CLI::App& app, const std::string& name, std::array<double, 4>& out,
                        const std::string& help);
// The index of one of `words`.
CLI::Option* add_choice(CLI::App& app, const std::string& name, std::span<const std::string_view> words,
                        const std::string& type, std::function<void(std::size_t)> chosen,
                        const std::string& help);
// The name of an array to be made: no file's.
// "; did you mean 'run percentile'?": of a word that is an operation or a command, where another stands. Empty of others.
std::string operation_instead(std::string_view word);

CLI::Option* add_array_name(CLI::App& app, std::string& out);
// --cmap
CLI::Option* add_colormap(CLI::App& app, Colormap& out);

}  // namespace parcompute::cli
