#include "server/io/leftovers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <span>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/os/unique_fd.h"
#include "common/shm/segment.h"
#include "common/shm/segment_header.h"
#include "server/io/backing.h"

namespace parcompute::server {
namespace {

constexpr std::size_t kDigits = 16;  // of an instance, and of a segment's random part

// Of names that segments have; nothing of all others.
std::string_view instance_in(std::string_view name, std::string_view user_prefix) {
  name.remove_prefix(user_prefix.size());
  const bool is_segments = name.size() == 2 * kDigits + 1 && name[kDigits] == '-' && name.find_first_not_of("0123456789abcdef-") == name.npos;
  return is_segments ? name.substr(0, kDigits) : std::string_view();
}

// Instances that somebody serves, as far as this network namespace knows their sockets. Their segments would be left alone in any case,
// but to look at one is to have it open, which its server takes for a client's having it (SegmentStore::custody).
std::set<std::string> living_instances() {
  std::set<std::string> living;
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);)
    if (const auto path = line.find('/'); path != line.npos) living.insert(instance_of(std::string_view(line).substr(path)));
  return living;
}

// No array that somebody may ask for later: of the server that is gone, or of a newer one.
bool is_no_array(int fd, const std::string& name, std::uint64_t size) {
  SegmentHeaderPage page{};
  const ssize_t got = ::pread(fd, page.data(), page.size(), 0);
  if (got < 0) return false;
  const auto header = decode_segment_header(std::span(page).first(static_cast<std::size_t>(got)), name, size);
  if (!header) return header.error().code == ErrorCode::kBadData;
  return header->name.empty();
}

bool is_left_over(const std::string& name) {
  const auto is_ours = [](const struct stat& status) { return S_ISREG(status.st_mode) && status.st_uid == ::geteuid(); };
  const std::string path = "/dev/shm/" + name;
  struct stat status {};
  // Before it is opened: somebody else's file may make that wait. So may a lease that another server has on it at this moment.
  if (::lstat(path.c_str(), &status) != 0 || !is_ours(status)) return false;
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd || ::fstat(fd.get(), &status) != 0 || !is_ours(status)) return false;
  if (::fcntl(fd.get(), F_SETLEASE, F_WRLCK) != 0) return false;  // somebody has it
  const bool is_left = is_no_array(fd.get(), name, static_cast<std::uint64_t>(status.st_size));
  ::fcntl(fd.get(), F_SETLEASE, F_UNLCK);
  return is_left;
}

}  // namespace

void take_leftovers_away(std::string_view own) {
  const std::string user_prefix = fmt::format("parcompute-{}-", ::geteuid());
  const auto names = list_segments(user_prefix);
  if (!names) return log_warning("{}; what dead servers left in it stays", names.error().message);
  std::set<std::string> living;
  std::size_t count = 0;
  for (const std::string& name : *names) {
    const std::string instance(instance_in(name, user_prefix));
    if (instance.empty() || name.starts_with(own)) continue;
    if (living.empty()) living = living_instances();
    if (living.contains(instance) || !is_left_over(name)) continue;
    if (auto gone = unlink_segment(name); gone) ++count;
    else log_warning("{}", gone.error().message);
  }
  if (count > 0) log_info("{} segments of servers that are dead, and of no array, are removed", count);
}

}  // namespace parcompute::server
