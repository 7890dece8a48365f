// What systemd wants to hear, what it hands over, and what it keeps.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute::server {

struct ActivatedSocket {
  UniqueFd fd;
  std::filesystem::path path;
};
// What an earlier server of this service left in the descriptor store.
struct StoredDescriptor {
  std::string name;
  UniqueFd fd;
};
struct Inheritance {
  ActivatedSocket socket;
  std::vector<StoredDescriptor> stored;
};
// Of $LISTEN_FDS: the one socket, which listens and is of kind SEQPACKET, and all that is none. kInvalidArgument where there is no
// socket, another kind, or more. Once.
Result<Inheritance> take_from_systemd();

// sd_notify(3); without $NOTIFY_SOCKET nothing happens.
void notify_systemd(const std::string& state);

// How many descriptors systemd keeps for this service at most: $FDSTORE, which systemd sets since version 254, and the unit before. 0
// where there is no $NOTIFY_SOCKET.
std::size_t descriptor_store_room();
// Gives systemd a copy to keep (FDSTORE=1), which it hands to the next server of this service. It does not say whether it had room:
// keep below descriptor_store_room().
Result<void> store_descriptor(const std::string& name, int fd);
// It lets go of all that it keeps under that name.
void unstore_descriptor(const std::string& name);

// How often systemd wants WATCHDOG=1: half of $WATCHDOG_USEC. Nothing where it does not watch.
std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace parcompute::server
