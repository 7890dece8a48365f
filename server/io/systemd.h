// What systemd wants to hear, and the socket that it hands over.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute::server {

struct ActivatedSocket {
  UniqueFd fd;
  std::filesystem::path path;
};
// The one listening SEQPACKET socket of $LISTEN_FDS. kInvalidArgument where there is none or another kind.
Result<ActivatedSocket> activated_socket();

// sd_notify(3); without $NOTIFY_SOCKET nothing happens.
void notify_systemd(const std::string& state);

// How often systemd wants WATCHDOG=1: half of $WATCHDOG_USEC. Nothing where it does not watch.
std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace parcompute::server
