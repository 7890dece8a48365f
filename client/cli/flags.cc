#include "client/cli/flags.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/operand.h"
#include "common/base/suggestion.h"
#include "client/cli/text.h"
#include "client/cli/value_text.h"
#include "common/array/array_spec.h"
#include "common/base/memory_limit.h"
#include "common/expression/hints.h"
#include "proto/limits.h"

namespace parcompute::cli {
namespace {

[[noreturn]] void refuse(const std::string& flag, const std::string& why) {
  throw CLI::ValidationError(flag, why);
}

template <class T>
T value_or_refuse(const std::string& flag, Result<T> result) {
  if (!result) refuse(flag, result.error().message);
  return *std::move(result);
}

std::uint64_t parse_count(const std::string& flag, const std::string& text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size() ||
      (error == std::errc{} && value == 0))
    refuse(flag, fmt::format("'{}' is not a whole number of at least 1", text));
  if (error != std::errc{} || value > most)
    refuse(flag, fmt::format("{} is too large; the most is {}", text, most));
  return value;
}

double parse_finite(const std::string& flag, std::string_view text) {
  double value = 0;
  const char* const last = text.data() + text.size();
  const char* const first = text.starts_with('+') ? text.data() + 1 : text.data();
  const auto [end, error] = std::from_chars(first, last, value);
  if (error != std::errc{} || end != last || !std::isfinite(value))
    refuse(flag, fmt::format("'{}' is not a number", text));
  return value;
}

// Every flag here takes one text.
CLI::Option* add_text(CLI::App& app, const std::string& name, const std::string& type,
                      const std::string& help,
                      std::function<void(const std::string& flag, const std::string& text)> read) {
  const std::string flag = name.substr(name.find("--") == std::string::npos ? 0 : name.find("--"));
  return app
      .add_option_function<std::string>(
          name, [flag, read](const std::string& text) { read(flag, text); }, help)
      ->type_name(type);
}

}  // namespace

CLI::Option* add_bytes(CLI::App& app, const std::string& name, std::uint64_t& out, const std::string& help) {
  return add_text(app, name, "SIZE", help, [&out](const std::string& flag, const std::string& text) {
    out = value_or_refuse(flag, parse_memory_limit(text));
  });
}

CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint64_t& out, const std::string& help) {
  return add_text(app, name, "N", help, [&out](const std::string& flag, const std::string& text) {
    out = parse_count(flag, text, std::numeric_limits<std::int64_t>::max());
  });
}

// A server takes no more.
constexpr unsigned kMostWorkers = 4096;

CLI::Option* add_count(CLI::App& app, const std::string& name, unsigned& out, const std::string& help) {
  return add_text(app, name, "N", help, [&out](const std::string& flag, const std::string& text) {
    out = static_cast<unsigned>(parse_count(flag, text, kMostWorkers));
  });
}

CLI::Option* add_seconds(CLI::App& app, const std::string& name, std::optional<double>& out,
                         const std::string& help) {
  return add_text(app, name, "SECONDS", help, [&out](const std::string& flag, const std::string& text) {
    out = parse_finite(flag, text);
    if (!(*out > 0)) refuse(flag, fmt::format("'{}' is no length of time: write seconds above 0", text));
    // No clock overflows.
    constexpr double kHundredYears = 3.2e9;
    if (*out > kHundredYears) refuse(flag, fmt::format("'{}' seconds are more than a hundred years: leave {} away to wait without a limit", text, flag));
  });
}

CLI::Option* add_shape(CLI::App& app, const std::string& name, std::vector<std::int64_t>& out,
                       const std::string& help) {
  return add_text(app, name, "SHAPE", help, [&out](const std::string& flag, const std::string& text) {
    out = value_or_refuse(flag, parse_shape(text));
  });
}

CLI::Option* add_dtype(CLI::App& app, const std::string& name, DType& out, const std::string& help) {
  return add_text(app, name, "DTYPE", help, [&out](const std::string& flag, const std::string& text) {
    const auto dtype = dtype_from_name(text);
    if (!dtype) refuse(flag, fmt::format("'{}' is no dtype; there are {}", text, dtype_names()));
    out = *dtype;
  });
}

CLI::Option* add_mode(CLI::App& app, const std::string& name, std::optional<ArrayMode>& out, const std::string& help) {
  return add_text(app, name, "MODE", help, [&out](const std::string& flag, const std::string& text) {
    const auto mode = parse_array_mode(text);
    if (!mode) refuse(flag, mode.error().message);
    out = *mode;
  });
}

CLI::Option* add_optional_dtype(CLI::App& app, const std::string& name, std::optional<DType>& out, const std::string& help) {
  return add_text(app, name, "DTYPE", help, [&out](const std::string& flag, const std::string& text) {
    out = dtype_from_name(text);
    if (!out) refuse(flag, fmt::format("'{}' is no dtype; there are {}", text, dtype_names()));
  });
}

CLI::Option* add_number(CLI::App& app, const std::string& name, std::uint64_t& out, const std::string& help) {
  return add_text(app, name, "N", help, [&out](const std::string& flag, const std::string& text) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) refuse(flag, fmt::format("'{}' is no whole number from 0 to 2^64 - 1", text));
  });
}

CLI::Option* add_whole(CLI::App& app, const std::string& name, std::optional<int>& out, const std::string& help) {
  return add_text(app, name, "N", help, [&out](const std::string& flag, const std::string& text) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) refuse(flag, fmt::format("'{}' is no whole number", text));
    out = number;
  });
}

CLI::Option* add_priority(CLI::App& app, const std::string& name, int& out, const std::string& help) {
  return add_text(app, name, "N", help, [&out](const std::string& flag, const std::string& text) {
    const char* const first = text.starts_with('+') ? text.data() + 1 : text.data();
    const auto [end, error] = std::from_chars(first, text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size() || out < kMinPriority || out > kMaxPriority)
      refuse(flag, fmt::format("'{}' is no whole number from {} (soonest) to {} (last)", text, kMinPriority, kMaxPriority));
  });
}

CLI::Option* add_jobs(CLI::App& app, const std::string& name, std::vector<std::uint64_t>& out, const std::string& help) {
  return add_text(app, name, "ID,...", help, [&out](const std::string& flag, const std::string& text) {
    out.clear();
    for (std::string_view rest = text;;) {
      const std::size_t comma = rest.find(',');
      const std::string_view word = rest.substr(0, comma);
      std::uint64_t job = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), job);
      if (error != std::errc{} || end != word.data() + word.size() || job == 0)
        refuse(flag, fmt::format("'{}' is no job's number in '{}': write 7, or 7,9", word, text));
      out.push_back(job);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    if (out.size() > kMaxAfter) refuse(flag, fmt::format("{} jobs are too many; the most is {}", out.size(), kMaxAfter));
  });
}

CLI::Option* add_real(CLI::App& app, const std::string& name, std::optional<double>& out, const std::string& help) {
  return add_text(app, name, "NUMBER", help, [&out](const std::string& flag, const std::string& text) { out = parse_finite(flag, text); });
}

std::vector<double> parse_reals(const std::string& flag, const std::string& text) {
  std::vector<double> numbers;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const auto number = parse_value(rest.substr(0, comma), DType::kFloat64);
    if (!number || !std::isfinite(number->as<double>())) throw UsageError(fmt::format("{}: '{}' is no number in '{}'", flag, rest.substr(0, comma), text));
    numbers.push_back(number->as<double>());
    if (comma == std::string_view::npos) return numbers;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<int> parse_axes(const std::string& flag, const std::string& text) {
  std::vector<int> axes;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    std::string_view word = rest.substr(0, comma);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), axes.emplace_back());
    if (error != std::errc{} || end != word.data() + word.size()) throw UsageError(fmt::format("{}: '{}' is no list of axes: write 0, or 0,2", flag, text));
    if (comma == std::string_view::npos) return axes;
    rest.remove_prefix(comma + 1);
  }
}

CLI::Option* add_chunk(CLI::App& app, const std::string& name, std::uint64_t& out) {
  const std::string help = "most blocks handed to a worker at once: auto (default) or their number";
  return add_text(app, name, "auto|BLOCKS", help, [&out](const std::string& flag, const std::string& text) {
    out = text == "auto" ? 0 : parse_count(flag, text, std::numeric_limits<std::int64_t>::max());
  });
}

CLI::Option* add_region(CLI::App& app, const std::string& name, std::array<double, 4>& out,
                        const std::string& help) {
  return add_text(app, name, "X0,X1,Y0,Y1", help, [&out](const std::string& flag, const std::string& text) {
    std::string_view rest = text;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t comma = rest.find(',');
      if ((comma == std::string_view::npos) != (i + 1 == out.size()))
        refuse(flag, fmt::format("'{}' is no region: write four numbers, such as -2,1,-1.5,1.5", text));
      out[i] = parse_finite(flag, rest.substr(0, comma));
      if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
    }
  });
}

CLI::Option* add_choice(CLI::App& app, const std::string& name, std::span<const std::string_view> words,
                        const std::string& type, std::function<void(std::size_t)> chosen,
                        const std::string& help) {
  const std::vector<std::string> known(words.begin(), words.end());
  return add_text(app, name, type, help, [known, chosen](const std::string& flag, const std::string& text) {
    for (std::size_t i = 0; i < known.size(); ++i)
      if (known[i] == text) return chosen(i);
    refuse(flag, fmt::format("'{}' is none of {}{}", text, joined(known), suggestion(text, known)));
  });
}

std::string operation_instead(std::string_view word) {
  const std::string_view hint = expression::function_hint(word).value_or("");
  for (const std::string_view kind : {"an operation of its own: ", "a command: "})
    if (hint.starts_with(kind)) return fmt::format("; did you mean '{}'?", hint.substr(kind.size()));
  return {};
}

CLI::Option* add_array_name(CLI::App& app, std::string& out) {
  return add_text(
             app, "NAME", "", "the array's name",
             [&out](const std::string&, const std::string& text) {
               if (text.empty()) refuse("NAME", "an array's name has at least one character");
               if (names_file(text))
                 refuse(
                     "NAME",
                     fmt::format(
                         "'{}' would be taken for a file wherever an array is named; choose a name without "
                         "a slash and without .npy at its end",
                         text));
               out = text;
             })
      ->required();
}

CLI::Option* add_colormap(CLI::App& app, Colormap& out) {
  return add_choice(
      app, "--cmap", kColormapNames, "hot|viridis|gray",
      [&out](std::size_t i) { out = static_cast<Colormap>(i); }, "colours (default: hot)");
}

}  // namespace parcompute::cli
