// SEQPACKET sockets and descriptors in flight.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/os/unique_fd.h"
#include "common/os/unix_socket.h"
#include "tests/support/process_state.h"
#include "tests/support/raw_message.h"

namespace parcompute::testing {
namespace {

class SeqPacket : public DescriptorsKept {
 protected:
  void SetUp() override {
    DescriptorsKept::SetUp();
    auto pair = make_socket_pair();
    ASSERT_TRUE(pair);
    pair_ = std::move(*pair);
  }
  void TearDown() override {
    pair_ = {};
    DescriptorsKept::TearDown();
  }

  ssize_t send(const std::string& bytes, int flags = 0) {
    return ::send(pair_.first.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
  }
  std::string receive(int flags = MSG_DONTWAIT) {
    std::string bytes(1 << 20, '\0');
    const ssize_t got = ::recv(pair_.second.get(), bytes.data(), bytes.size(), flags);
    if (got < 0) return "errno " + std::to_string(errno);
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
  }

  // One byte with `fds`; the result of sendmsg.
  ssize_t send_descriptors(const std::vector<int>& fds) { return send_raw_message(pair_.first.get(), "d", fds); }

  struct Received {
    ssize_t bytes = 0;
    int flags = 0;
    std::vector<UniqueFd> fds;
  };
  Received receive_descriptors(std::size_t room) {
    char byte = 0;
    iovec vector{&byte, 1};
    std::vector<char> control(CMSG_SPACE(room * sizeof(int)));
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    Received received;
    received.bytes = ::recvmsg(pair_.second.get(), &message, MSG_CMSG_CLOEXEC);
    received.flags = message.msg_flags;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
      const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        received.fds.emplace_back(fd);
      }
    }
    return received;
  }

  SocketPair pair_;
};

TEST_F(SeqPacket, KeepsTheBoundariesOfMessages) {
  for (const char* text : {"one", "two", "three"}) ASSERT_GT(send(text), 0);
  EXPECT_EQ(receive(), "one");
  EXPECT_EQ(receive(), "two");
  EXPECT_EQ(receive(), "three");
}

TEST_F(SeqPacket, CutsAMessageThatIsLongerThanTheBufferAndSaysSo) {
  ASSERT_EQ(send("0123456789"), 10);
  std::array<char, 4> small{};
  iovec vector{small.data(), small.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  EXPECT_EQ(::recvmsg(pair_.second.get(), &message, 0), 4);
  EXPECT_NE(message.msg_flags & MSG_TRUNC, 0);
  EXPECT_EQ(receive(), "errno " + std::to_string(EAGAIN)) << "the rest is gone";
}

TEST_F(SeqPacket, TakesMessagesOf64KiBInItsDefaultBuffers) {
  const std::string packet(64 * 1024, 'x');
  ASSERT_EQ(send(packet, MSG_DONTWAIT), static_cast<ssize_t>(packet.size()));
  EXPECT_EQ(receive(), packet);
}

TEST_F(SeqPacket, RefusesAMessageBeyondItsBufferInsteadOfCuttingIt) {
  EXPECT_EQ(send(std::string(1 << 20, 'x'), MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EMSGSIZE);
}

TEST_F(SeqPacket, ShowsAnEmptyMessageAsTheEndLooks) {
  ASSERT_EQ(send(""), 0);
  EXPECT_EQ(receive(), "");
  pair_.first.reset();
  EXPECT_EQ(receive(), "");
}

TEST_F(SeqPacket, DeliversWhatWasSentBeforeTheSenderClosed) {
  ASSERT_EQ(send("last words"), 10);
  pair_.first.reset();
  EXPECT_EQ(receive(), "last words");
  EXPECT_EQ(receive(), "");
}

TEST_F(SeqPacket, LosesDescriptorsThatDoNotFitIntoTheTableAndSetsTheFlag) {
  EXPECT_EQ(in_child([&] {
              ASSERT_EQ(send_descriptors({0, 0, 0}), 1);
              const long open_now = open_descriptors();
              rlimit limit{};
              ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
              // Room for one more: the lowest free number plus one.
              const UniqueFd lowest(::dup(0));
              limit.rlim_cur = static_cast<rlim_t>(lowest.get()) + 2;
              ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
              const Received received = receive_descriptors(3);
              limit.rlim_cur = limit.rlim_max;
              ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
              EXPECT_EQ(received.bytes, 1) << "the bytes come all the same";
              EXPECT_NE(received.flags & MSG_CTRUNC, 0);
              EXPECT_LT(received.fds.size(), 3u);
              // What is lost is closed, not leaked: the one of `lowest` and those received are more than
              // before.
              EXPECT_EQ(open_descriptors(), open_now + 1 + static_cast<long>(received.fds.size()));
            }),
            0);
}

TEST_F(SeqPacket, ClosesDescriptorsThatTheReceiverHasNoRoomForInItsMessage) {
  ASSERT_EQ(send_descriptors({0, 0, 0}), 1);
  const long open_now = open_descriptors();
  {
    const Received received = receive_descriptors(1);
    EXPECT_NE(received.flags & MSG_CTRUNC, 0);
    // Alignment may leave room for one more than was asked for.
    EXPECT_LT(received.fds.size(), 3u);
    EXPECT_EQ(open_descriptors(), open_now + static_cast<long>(received.fds.size()));
  }
}

TEST_F(SeqPacket, RefusesToSendMoreThan253Descriptors) {
  EXPECT_EQ(send_descriptors(std::vector<int>(254, 0)), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(send_descriptors(std::vector<int>(253, 0)), 1);
}

TEST_F(SeqPacket, ClosesDescriptorsThatNobodyFetched) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd reading(pipe[0]);
  UniqueFd writing(pipe[1]);
  ASSERT_EQ(send_descriptors({writing.get()}), 1);
  writing.reset();
  char byte = 0;
  ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  EXPECT_EQ(::read(reading.get(), &byte, 1), -1) << "the one in flight holds the pipe open";
  pair_ = {};
  EXPECT_EQ(::read(reading.get(), &byte, 1), 0) << "it went with the socket";
}

TEST_F(SeqPacket, TellsTheEndToWhoeverHoldsTheOtherSideWhenAProcessDies) {
  const pid_t child = ::fork();
  if (child == 0) {
    pair_.second.reset();
    ::pause();
  }
  pair_.first.reset();
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(receive(0), "");
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

}  // namespace
}  // namespace parcompute::testing
