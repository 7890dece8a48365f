#include "common/base/log.h"

#include <cstdlib>
#include <memory>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace parcompute {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kOff: return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Never null; silent until log_start.
std::shared_ptr<spdlog::logger>& logger() {
  static auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("parcompute", std::make_shared<spdlog::sinks::stderr_sink_st>());
    made->set_level(spdlog::level::warn);
    return made;
  }();
  return instance;
}

}  // namespace

void log_start(std::string_view process, LogLevel level) {
  auto& log = logger();
  log->set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%f%z parcompute-{} [%l] %v", process));
  log->set_level(to_spdlog(level));
  log->flush_on(spdlog::level::debug);
  if (const char* wanted = std::getenv("PARCOMPUTE_LOG"); wanted != nullptr && *wanted != '\0') {
    const auto parsed = spdlog::level::from_str(wanted);
    // from_str answers "off" to everything that it does not know.
    if (parsed == spdlog::level::off && std::string_view(wanted) != "off") {
      log->warn("PARCOMPUTE_LOG='{}' is not debug, info, warning, error or off; the level stays as it was", wanted);
    } else {
      log->set_level(parsed);
    }
  }
}

bool log_enabled(LogLevel level) {
  return logger()->should_log(to_spdlog(level));
}

void log_line(LogLevel level, std::string_view line) {
  logger()->log(to_spdlog(level), line);
}

}  // namespace parcompute
