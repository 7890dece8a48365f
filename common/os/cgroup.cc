#include "common/os/cgroup.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace parcompute {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  for (const std::string_view part : split(text, ','))
    if (!part.empty()) names.emplace_back(part);
  return names;
}

// The kernel writes blanks, tabs, newlines and backslashes in paths as \040 and the like.
std::string unescape_octal(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out.push_back(
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The part of `path` below `root`; nothing where it does not lie there, or leaves the namespace ("/..").
std::optional<std::string_view> below(std::string_view path, std::string_view root) {
  for (const std::string_view part : split(path, '/'))
    if (part == "..") return std::nullopt;
  if (root == "/") root = "";
  if (!path.starts_with(root)) return std::nullopt;
  path.remove_prefix(root.size());
  if (!path.empty() && path.front() != '/') return std::nullopt;
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    // id parent device root mount-point options optional... - type source super-options
    const std::vector<std::string_view> fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    CgroupMount mount;
    if (dash[1] == "cgroup2")
      mount.v2 = true;
    else if (dash[1] != "cgroup")
      continue;
    mount.root = unescape_octal(fields[3]);
    mount.mount_point = unescape_octal(fields[4]);
    if (!mount.v2) mount.controllers = split_names(dash[3]);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::vector<CgroupPath> parse_cgroup_paths(std::string_view text) {
  std::vector<CgroupPath> paths;
  for (const std::string_view line : split(text, '\n')) {
    // number:controllers:path, where the path may hold colons of its own
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos || second + 1 == line.size() || line[second + 1] != '/') continue;
    CgroupPath path;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    path.v2 = line.substr(0, first) == "0" && controllers.empty();
    if (!path.v2 && controllers.empty()) continue;
    path.controllers = split_names(controllers);
    path.path = line.substr(second + 1);
    paths.push_back(std::move(path));
  }
  return paths;
}

CgroupDirectories cgroup_directories(const FileReader& read_file, std::string_view controller) {
  const bool v2 = controller.empty();
  const auto groups = read_file("/proc/self/cgroup");
  if (!groups) return {{}, groups.error().message};
  const auto mountinfo = read_file("/proc/self/mountinfo");
  if (!mountinfo) return {{}, mountinfo.error().message};

  const std::vector<CgroupPath> paths = parse_cgroup_paths(*groups);
  const auto own = std::find_if(paths.begin(), paths.end(), [&](const CgroupPath& path) {
    return path.v2 == v2 && (v2 || holds(path.controllers, controller));
  });
  if (own == paths.end()) return {{}, "no such cgroup"};

  // A later mount hides an earlier one. The best shows this process's own group.
  const std::vector<CgroupMount> mounts = parse_cgroup_mounts(*mountinfo);
  const CgroupMount* fallback = nullptr;
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (mount->v2 != v2 || (!v2 && !holds(mount->controllers, controller))) continue;
    const auto relative = below(own->path, mount->root);
    if (!relative) {
      if (fallback == nullptr) fallback = &*mount;
      continue;
    }
    CgroupDirectories found;
    std::string_view rest = *relative;
    while (!rest.empty()) {
      found.directories.push_back(mount->mount_point + std::string(rest));
      rest = rest.substr(0, rest.rfind('/'));
    }
    found.directories.push_back(mount->mount_point);
    return found;
  }
  if (fallback == nullptr) return {{}, "not mounted"};
  // A container's own group, or an ancestor of it: what stands there holds for us, too.
  return {{fallback->mount_point},
          fmt::format("the group {} cannot be seen below {}, which shows {}; asked that alone", own->path,
                      fallback->mount_point, fallback->root)};
}

BudgetSource smallest_cgroup_limit(
    std::string name, const FileReader& read_file, std::string_view controller,
    const std::function<Result<CgroupLimit>(const std::string& directory)>& ask) {
  BudgetSource source{std::move(name), std::nullopt, {}};
  const CgroupDirectories found = cgroup_directories(read_file, controller);
  std::string notes = found.note;
  const auto note = [&](std::string_view text) { notes.append(notes.empty() ? "" : "; ").append(text); };
  for (const std::string& directory : found.directories) {
    const auto limit = ask(directory);
    if (!limit) {
      if (limit.error().code != ErrorCode::kNotFound) note(limit.error().message);
      continue;
    }
    if (!limit->note.empty()) note(limit->note);
    if (!limit->value || (source.value && *source.value <= *limit->value)) continue;
    source.value = limit->value;
    source.detail = limit->detail;
  }
  if (!notes.empty()) source.detail.append(source.detail.empty() ? "" : "; ").append(notes);
  return source;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace parcompute
