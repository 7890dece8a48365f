// Segments: pieces of POSIX shared memory by name, in the hands of the one process that creates them.
//
// A name carries the owner's uid, the server's instance and a random part: "parcompute-1000-<instance>-<random>", so
// that names cannot be guessed or squatted and a server finds its own. Everybody else gets at a segment by its
// descriptor alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

// The instance of a server: a hash of its socket's path, 16 hex digits. Two servers never share one, since a socket is
// locked by the server that listens on it.
std::string instance_of(std::string_view socket_path);

// "parcompute-<uid>-<instance>-": what the segments of an instance begin with.
std::string segment_prefix(uid_t uid, std::string_view instance);

// A new segment of `bytes` (not reserved yet), mode 0600, under a fresh name with `prefix`. kCannotCreate, kOverBudget.
struct NamedSegment {
  std::string name;
  UniqueFd fd;
};
Result<NamedSegment> create_segment(std::string_view prefix, std::uint64_t bytes);

Result<UniqueFd> open_segment(const std::string& name);
// Takes the name away; memory goes with the last mapping and descriptor. A name that is gone already is no error.
Result<void> unlink_segment(const std::string& name);
// Names in /dev/shm that begin with `prefix`.
Result<std::vector<std::string>> list_segments(std::string_view prefix);

// memfd_create(2), close-on-exec and, where the kernel knows that, not executable for ever. Empty, with errno set, where refused.
UniqueFd create_memfd(const char* label, unsigned flags);

// New memory of `bytes` that has no name and is nobody else's, zeroed and with pages of its own. `label` is for /proc.
Result<UniqueFd> create_nameless(const char* label, std::uint64_t bytes);

// Gives the range pages of its own, so that nobody who touches them later meets SIGBUS. All or an error: kOverBudget
// where shared memory is full.
Result<void> reserve_pages(int fd, std::uint64_t offset, std::uint64_t bytes, std::string_view subject);

// Why a segment gets no more pages: of ENOSPC, how many bytes were asked for, how many are free, and what to do.
Error no_room_error(int fd, std::uint64_t bytes, std::string_view subject, int error_number);

}  // namespace parcompute
