// A descriptor that takes its time to close.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <vector>

#include <gtest/gtest.h>

#include "common/os/unique_fd.h"

namespace parcompute::testing {

// A TCP connection whose one end waits for ten minutes, when it is closed, for the other one to read what it has sent.
struct Lingering {
  UniqueFd socket, peer;

  Lingering() {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener.get(), generic, length) != 0 || ::listen(listener.get(), 1) != 0 || ::getsockname(listener.get(), generic, &length) != 0) return;
    UniqueFd connecting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(connecting.get(), generic, length) != 0) return;
    peer = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const linger patience{1, 600};
    EXPECT_EQ(::setsockopt(connecting.get(), SOL_SOCKET, SO_LINGER, &patience, sizeof patience), 0);
    const std::vector<char> words(1 << 20);
    while (::send(connecting.get(), words.data(), words.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    socket = std::move(connecting);
  }
};

}  // namespace parcompute::testing
