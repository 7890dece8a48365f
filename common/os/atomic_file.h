// AtomicFile: a file that appears under its name whole, or not at all.
//
// It is written without a name, or under a random one in the same directory where the file system knows no
// nameless files, and moved over the target by commit(). Before that, or when anything fails, nothing is left
// behind. A symbolic link is followed; a target that is no regular file is refused, rather than replaced
// (/dev/null would be).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

class AtomicFile {
 public:
  // Mode 0666 less the umask, or the mode of the file that it replaces. Every failure here and below is
  // kCannotCreate.
  static Result<AtomicFile> create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  // Appends all of it. A file size limit is an error like a full disk; SIGXFSZ is kept away.
  Result<void> write(std::span<const std::byte> bytes);

  // Gives the file its name. Nothing may be written afterwards. Does not wait for the disk.
  Result<void> commit();

  int fd() const { return fd_.get(); }

 private:
  AtomicFile() = default;
  void remove_temporary();

  std::string path_;       // as the caller says it, for messages
  std::string target_;     // links resolved
  std::string temporary_;  // empty: the file has no name
  UniqueFd fd_;
};

}  // namespace parcompute
