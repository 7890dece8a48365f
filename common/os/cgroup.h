// Where a control group's files lie: this process's group and each of its ancestors.
//
// A machine mounts version 2, version 1, or both side by side with the controllers divided between them; a
// container sees a part of the tree, under its own root. /proc/self/cgroup says which group this process is
// in, /proc/self/mountinfo where which part of which tree can be seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/os/budget_source.h"
#include "common/os/file_reader.h"

namespace parcompute {

struct CgroupMount {
  bool v2 = false;
  std::string root;  // of the tree, what stands at the mount point: "/" or "/docker/1234"
  std::string mount_point;
  std::vector<std::string> controllers;  // of version 1: "cpu", "memory"
};

// Of /proc/self/mountinfo; lines that are no cgroup mounts, or make no sense, are passed over.
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);

struct CgroupPath {
  bool v2 = false;
  std::vector<std::string> controllers;
  std::string path;  // in its tree: "/system.slice/x.service"
};

// Of /proc/self/cgroup.
std::vector<CgroupPath> parse_cgroup_paths(std::string_view text);

struct CgroupDirectories {
  std::vector<std::string> directories;  // this process's group first, the mount point last; may be empty
  std::string note;                      // why they are not, or may not be, the whole way; may be empty
};

// Empty `controller`: version 2.
CgroupDirectories cgroup_directories(const FileReader& read_file, std::string_view controller);

// What one group's files say: a limit, or none, or a note about why they cannot be understood.
struct CgroupLimit {
  std::optional<std::uint64_t> value;
  std::string detail;  // "150000 us in every 100000 us"
  std::string note;
};

// The smallest limit of all directories, as a source. `ask` reads one directory: it fails with kNotFound
// where the directory has no such file.
BudgetSource smallest_cgroup_limit(
    std::string name, const FileReader& read_file, std::string_view controller,
    const std::function<Result<CgroupLimit>(const std::string& directory)>& ask);

// All of `text`, but for white space at its end, is one decimal number that fits.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

}  // namespace parcompute
