// /proc and /sys as they were on some machine: a FileReader over a map.
#pragma once

#include <map>
#include <string>

#include "common/os/file_reader.h"

namespace parcompute::testing {

using RecordedFiles = std::map<std::string, std::string>;

inline FileReader recorded(RecordedFiles files) {
  return [files = std::move(files)](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found == files.end())
      return fail(ErrorCode::kNotFound, "cannot open '" + path + "': No such file or directory");
    if (found->second == "<denied>")
      return fail(ErrorCode::kNotPermitted, "cannot open '" + path + "': Permission denied");
    return found->second;
  };
}

// Version 2 alone, a service of systemd's.
inline RecordedFiles unified_machine() {
  return {
      {"/proc/self/cgroup", "0::/system.slice/parcompute.service\n"},
      {"/proc/self/mountinfo",
       "22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw\n"
       "31 23 0:28 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
       "rw,nsdelegate\n"},
      {"/sys/devices/system/cpu/online", "0-7\n"},
  };
}

// Both versions side by side, the controllers with version 1.
inline RecordedFiles hybrid_machine() {
  return {
      {"/proc/self/cgroup",
       "9:name=systemd:/\n4:memory:/batch/job_1\n2:cpuacct:/\n1:cpu,cpuset:/batch/job_1\n0::/user.slice\n"},
      {"/proc/self/mountinfo",
       "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
       "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuset\n"
       "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
       "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
       "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"},
      {"/sys/devices/system/cpu/online", "0-7\n"},
  };
}

// A container of version 1: it sees its own group as the mount's root, under the name that the host gives it.
inline RecordedFiles container() {
  return {
      {"/proc/self/cgroup", "5:memory:/docker/8a1f\n3:cpu,cpuacct:/docker/8a1f\n"},
      {"/proc/self/mountinfo",
       "700 699 0:29 /docker/8a1f /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:11 - cgroup cgroup "
       "rw,cpu,cpuacct\n"
       "701 699 0:32 /docker/8a1f /sys/fs/cgroup/memory ro,nosuid master:12 - cgroup cgroup rw,memory\n"},
      {"/sys/devices/system/cpu/online", "0-7\n"},
  };
}

}  // namespace parcompute::testing
