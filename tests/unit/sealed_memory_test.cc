#include "common/shm/sealed_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include <gmock/gmock.h>

#include "common/shm/segment.h"
#include "tests/support/process_state.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;

class SealedMemoryTest : public testing::DescriptorsKept {
 protected:
  static void expect_refused(const UniqueFd& fd, const std::string& words) {
    const auto memory = inspect_sealed_memory(fd.get(), "it");
    ASSERT_FALSE(memory) << words;
    EXPECT_EQ(memory.error().code, ErrorCode::kBadData);
    EXPECT_THAT(memory.error().message, HasSubstr(words));
  }
};

TEST_F(SealedMemoryTest, IsOfTheSizeAskedForAndKeepsIt) {
  for (const std::uint64_t bytes : {0, 4096, 10 << 20}) {
    const auto fd = create_sealed_memory("test", bytes);
    ASSERT_TRUE(fd);
    const auto memory = inspect_sealed_memory(fd->get(), "it");
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_EQ(memory->bytes, bytes);
    EXPECT_NE(::ftruncate(fd->get(), static_cast<off_t>(bytes) + 4096), 0);
    EXPECT_TRUE(reserve_pages(fd->get(), 0, bytes, "it"));
    EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(SealedMemoryTest, IsItsOwnInode) {
  const auto one = create_sealed_memory("test", 4096), other = create_sealed_memory("test", 4096);
  EXPECT_NE(inspect_sealed_memory(one->get(), "one")->inode, inspect_sealed_memory(other->get(), "other")->inode);
}

TEST_F(SealedMemoryTest, CountsAsOneDescriptionForLeases) {
  const auto fd = create_sealed_memory("test", 4096);
  EXPECT_EQ(::fcntl(fd->get(), F_SETLEASE, F_WRLCK), 0);
  ::fcntl(fd->get(), F_SETLEASE, F_UNLCK);
}

TEST_F(SealedMemoryTest, IsTakenForNothingElse) {
  expect_refused(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)), "no memory at all");
  expect_refused(UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), "no sealed memory");
  UniqueFd plain(::memfd_create("plain", MFD_CLOEXEC));
  expect_refused(plain, "others may open it");
  ASSERT_EQ(::fchmod(plain.get(), 0600), 0);
  expect_refused(plain, "its seals are missing");
  UniqueFd half(::memfd_create("half", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::fchmod(half.get(), 0600), 0);
  ASSERT_EQ(::fcntl(half.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL), 0);
  expect_refused(half, "its seals are missing");
  const auto good = create_sealed_memory("test", 4096);
  const std::string path = "/proc/self/fd/" + std::to_string(good->get());
  expect_refused(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), "not for reading and writing");
  expect_refused(UniqueFd(::open(path.c_str(), O_PATH | O_CLOEXEC)), "no sealed memory");
}

}  // namespace
}  // namespace parcompute
