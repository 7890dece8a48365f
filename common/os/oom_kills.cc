#include "common/os/oom_kills.h"

#include <algorithm>
#include <string_view>
#include <utility>

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

// The group's file of this name, or an empty path.
std::string group_file(const FileReader& read_file, std::string_view controller, const char* name) {
  const CgroupDirectories found = cgroup_directories(read_file, controller);
  return found.directories.empty() ? std::string() : found.directories.front() + name;
}

}  // namespace

OomCounter::OomCounter(FileReader read_file) : read_file_(std::move(read_file)) {
  for (std::string file : {group_file(read_file_, "", "/memory.events"), group_file(read_file_, "memory", "/memory.oom_control"), std::string("/proc/vmstat")}) {
    file_ = std::move(file);
    if (count()) return;
  }
  file_.clear();
}

std::optional<std::uint64_t> OomCounter::count() const {
  if (file_.empty()) return std::nullopt;
  const auto text = read_file_(file_);
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
