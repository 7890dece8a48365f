#include "tests/support/private_shm.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/os/system_error.h"

namespace parcompute::testing {
namespace {

constexpr const char* kPlace = "/dev/shm";

struct statvfs look() {
  struct statvfs shm {};
  if (::statvfs(kPlace, &shm) != 0) throw std::runtime_error("there is no /dev/shm");
  return shm;
}

void write_line(const char* file, const std::string& line) {
  std::ofstream(file) << line;
}

}  // namespace

std::string PrivateShm::enter(std::uint64_t bytes) {
  const auto cannot = [](const char* what) { return system_error(what, kPlace, errno).message; };
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (uid == 0) {
    home_ = UniqueFd(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    directory_ = std::filesystem::current_path();
    if (!home_) return cannot("remember the mounts around");
    if (::unshare(CLONE_NEWNS) != 0) {
      home_.reset();
      return cannot("have a mount namespace for");
    }
  } else {
    if (::testing::UnitTest::GetInstance()->test_suite_to_run_count() != 1)
      return "without root this process could not leave its small /dev/shm again: run the test by itself";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return cannot("have a namespace of users and mounts for");
    write_line("/proc/self/setgroups", "deny");
    write_line("/proc/self/uid_map", fmt::format("{0} {0} 1", uid));
    write_line("/proc/self/gid_map", fmt::format("{0} {0} 1", gid));
  }
  // What is mounted from here on is seen in here alone.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return cannot("keep private what is mounted at");
  if (::mount("tmpfs", kPlace, "tmpfs", MS_NOSUID | MS_NODEV, fmt::format("size={},mode=1777", bytes).c_str()) != 0)
    return cannot("mount a small tmpfs at");
  if (size() != bytes) throw std::runtime_error("/dev/shm is not the one that was just mounted");
  return "";
}

PrivateShm::~PrivateShm() {
  if (!home_) return;
  if (::setns(home_.get(), CLONE_NEWNS) != 0) ADD_FAILURE() << system_error("go back to the machine's own", kPlace, errno).message;
  std::error_code gone;
  std::filesystem::current_path(directory_, gone);  // it is the root after that
}

std::uint64_t PrivateShm::size() {
  const struct statvfs shm = look();
  return shm.f_blocks * shm.f_frsize;
}

std::uint64_t PrivateShm::free() {
  const struct statvfs shm = look();
  return shm.f_bavail * shm.f_frsize;
}

}  // namespace parcompute::testing
