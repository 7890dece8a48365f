#include "common/os/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "common/os/system_error.h"

namespace parcompute {
namespace {

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

Result<UniqueFd> new_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return fail(system_error("make", "a Unix socket", errno));
  return fd;
}

void set_send_timeout(int socket, std::chrono::milliseconds patience) {
  const timeval value{static_cast<time_t>(patience.count() / 1000), static_cast<suseconds_t>(patience.count() % 1000 * 1000)};
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

}  // namespace

Result<void> check_socket_path(const std::filesystem::path& path) {
  if (path.native().size() > kMaxSocketPath)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("socket path '{}' has {} bytes; a Unix socket's path holds at most {}: choose a shorter one with "
                            "--socket or PARCOMPUTE_SOCKET",
                            path.native(), path.native().size(), kMaxSocketPath));
  if (path.empty() || !path.is_absolute())
    return fail(ErrorCode::kInvalidArgument, fmt::format("socket path '{}' is not absolute; write it from / on", path.native()));
  return {};
}

Result<UniqueFd> listen_at(const std::filesystem::path& path) {
  if (auto ok = check_socket_path(path); !ok) return fail(ok.error());
  auto fd = new_socket();
  if (!fd) return fd;
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))
    return fail(ErrorCode::kCannotCreate, fmt::format("'{}' exists and is no socket: choose another path for the server's socket", path.native()));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail(system_error("replace the old socket", path.native(), errno, ErrorCode::kCannotCreate));
  const sockaddr_un address = address_of(path);
  // The mode is right from the first moment on: no window between bind and chmod.
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error_number = errno;
  ::umask(mask);
  if (bound != 0) return fail(system_error("listen at", path.native(), error_number, ErrorCode::kCannotCreate));
  if (::listen(fd->get(), SOMAXCONN) != 0)
    return fail(system_error("listen at", path.native(), errno, ErrorCode::kCannotCreate));
  // bind makes the file before anybody listens. This tells those who watch the directory that they may connect.
  if (::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(system_error("listen at", path.native(), errno, ErrorCode::kCannotCreate));
  return fd;
}

Result<UniqueFd> connect_to(const std::filesystem::path& path, std::chrono::milliseconds patience) {
  if (auto ok = check_socket_path(path); !ok) return fail(ok.error());
  auto fd = new_socket();
  if (!fd) return fd;
  const sockaddr_un address = address_of(path);
  // A full backlog blocks connect; the send timeout bounds it.
  set_send_timeout(fd->get(), patience);
  int outcome = 0;
  do {
    outcome = ::connect(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (outcome != 0 && errno == EINTR);
  if (outcome == 0) {
    set_send_timeout(fd->get(), std::chrono::milliseconds(0));
    return fd;
  }
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return fail(Error{ErrorCode::kNoServer,
                        fmt::format("no server answers at '{}'; start one with 'parcompute-client start'", path.native()), errno});
    case EAGAIN:
      return fail(Error{ErrorCode::kTimeout,
                        fmt::format("the server at '{}' has accepted nobody for {} ms; is it stopped?", path.native(), patience.count()),
                        errno});
    case EACCES:
      return fail(Error{ErrorCode::kNotPermitted,
                        fmt::format("you may not use the server at '{}': ask who runs it for its group, and log in again, or have a server of your own with a socket in a directory "
                                    "of yours (--socket, $PARCOMPUTE_SOCKET)",
                                    path.native()),
                        errno});
    default: return fail(system_error("connect to", path.native(), errno));
  }
}

Result<UniqueFd> connect_when_listening(const std::filesystem::path& path, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  auto connected = connect_to(path, patience);
  if (connected || connected.error().code != ErrorCode::kNoServer) return connected;
  const auto end = Clock::now() + patience;
  const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch || ::inotify_add_watch(watch.get(), path.parent_path().c_str(), IN_ATTRIB) < 0)
    return fail(system_error("watch for the server in", path.parent_path().native(), errno));
  while (true) {
    // Asked anew after each look at the directory: what happened before the watch was set is seen, too.
    connected = connect_to(path, patience);
    if (connected || connected.error().code != ErrorCode::kNoServer) return connected;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return connected;
    pollfd wait{watch.get(), POLLIN, 0};
    ::poll(&wait, 1, static_cast<int>(left.count()));
    alignas(inotify_event) std::array<char, 4096> events;
    while (::read(watch.get(), events.data(), events.size()) > 0) {
    }
  }
}

Result<SocketPair> make_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
    return fail(system_error("make", "a pair of Unix sockets", errno));
  return SocketPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<PeerCredentials> peer_credentials(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return fail(system_error("ask for the peer of", "a session", errno));
  PeerCredentials peer{credentials.pid, credentials.uid, credentials.gid, {}};
  length = 0;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nullptr, &length) != 0 && errno == ERANGE && length > 0) {
    peer.groups.resize(length / sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) != 0) peer.groups.clear();
  }
  return peer;
}

}  // namespace parcompute
