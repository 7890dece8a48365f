#include "tests/support/process_watch.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <map>
#include <sstream>

namespace parcompute::testing {
namespace {

std::filesystem::path proc(pid_t pid, const std::string& file) {
  return std::filesystem::path("/proc") / std::to_string(pid) / file;
}

}  // namespace

ProcessWatch::ProcessWatch(pid_t pid) : pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

bool ProcessWatch::ends_within(std::chrono::milliseconds patience) const {
  if (!pidfd_) return true;
  pollfd wait{pidfd_.get(), POLLIN, 0};
  return ::poll(&wait, 1, static_cast<int>(patience.count())) == 1;
}

std::string status_line(pid_t pid, const std::string& name) {
  std::ifstream file(proc(pid, "status"));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + ":")) continue;
    const auto begin = line.find_first_not_of(" \t", name.size() + 1);
    return begin == line.npos ? "" : line.substr(begin);
  }
  return "";
}

std::uint64_t resident_bytes(pid_t pid) {
  std::uint64_t kibibytes = 0;
  std::ifstream rollup(proc(pid, "smaps_rollup"));
  for (std::string word; rollup >> word;)
    if (word == "Rss:" && rollup >> kibibytes) return kibibytes * 1024;
  std::istringstream(status_line(pid, "VmRSS")) >> kibibytes;
  return kibibytes * 1024;
}

bool is_stopped(pid_t pid) {
  return status_line(pid, "State").starts_with('T');
}

std::size_t descriptors_of(pid_t pid) {
  const std::filesystem::directory_iterator all(proc(pid, "fd"));
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string describe_descriptors(pid_t pid) {
  std::string text;
  for (const auto& entry : std::filesystem::directory_iterator(proc(pid, "fd"))) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone) text += entry.path().filename().native() + " is " + target.native() + "\n";
  }
  return text;
}

std::vector<pid_t> process_tree(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    pid_t parent = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc{}) continue;
    if (std::istringstream(status_line(pid, "PPid")) >> parent) children.emplace(parent, pid);
  }
  std::vector<pid_t> tree{root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const auto [first, last] = children.equal_range(tree[i]);
    for (auto child = first; child != last; ++child) tree.push_back(child->second);
  }
  return tree;
}

}  // namespace parcompute::testing
