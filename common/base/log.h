// The log: lines on standard error, for the journal or the terminal. The only place that knows spdlog.
//
// Logging is synchronous and has no thread of its own: the forkserver forks. Each process calls log_start once.
#pragma once

#include <string_view>

#include <fmt/format.h>

namespace parcompute {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// `process` stands in front of every line: "server", "worker 3". PARCOMPUTE_LOG=debug|info|warning|error|off
// overrides `level`.
void log_start(std::string_view process, LogLevel level);

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view line);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kDebug)) log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kInfo)) log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace parcompute
