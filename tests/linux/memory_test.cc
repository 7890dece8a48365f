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

}  // namespace
}  // namespace parcompute::testing
