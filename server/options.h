// parcompute-server's command line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "server/core/placement.h"
#include "server/core/share_limits.h"
#include "server/io/backing.h"

namespace parcompute::server {

struct Options {
  std::filesystem::path socket;                // empty: the user's own
  unsigned workers = 0;                        // 0: one per CPU allowed
  bool hyperthreads = false;                   // and not one per core of these
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> idle_seconds;
  std::optional<std::uint64_t> spare_bytes;
  std::string admit_group;
  ShareLimits share_limits;  // of each of its members
  BackingKind backing = BackingKind::kNamed;
  int lifeline_fd = -1;
  int ready_fd = -1;
  bool systemd = false;
  bool drop_arrays_at_exit = false;
  Pinning pinning = Pinning::kWhereOwn;
};

// Exits for --help and --version, and with 64 (EX_USAGE) for words that make no sense.
Options parse_options(int argc, char** argv);

}  // namespace parcompute::server
