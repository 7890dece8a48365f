// What the kernel knows of an open file.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/error.h"

namespace parcompute {

struct FileFacts {
  bool is_regular = false;
  std::uint64_t size = 0;  // bytes
  std::uint64_t device = 0, inode = 0;
};

// As they are. A file on another machine, or of a file system in user space (FUSE), may keep the caller waiting as long as its owner
// likes.
Result<FileFacts> file_facts(int fd, std::string_view subject);
// As this machine remembers them, which waits for nobody: of a local file that is the same.
Result<FileFacts> remembered_file_facts(int fd, std::string_view subject);

// Of a file that somebody cut short: it `had` so many bytes when it was attached.
Error shortened_file(std::string_view subject, std::uint64_t had, std::uint64_t has);

}  // namespace parcompute
