// Shared memory: reserving it, running out of it, and truncating it under a mapping.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "common/os/unique_fd.h"
#include "tests/support/process_state.h"
#include "tests/support/temporary_directory.h"

namespace parcompute::testing {
namespace {

constexpr std::size_t kMebibyte = 1 << 20;

class SharedMemory : public DescriptorsKept {
 protected:
  // Runs `body` with the path of a fresh tmpfs of 4 MiB, in a mount namespace that goes with its process.
  template <class Body>
  void in_small_tmpfs(Body body) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small tmpfs";
    const TemporaryDirectory place;
    constexpr int kNoNamespace = 42;
    const int outcome = in_child([&] {
      if (::unshare(CLONE_NEWNS) != 0) ::_exit(kNoNamespace);
      if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(kNoNamespace);
      if (::mount("tmpfs", place.path().c_str(), "tmpfs", 0, "size=4m") != 0) ::_exit(kNoNamespace);
      body(place / "file");
    });
    if (outcome == kNoNamespace) GTEST_SKIP() << "this machine lets nobody mount in a namespace";
    EXPECT_EQ(outcome, 0);
  }
};

TEST_F(SharedMemory, ThatIsFullRefusesReservationWithEnospcAndKeepsNothingOfIt) {
  in_small_tmpfs([](const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
    ASSERT_EQ(::ftruncate(fd.get(), 8 * kMebibyte), 0) << "a size alone costs nothing";
    EXPECT_EQ(::fallocate(fd.get(), 0, 0, 8 * kMebibyte), -1);
    EXPECT_EQ(errno, ENOSPC);
    struct stat status {};
    ASSERT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(status.st_blocks, 0) << "what was reserved on the way is given back";
    EXPECT_EQ(::fallocate(fd.get(), 0, 0, 3 * kMebibyte), 0);
  });
}

TEST_F(SharedMemory, ThatWasReservedIsWrittenWithoutSigbus) {
  in_small_tmpfs([](const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
    ASSERT_EQ(::ftruncate(fd.get(), 3 * kMebibyte), 0);
    ASSERT_EQ(::fallocate(fd.get(), 0, 0, 3 * kMebibyte), 0);
    void* memory = ::mmap(nullptr, 3 * kMebibyte, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    std::memset(memory, 1, 3 * kMebibyte);
  });
}

TEST_F(SharedMemory, ThatWasNotReservedEndsItsWriterWhereItIsFull) {
  in_small_tmpfs([](const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
    ASSERT_EQ(::ftruncate(fd.get(), 8 * kMebibyte), 0);
    EXPECT_EQ(in_child([&] {
                ::signal(SIGBUS, SIG_DFL);
                void* memory =
                    ::mmap(nullptr, 8 * kMebibyte, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
                std::memset(memory, 1, 8 * kMebibyte);
              }),
              128 + SIGBUS);
  });
}

TEST_F(SharedMemory, ThatIsTruncatedUnderAMappingRaisesSigbus) {
  const UniqueFd fd(::memfd_create("truncated", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), kMebibyte), 0);
  EXPECT_EQ(in_child([&] {
              ::signal(SIGBUS, SIG_DFL);
              auto* memory = static_cast<volatile char*>(
                  ::mmap(nullptr, kMebibyte, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
              memory[kMebibyte - 1] = 1;
              if (::ftruncate(fd.get(), 4096) != 0) ::_exit(3);
              memory[0] = 1;
              memory[kMebibyte - 1] = 1;
            }),
            128 + SIGBUS);
}

TEST_F(SharedMemory, OutlivesItsNameAndDescriptorForAsLongAsItIsMapped) {
  const std::string name = "/parcompute-linux-test-" + std::to_string(::getpid());
  UniqueFd fd(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  ASSERT_TRUE(fd);
  ASSERT_EQ(::shm_unlink(name.c_str()), 0);
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  fd.reset();
  std::memset(memory, 7, 4096);
  EXPECT_EQ(static_cast<char*>(memory)[4095], 7);
  ::munmap(memory, 4096);
}

TEST_F(SharedMemory, OfADescriptorForReadingCannotBeMappedForWriting) {
  const TemporaryDirectory place;
  write_file(place / "file", std::string(4096, 'x'));
  const UniqueFd fd(::open((place / "file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
}

// ---- sealed memory

class SealedMemory : public DescriptorsKept {
 protected:
  static UniqueFd make() {
    UniqueFd fd(::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(fd.get(), kMebibyte), 0);
    EXPECT_EQ(::fchmod(fd.get(), 0600), 0);
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    return fd;
  }
  static UniqueFd open_again(const UniqueFd& fd, int how) {
    return UniqueFd(::open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), how | O_CLOEXEC));
  }
  // Whether a write lease is granted: given back at once.
  static bool is_only_one(const UniqueFd& fd) {
    const bool granted = ::fcntl(fd.get(), F_SETLEASE, F_WRLCK) == 0;
    if (granted) ::fcntl(fd.get(), F_SETLEASE, F_UNLCK);
    return granted;
  }
};

TEST_F(SealedMemory, RefusesToChangeItsLengthAndGivesPagesBackAllTheSame) {
  const UniqueFd fd = make();
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, kMebibyte), 0) << "inside, pages can be reserved";
  for (const off_t length : {off_t{0}, off_t{2 * kMebibyte}}) {
    EXPECT_EQ(::ftruncate(fd.get(), length), -1);
    EXPECT_EQ(errno, EPERM);
  }
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kMebibyte), 0);
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
  EXPECT_EQ(status.st_size, static_cast<off_t>(kMebibyte));
}

TEST_F(SealedMemory, GetsAWriteLeaseNotByItsFirstDescriptionButByOneOpenedAgain) {
  UniqueFd first = make();
  EXPECT_FALSE(is_only_one(first)) << "the kernel does not count it among the writers";
  const UniqueFd again = open_again(first, O_RDWR);
  first.reset();
  EXPECT_TRUE(is_only_one(again));
}

TEST_F(SealedMemory, GetsAWriteLeaseWhileNobodyElseHasOrMapsIt) {
  UniqueFd first = make();
  const UniqueFd own = open_again(first, O_RDWR);
  first.reset();
  for (const int how : {O_RDWR, O_RDONLY}) {
    UniqueFd other = open_again(own, how);
    EXPECT_FALSE(is_only_one(own));
    void* memory = ::mmap(nullptr, kMebibyte, PROT_READ, MAP_SHARED, other.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    other.reset();
    EXPECT_FALSE(is_only_one(own)) << "a mapping counts, too";
    ::munmap(memory, kMebibyte);
    EXPECT_TRUE(is_only_one(own));
  }
  const UniqueFd copy(::fcntl(own.get(), F_DUPFD_CLOEXEC, 3));
  EXPECT_TRUE(is_only_one(own)) << "a copy of the descriptor, as a worker or systemd has one, is the same description";
}

TEST_F(SealedMemory, OfMode0600CannotBeOpenedAgainByAnotherUserWhoHasADescriptor) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  const UniqueFd own = make();
  const UniqueFd read_only = open_again(own, O_RDONLY);
  EXPECT_EQ(in_child([&] {
              if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
              EXPECT_FALSE(open_again(read_only, O_RDWR));
              EXPECT_EQ(errno, EACCES);
              EXPECT_EQ(::fchmod(read_only.get(), 0666), -1);
              EXPECT_EQ(::mmap(nullptr, kMebibyte, PROT_READ | PROT_WRITE, MAP_SHARED, read_only.get(), 0), MAP_FAILED);
            }),
            0);
}

}  // namespace
}  // namespace parcompute::testing
