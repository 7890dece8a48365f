#include "server/io/systemd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <fmt/format.h>

namespace parcompute::server {

Result<ActivatedSocket> activated_socket() {
  const int count = ::sd_listen_fds(1);
  if (count != 1)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--systemd needs one listening socket from systemd, {} came: start parcompute.socket", std::max(count, 0)));
  UniqueFd fd(SD_LISTEN_FDS_START);
  if (::sd_is_socket(fd.get(), AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
    return fail(ErrorCode::kInvalidArgument, "systemd's socket is no listening Unix SEQPACKET socket: use ListenSequentialPacket=");
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  sockaddr_un address{};
  socklen_t length = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ActivatedSocket{std::move(fd), std::filesystem::path(address.sun_path)};
}

void notify_systemd(const std::string& state) {
  ::sd_notify(0, state.c_str());
}

std::optional<std::chrono::microseconds> watchdog_interval() {
  std::uint64_t usec = 0;
  if (::sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
  return std::chrono::microseconds(usec / 2);
}

}  // namespace parcompute::server
