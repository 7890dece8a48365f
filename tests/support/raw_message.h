// sendmsg by hand, for what Channel would not send.
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace parcompute::testing {

// One packet with `fds`, also more than the kernel takes; the result of sendmsg.
inline ssize_t send_raw_message(int socket, std::string_view bytes, std::span<const int> fds, int flags = 0) {
  iovec vector{const_cast<char*>(bytes.data()), bytes.size()};  // sendmsg only reads
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(fds.size_bytes()));
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | flags);
}

}  // namespace parcompute::testing
