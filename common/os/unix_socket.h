// Unix SEQPACKET sockets by path, and who is at the other end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

// sun_path holds 107 bytes and a zero.
inline constexpr std::size_t kMaxSocketPath = 107;

Result<void> check_socket_path(const std::filesystem::path& path);

// A listening socket, mode 0600. The caller holds the lock on the path (see socket_path.h): what lies there already is
// a dead server's and is replaced.
Result<UniqueFd> listen_at(const std::filesystem::path& path);

// A blocking, connected socket. kNoServer where nobody listens; kTimeout where who listens accepts nobody; kNotPermitted where the file's
// mode forbids it.
Result<UniqueFd> connect_to(const std::filesystem::path& path, std::chrono::milliseconds patience);

// The same, where somebody is about to listen there (socket_path.h: the path's lock is held): waits for it so long.
Result<UniqueFd> connect_when_listening(const std::filesystem::path& path, std::chrono::milliseconds patience);

struct SocketPair {
  UniqueFd first;
  UniqueFd second;
};
Result<SocketPair> make_socket_pair();

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
};
Result<PeerCredentials> peer_credentials(int socket);

}  // namespace parcompute
