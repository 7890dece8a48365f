#include "server/io/systemd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/os/system_error.h"

namespace parcompute::server {
namespace {

// Opened once: what systemd is told matters most when the table of open files is full.
struct NotifySocket {
  UniqueFd fd;  // none: nobody listens
  sockaddr_un address{};
  socklen_t length = 0;
};

NotifySocket open_notify_socket() {
  NotifySocket socket;
  const char* const path = std::getenv("NOTIFY_SOCKET");
  const std::size_t bytes = path == nullptr ? 0 : std::strlen(path);
  if (bytes < 2 || bytes >= sizeof socket.address.sun_path || (*path != '/' && *path != '@')) return socket;
  socket.address.sun_family = AF_UNIX;
  std::memcpy(socket.address.sun_path, path, bytes);
  if (*path == '@') socket.address.sun_path[0] = '\0';  // of the abstract namespace
  socket.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes + (*path == '/' ? 1 : 0));
  socket.fd = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // Whoever holds systemd up does not hold this server up.
  const timeval patience{1, 0};
  if (socket.fd) ::setsockopt(socket.fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (!socket.fd) log_error("{}; systemd hears nothing of this server", system_error("open", "a socket for $NOTIFY_SOCKET", errno).message);
  return socket;
}

const NotifySocket& notify_socket() {
  static const NotifySocket socket = open_notify_socket();
  return socket;
}

// With a descriptor, where `fd` is one. 0, or an errno.
int tell_systemd(std::string_view state, int fd) {
  const NotifySocket& socket = notify_socket();
  if (!socket.fd) return ENOTCONN;
  iovec text{const_cast<char*>(state.data()), state.size()};  // sendmsg only reads
  sockaddr_un address = socket.address;
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = socket.length;
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket.fd.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

}  // namespace

Result<Inheritance> take_from_systemd() {
  char** names = nullptr;
  const int count = std::max(::sd_listen_fds_with_names(1, &names), 0);
  Inheritance taken;
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    if (::sd_is_socket(fd.get(), AF_UNSPEC, 0, -1) > 0) sockets.push_back(std::move(fd));
    else taken.stored.push_back({names[i], std::move(fd)});
    ::free(names[i]);
  }
  ::free(names);
  if (sockets.size() != 1)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--systemd needs one listening socket from systemd, {} came: start parcompute.socket", sockets.size()));
  UniqueFd& fd = sockets.front();
  if (::sd_is_socket(fd.get(), AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
    return fail(ErrorCode::kInvalidArgument, "systemd's socket is no listening Unix SEQPACKET socket: use ListenSequentialPacket=");
  sockaddr_un address{};
  socklen_t length = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  taken.socket = {std::move(fd), std::filesystem::path(address.sun_path)};
  return taken;
}

void notify_systemd(const std::string& state) {
  const int outcome = tell_systemd(state, -1);
  if (outcome != 0 && outcome != ENOTCONN) log_error("{}", system_error("tell systemd", state, outcome).message);
}

std::size_t descriptor_store_room() {
  const char* const room = std::getenv("FDSTORE");
  if (!notify_socket().fd || room == nullptr) return 0;
  const std::string_view text = room;
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc{} && end == text.data() + text.size()) return count;
  log_warning("$FDSTORE is '{}', which is no number: systemd is taken to keep no descriptors", text);
  return 0;
}

Result<void> store_descriptor(const std::string& name, int fd) {
  const std::string state = fmt::format("FDSTORE=1\nFDNAME={}\nFDPOLL=0", name);
  if (const int outcome = tell_systemd(state, fd); outcome != 0) return fail(system_error("give systemd to keep", name, outcome));
  return {};
}

void unstore_descriptor(const std::string& name) {
  notify_systemd(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name));
}

std::optional<std::chrono::microseconds> watchdog_interval() {
  std::uint64_t usec = 0;
  if (::sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
  return std::chrono::microseconds(usec / 2);
}

}  // namespace parcompute::server
