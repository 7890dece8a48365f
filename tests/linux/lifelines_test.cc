// How one process learns of another's death: locks, pidfds, adopted orphans.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "common/os/unique_fd.h"
#include "tests/support/process_state.h"
#include "tests/support/temporary_directory.h"

namespace parcompute::testing {
namespace {

class Lifelines : public DescriptorsKept {
 protected:
  static UniqueFd open_lock(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }
  static bool try_lock(int fd) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::fcntl(fd, F_OFD_SETLK, &whole) == 0;
  }
  static int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }
  // A child that waits for its end, once it has done `first`.
  template <class Body>
  static pid_t start_child(Body first) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    const UniqueFd reading(pipe[0]);
    UniqueFd writing(pipe[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      first();
      if (::write(writing.get(), "x", 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    writing.reset();
    char byte = 0;
    EXPECT_EQ(::read(reading.get(), &byte, 1), 1);
    return child;
  }
  static void kill_and_reap(pid_t pid) {
    ::kill(pid, SIGKILL);
    EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  }
};

TEST_F(Lifelines, AnOfdLockEndsWithTheProcessThatHoldsIt) {
  const TemporaryDirectory place;
  const std::string path = place / "lock";
  const pid_t holder = start_child([&] {
    if (!try_lock(open_lock(path).release())) ::_exit(1);
  });
  const UniqueFd mine = open_lock(path);
  EXPECT_FALSE(try_lock(mine.get()));
  EXPECT_EQ(errno, EAGAIN);
  kill_and_reap(holder);
  EXPECT_TRUE(try_lock(mine.get()));
}

TEST_F(Lifelines, AnOfdLockBelongsToTheDescriptionNotTheProcess) {
  const TemporaryDirectory place;
  const UniqueFd first = open_lock(place / "lock");
  const UniqueFd second = open_lock(place / "lock");
  EXPECT_TRUE(try_lock(first.get()));
  EXPECT_FALSE(try_lock(second.get())) << "the same process, another description";
  // Closing another descriptor of the file lets a POSIX lock go; not this one.
  open_lock(place / "lock").reset();
  EXPECT_FALSE(try_lock(second.get()));
}

TEST_F(Lifelines, APidfdBecomesReadableAtDeathAndNotBefore) {
  const pid_t child = start_child([] {});
  const UniqueFd pidfd(open_pidfd(child));
  ASSERT_TRUE(pidfd);
  pollfd wait{pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  ASSERT_EQ(::kill(child, SIGSTOP), 0);
  EXPECT_EQ(::poll(&wait, 1, 0), 0) << "stopped is not dead";
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(::poll(&wait, 1, -1), 1);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child) << "readable before it is reaped";
  EXPECT_EQ(::poll(&wait, 1, 0), 1) << "and afterwards";
}

TEST_F(Lifelines, APidfdNeverMeansALaterProcessOfTheSameNumber) {
  const pid_t child = start_child([] {});
  const UniqueFd pidfd(open_pidfd(child));
  kill_and_reap(child);
  EXPECT_EQ(::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(Lifelines, ParentDeathSignalReachesAStoppedChild) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd reading(pipe[0]);
  UniqueFd writing(pipe[1]);
  const pid_t parent = start_child([&] {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const pid_t self = ::getpid();
      if (::write(writing.get(), &self, sizeof self) != sizeof self) ::_exit(1);
      ::raise(SIGSTOP);
      while (true) ::pause();
    }
    if (::waitpid(grandchild, nullptr, WUNTRACED) != grandchild) ::_exit(1);  // when it is stopped
  });
  writing.reset();
  pid_t grandchild = 0;
  ASSERT_EQ(::read(reading.get(), &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  const UniqueFd pidfd(open_pidfd(grandchild));
  kill_and_reap(parent);
  pollfd wait{pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
  EXPECT_EQ(::waitpid(grandchild, nullptr, 0), grandchild) << "an orphan is the subreaper's";
}

}  // namespace
}  // namespace parcompute::testing
