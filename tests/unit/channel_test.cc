#include "proto/channel.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "proto/limits.h"
#include "tests/support/process_state.h"
#include "tests/support/raw_message.h"
#include "tests/support/sanitized.h"

namespace parcompute {
namespace {

using testing::in_child;
using testing::open_descriptors;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class ChannelTest : public testing::DescriptorsKept {
 protected:
  void SetUp() override {
    DescriptorsKept::SetUp();
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()), 0);
    left_ = Channel(UniqueFd(pair[0]));
    right_ = Channel(UniqueFd(pair[1]));
  }
  void TearDown() override {
    left_.close();
    right_.close();
    packet_.fds.clear();
    DescriptorsKept::TearDown();
  }

  Transfer receive() { return right_.receive(buffer_, packet_, MSG_DONTWAIT); }
  std::string text() const {
    return {reinterpret_cast<const char*>(packet_.bytes.data()), packet_.bytes.size()};
  }

  ssize_t send_raw(std::string_view text, std::span<const int> fds) { return testing::send_raw_message(left_.fd(), text, fds); }

  Channel left_, right_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kMaxPacketBytes);
  Packet packet_;
};

TEST_F(ChannelTest, PacketsArriveWholeAndInOrder) {
  EXPECT_EQ(receive(), Transfer::kWouldBlock);
  ASSERT_EQ(left_.send(bytes("one")), Transfer::kDone);
  const std::array parts{bytes("tw"), bytes(""), bytes("o")};
  ASSERT_EQ(left_.send(parts), Transfer::kDone);
  ASSERT_EQ(receive(), Transfer::kDone);
  EXPECT_EQ(text(), "one");
  ASSERT_EQ(receive(), Transfer::kDone);
  EXPECT_EQ(text(), "two");
  EXPECT_EQ(receive(), Transfer::kWouldBlock);
}

TEST_F(ChannelTest, ThePacketOfTheLargestSizePasses) {
  const std::string largest(kMaxPacketBytes, 'x');
  ASSERT_EQ(left_.send(bytes(largest)), Transfer::kDone);
  ASSERT_EQ(receive(), Transfer::kDone);
  EXPECT_EQ(packet_.bytes.size(), kMaxPacketBytes);
}

TEST_F(ChannelTest, DescriptorsTravelWithTheirPacketAndAreCloseOnExec) {
  std::array<int, kMaxPacketFds> fds;
  fds.fill(left_.fd());
  ASSERT_EQ(left_.send(bytes("x"), fds), Transfer::kDone);
  ASSERT_EQ(receive(), Transfer::kDone);
  ASSERT_EQ(packet_.fds.size(), kMaxPacketFds);
  for (const UniqueFd& fd : packet_.fds) EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(left_.send(bytes("y")), Transfer::kDone);
  ASSERT_EQ(receive(), Transfer::kDone);
  EXPECT_TRUE(packet_.fds.empty()) << "the packet before must not lend its descriptors";
}

TEST_F(ChannelTest, TheEndOfTheOtherSideIsClosed) {
  left_.close();
  EXPECT_EQ(receive(), Transfer::kClosed);
  EXPECT_EQ(right_.send(bytes("x")), Transfer::kClosed) << "and raises no SIGPIPE";
}

TEST_F(ChannelTest, WhatWasSentBeforeTheEndStillArrives) {
  ASSERT_EQ(left_.send(bytes("last")), Transfer::kDone);
  left_.close();
  ASSERT_EQ(receive(), Transfer::kDone);
  EXPECT_EQ(text(), "last");
  EXPECT_EQ(receive(), Transfer::kClosed);
}

TEST_F(ChannelTest, AnEmptyPacketLooksLikeTheEnd) {
  ASSERT_EQ(send_raw("", {}), 0);
  EXPECT_EQ(receive(), Transfer::kClosed);
}

TEST_F(ChannelTest, AnEmptyPacketWithADescriptorIsBrokenAndLeaksNothing) {
  const long before = open_descriptors();
  const int fd = left_.fd();
  ASSERT_EQ(send_raw("", std::span(&fd, 1)), 0);
  EXPECT_EQ(receive(), Transfer::kBroken);
  EXPECT_TRUE(packet_.fds.empty());
  EXPECT_EQ(packet_.unwanted.size(), 1u);
  packet_.unwanted.clear();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(ChannelTest, ATruncatedPacketIsBrokenAndItsDescriptorsAreClosed) {
  const long before = open_descriptors();
  const int fd = left_.fd();
  ASSERT_EQ(send_raw(std::string(kMaxPacketBytes + 1, 'x'), std::span(&fd, 1)),
            static_cast<ssize_t>(kMaxPacketBytes) + 1);
  ASSERT_EQ(left_.send(bytes("next")), Transfer::kDone);
  EXPECT_EQ(receive(), Transfer::kBroken);
  EXPECT_TRUE(packet_.bytes.empty());
  EXPECT_TRUE(packet_.fds.empty());
  EXPECT_EQ(packet_.unwanted.size(), 1u);
  ASSERT_EQ(receive(), Transfer::kDone);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(text(), "next") << "the rest of a long packet must not look like the next one";
}

TEST_F(ChannelTest, TooManyDescriptorsAreAllHandedOverAsUnwanted) {
  const long before = open_descriptors();
  for (const std::size_t count : {kMaxPacketFds + 1, std::size_t{253}}) {
    const std::vector<int> fds(count, left_.fd());
    ASSERT_EQ(send_raw("x", fds), 1);
    EXPECT_EQ(receive(), Transfer::kNoFds);
    EXPECT_TRUE(packet_.fds.empty());
    EXPECT_EQ(packet_.unwanted.size(), count) << "the kernel closed some of them, which may take long";
    packet_.unwanted.clear();
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(ChannelTest, AFullDescriptorTableIsSaidAndThePacketStillRead) {
  if (testing::kSanitized) GTEST_SKIP() << testing::kFullTableConfusesSanitizers;
  const std::array<int, 3> fds{left_.fd(), left_.fd(), left_.fd()};
  ASSERT_EQ(left_.send(bytes("x"), fds), Transfer::kDone);
  ASSERT_EQ(left_.send(bytes("y"), fds), Transfer::kDone);
  EXPECT_EQ(in_child([&] {
              // One place is left: one of the three descriptors would fit.
              const UniqueFd next(::dup(0));
              const rlimit limit{static_cast<rlim_t>(next.get()) + 2, static_cast<rlim_t>(next.get()) + 2};
              ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
              EXPECT_EQ(receive(), Transfer::kNoFds);
              EXPECT_EQ(text(), "x");
              EXPECT_TRUE(packet_.fds.empty());
              EXPECT_EQ(packet_.unwanted.size(), 1u) << "the one that fitted";
              packet_.unwanted.clear();
              const UniqueFd last(::dup(0));
              ASSERT_TRUE(last) << "the one that fitted was not closed";
              ASSERT_LT(::dup(0), 0);
              EXPECT_EQ(receive(), Transfer::kNoFds);
              EXPECT_EQ(text(), "y");
            }),
            0);
  // The parent, sharing the socket, finds it empty.
  EXPECT_EQ(receive(), Transfer::kWouldBlock);
}

TEST_F(ChannelTest, ForeignControlMessagesAreNoDescriptors) {
  const int on = 1;
  ASSERT_EQ(::setsockopt(right_.fd(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
  const int fd = left_.fd();
  ASSERT_EQ(send_raw("x", std::span(&fd, 1)), 1);
  const Transfer transfer = receive();
  EXPECT_TRUE(transfer == Transfer::kDone || transfer == Transfer::kNoFds);
  EXPECT_LE(packet_.fds.size(), 1u);
}

TEST_F(ChannelTest, AFullSocketWouldBlock) {
  const int flags = ::fcntl(left_.fd(), F_GETFL);
  ASSERT_EQ(::fcntl(left_.fd(), F_SETFL, flags | O_NONBLOCK), 0);
  std::size_t sent = 0;
  while (left_.send(bytes("x")) == Transfer::kDone) ++sent;
  EXPECT_EQ(left_.send(bytes("x")), Transfer::kWouldBlock);
  std::size_t received = 0;
  while (receive() == Transfer::kDone) ++received;
  EXPECT_EQ(received, sent);
}

TEST_F(ChannelTest, WhatTheKernelRefusesIsBroken) {
  const int closed = ::dup(0);
  ::close(closed);
  EXPECT_EQ(left_.send(bytes("x"), std::span(&closed, 1)), Transfer::kBroken);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(left_.send(bytes(std::string(10'000'000, 'x'))), Transfer::kBroken);
  EXPECT_EQ(errno, EMSGSIZE);
  Channel none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.send(bytes("x")), Transfer::kBroken);
}

TEST_F(ChannelTest, AReleasedSocketStaysOpen) {
  const UniqueFd socket = left_.release();
  EXPECT_FALSE(left_);
  EXPECT_EQ(receive(), Transfer::kWouldBlock);
  EXPECT_GE(::fcntl(socket.get(), F_GETFD), 0);
}

}  // namespace
}  // namespace parcompute
