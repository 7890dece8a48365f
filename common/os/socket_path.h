// Where a server listens, where a client looks, and the lock that says who owns the place.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

inline constexpr const char* kSocketVariable = "PARCOMPUTE_SOCKET";

// Where a client looks for a server, best first: $PARCOMPUTE_SOCKET alone where it is set; else
// $XDG_RUNTIME_DIR/parcompute, /run/parcompute and /tmp/parcompute-$UID, each with control.sock.
std::vector<std::filesystem::path> socket_candidates();

// Where a user's own server listens: $PARCOMPUTE_SOCKET, $XDG_RUNTIME_DIR/parcompute/control.sock or
// /tmp/parcompute-$UID/control.sock.
std::filesystem::path own_socket_path();

// Makes the directory of a socket (mode 0700) where it is missing, and refuses one that is a symbolic link, belongs to
// somebody else or lets others write.
Result<void> make_socket_directory(const std::filesystem::path& directory);
// For a client: the directory that a socket lies in belongs to this user or to root, or lies in a closed directory of
// root's, and others cannot write there.
Result<void> check_socket_directory(const std::filesystem::path& directory);

// The lock on "<socket>.lock" (an open file description lock): whoever holds it is the server of that socket. Nothing
// where another process holds it.
//
// A server that is killed may leave a copy of it for a moment: a process that it was just starting has all its descriptors
// until that one is another program, which on a busy machine takes milliseconds. And one that begins holds the lock before it
// listens. So the lock is asked for again, for at most `patience`, until a living server listens at the socket. Where systemd
// listens (`asks` is false), that says nothing of servers, and nobody is asked.
Result<std::optional<UniqueFd>> lock_socket(const std::filesystem::path& socket, std::chrono::milliseconds patience = {}, bool asks = true);
// The process that holds the lock of this socket, as it wrote its number there; 0 where it did not. Nothing where nobody holds it.
std::optional<pid_t> lock_holder(const std::filesystem::path& socket);
// Whether this lock is on the file that lies there now.
bool holds_lock(const std::filesystem::path& socket, int lock);
// Lets go of the lock, and takes its file away where it lies there still.
void unlock_socket(const std::filesystem::path& socket, UniqueFd lock);

}  // namespace parcompute
