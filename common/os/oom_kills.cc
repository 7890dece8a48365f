#include "common/os/oom_kills.h"

#include <algorithm>
#include <string_view>

#include "common/os/cgroup.h"

namespace parcompute {
namespace {

// The number in the line "oom_kill 3".
std::optional<std::uint64_t> counted(std::string_view text) {
  constexpr std::string_view kWord = "oom_kill ";
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with(kWord)) return parse_decimal(line.substr(kWord.size()));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> counted_by(const FileReader& read_file, std::string_view controller, const char* file) {
  const CgroupDirectories found = cgroup_directories(read_file, controller);
  if (found.directories.empty()) return std::nullopt;
  const auto text = read_file(found.directories.front() + file);
  return text ? counted(*text) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> oom_kills(const FileReader& read_file) {
  if (const auto count = counted_by(read_file, "", "/memory.events")) return count;
  if (const auto count = counted_by(read_file, "memory", "/memory.oom_control")) return count;
  const auto text = read_file("/proc/vmstat");
  return text ? counted(*text) : std::nullopt;
}

void OomKills::begin(std::optional<std::uint64_t> counted) {
  spoken_for_ = a_second_ago_ = counted;
}

void OomKills::on_second(std::optional<std::uint64_t> counted) {
  spoken_for_ = std::max(spoken_for_, a_second_ago_);
  a_second_ago_ = counted;
}

bool OomKills::explain_one(std::optional<std::uint64_t> counted) {
  if (!spoken_for_ || !counted || *counted <= *spoken_for_) return false;
  ++*spoken_for_;
  return true;
}

}  // namespace parcompute
