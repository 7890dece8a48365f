#include "common/os/atomic_file.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/process_state.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::in_child;
using testing::read_file;
using testing::write_file;
constexpr int kNoNamespaces = 77;
using Names = std::vector<std::string>;

class AtomicFileTest : public testing::DescriptorsKept {
 protected:
  static Result<void> write_text(const std::string& path, std::string_view text) {
    auto file = AtomicFile::create(path);
    if (!file) return fail(file.error());
    if (auto ok = file->write(std::as_bytes(std::span(text))); !ok) return ok;
    return file->commit();
  }
  static void expect_refused(const std::string& path, const std::string& why) {
    const auto written = write_text(path, "new");
    ASSERT_FALSE(written) << path;
    EXPECT_EQ(written.error().code, ErrorCode::kCannotCreate) << written.error().message;
    EXPECT_THAT(written.error().message, HasSubstr("'" + path + "'"));
    EXPECT_THAT(written.error().message, HasSubstr(why));
  }
  static mode_t mode(const std::string& path) {
    struct stat stat {};
    EXPECT_EQ(::stat(path.c_str(), &stat), 0);
    return stat.st_mode & 07777;
  }

  testing::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "x";
};

TEST_F(AtomicFileTest, TheFileAppearsAtCommit) {
  {
    auto file = AtomicFile::create(path_);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(std::as_bytes(std::span(std::string_view("hello")))));
    EXPECT_FALSE(std::filesystem::exists(path_));
    AtomicFile moved = *std::move(file);
    ASSERT_TRUE(moved.commit());
    EXPECT_EQ(read_file(path_), "hello");
  }
  EXPECT_EQ(directory_.names(), Names{"x"});
}

TEST_F(AtomicFileTest, WithoutCommitTheOldFileStays) {
  write_file(path_, "old");
  {
    auto file = AtomicFile::create(path_);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(std::as_bytes(std::span(std::string_view("new")))));
  }
  EXPECT_EQ(read_file(path_), "old");
  EXPECT_EQ(directory_.names(), Names{"x"});
}

TEST_F(AtomicFileTest, ModesFollowTheUmaskOrTheReplacedFile) {
  EXPECT_EQ(in_child([&] {
              ::umask(027);
              ASSERT_TRUE(write_text(path_, "new"));
              EXPECT_EQ(mode(path_), 0640u);
              ASSERT_EQ(::chmod(path_.c_str(), 0604), 0);
              ASSERT_TRUE(write_text(path_, "newer"));
              EXPECT_EQ(mode(path_), 0604u);
            }),
            0);
}

TEST_F(AtomicFileTest, ASymbolicLinkStaysAndItsFileIsReplaced) {
  ASSERT_EQ(::mkdir((directory_ / "there").c_str(), 0700), 0);
  write_file(directory_ / "there/y", "old");
  ASSERT_EQ(::symlink("there/y", path_.c_str()), 0);
  ASSERT_TRUE(write_text(path_, "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(read_file(directory_ / "there/y"), "new");
}

TEST_F(AtomicFileTest, TargetsThatAreNoRegularFilesAreRefused) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  expect_refused(path_, "no regular file");
  expect_refused(directory_.path(), "no regular file");
  expect_refused("/dev/null", "no regular file");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_EQ(directory_.names(), Names{"x"});
}

TEST_F(AtomicFileTest, TargetsThatCannotBeMadeAreRefused) {
  expect_refused("", "does not name a file");
  expect_refused(directory_ / "y/", "does not name a file");
  expect_refused(directory_ / "no/y", "No such file or directory");
  write_file(path_, "file");
  expect_refused(directory_ / "x/y", "Not a directory");
  expect_refused(directory_ / std::string(300, 'n'), "File name too long");
  EXPECT_EQ(directory_.names(), Names{"x"});
}

TEST_F(AtomicFileTest, WhoMayNotWriteIsToldSo) {
  write_file(path_, "old");
  ASSERT_EQ(::chmod(path_.c_str(), 0444), 0);
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  EXPECT_EQ(in_child([&] {
              if (::geteuid() == 0) {
                ASSERT_EQ(::setgid(65534), 0);
                ASSERT_EQ(::setuid(65534), 0);
              } else {
                ASSERT_EQ(::chmod(directory_.path().c_str(), 0555), 0);
              }
              expect_refused(path_, "Permission denied");
              expect_refused(directory_ / "y", "Permission denied");
            }),
            0);
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  EXPECT_EQ(directory_.names(), Names{"x"});
}

TEST_F(AtomicFileTest, AFileSizeLimitIsAnErrorAndNoSignal) {
  EXPECT_EQ(in_child([&] {
              const rlimit limit{1000, 1000};
              ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
              EXPECT_TRUE(write_text(directory_ / "small", "fits"));
              const auto written = write_text(path_, std::string(5000, 'x'));
              ASSERT_FALSE(written);
              EXPECT_EQ(written.error().system_errno, EFBIG);
              EXPECT_EQ(written.error().code, ErrorCode::kCannotCreate);
              sigset_t pending;
              ::sigpending(&pending);
              EXPECT_EQ(sigismember(&pending, SIGXFSZ), 0);
            }),
            0);
  EXPECT_EQ(directory_.names(), Names{"small"});
}

TEST_F(AtomicFileTest, AFullDiskLeavesNothingBehind) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small file system needs root";
  const std::string small = directory_ / "disk";
  ASSERT_EQ(::mkdir(small.c_str(), 0700), 0);
  const int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0) std::_Exit(kNoNamespaces);
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=64k"), 0);
    const std::string target = small + "/x";
    const auto written = write_text(target, std::string(1 << 20, 'x'));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().system_errno, ENOSPC);
    EXPECT_EQ(written.error().code, ErrorCode::kCannotCreate);
    EXPECT_THAT(written.error().message, HasSubstr("No space left"));
    EXPECT_TRUE(std::filesystem::is_empty(small));
    EXPECT_TRUE(write_text(target, "fits"));
  });
  if (status == kNoNamespaces) GTEST_SKIP() << "mount namespaces cannot be made here";
  EXPECT_EQ(status, 0);
}

TEST_F(AtomicFileTest, WhereNoNamelessFileCanGetANameARandomNameServes) {
  if (::geteuid() != 0) GTEST_SKIP() << "hiding /proc needs root";
  const int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0) std::_Exit(kNoNamespaces);
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", "/proc", "tmpfs", 0, "size=64k"), 0);
    {
      auto file = AtomicFile::create(path_);
      ASSERT_TRUE(file);
      EXPECT_EQ(directory_.names().size(), 1u);
      AtomicFile moved = *std::move(file);
      ASSERT_TRUE(moved.write(std::as_bytes(std::span(std::string_view("new")))));
    }
    EXPECT_TRUE(directory_.names().empty());
    ASSERT_TRUE(write_text(path_, "newer"));
    EXPECT_EQ(directory_.names(), Names{"x"});
    EXPECT_EQ(read_file(path_), "newer");
  });
  if (status == kNoNamespaces) GTEST_SKIP() << "mount namespaces cannot be made here";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace parcompute
