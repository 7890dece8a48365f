#include "tests/support/service_manager.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "common/os/child_process.h"
#include "tests/support/raw_message.h"

extern char** environ;

namespace parcompute::testing {
namespace {

constexpr int kFirstListenFd = 3;
// Where nothing else is in the way of the numbers that a server expects.
constexpr int kOutOfTheWay = 1000;
constexpr std::string_view kMark = "X_MARK";

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long a path for a socket: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

UniqueFd bound(int kind, const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, kind | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("cannot bind " + path);
  return fd;
}

int exit_status(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ServiceManager::ServiceManager(std::filesystem::path socket, std::size_t room) : socket_(std::move(socket)), room_(room) {
  std::filesystem::create_directories(socket_.parent_path());
  listener_ = bound(SOCK_SEQPACKET, socket_.native());
  // SocketMode=0660 and SocketGroup=, as far as a test may go.
  std::filesystem::permissions(socket_, std::filesystem::perms::all);
  if (::listen(listener_.get(), SOMAXCONN) != 0) throw std::runtime_error("cannot listen at " + socket_.native());
  notifications_ = bound(SOCK_DGRAM, directory_ / "notify");
  thread_ = std::thread([this] { listen_to_notifications(); });
}

ServiceManager::~ServiceManager() {
  kill();
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  catch_up();
  thread_.join();
  ::unlink(socket_.c_str());
}

bool ServiceManager::start(const std::vector<std::string>& options) {
  catch_up();
  {
    const std::lock_guard lock(mutex_);
    is_ready_ = false;
  }
  const auto program = find_program("parcompute-server", "PARCOMPUTE_SERVER");
  if (!program) throw std::runtime_error(program.error().message);

  std::vector<UniqueFd> passed;
  std::string names = "control";
  passed.emplace_back(::fcntl(listener_.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
  for (const Stored& stored : store_) {
    passed.emplace_back(::fcntl(stored.fd.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
    names += ":" + stored.name;
  }
  std::vector<std::string> words{program->native(), "--systemd"};
  words.insert(words.end(), options.begin(), options.end());
  // The child writes its number into the last one: systemd's library compares.
  std::vector<std::string> variables{"NOTIFY_SOCKET=" + (directory_ / "notify"), fmt::format("FDSTORE={}", room_), fmt::format("LISTEN_FDS={}", passed.size()),
                                     "LISTEN_FDNAMES=" + names, "LISTEN_PID=" + std::string(20, '\0')};
  std::vector<char*> arguments, environment;
  for (std::string& word : words) arguments.push_back(word.data());
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  for (std::string& variable : variables) environment.push_back(variable.data());
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  std::string& own_pid = variables.back();
  char* const digits = own_pid.data() + std::strlen("LISTEN_PID=");

  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {  // other threads may be holding locks: nothing but system calls from here on
    std::to_chars(digits, own_pid.data() + own_pid.size(), ::getpid());
    int next = kFirstListenFd;
    for (const UniqueFd& fd : passed) ::dup2(fd.get(), next++);
    ::close_range(static_cast<unsigned>(next), ~0U, 0);
    ::setsid();
    const rlimit limit{open_files_, open_files_};
    if (open_files_ > 0 && ::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(126);
    ::execve(arguments[0], arguments.data(), environment.data());
    ::_exit(127);
  }
  // It says READY=1, or ends.
  while (true) {
    catch_up();
    {
      const std::lock_guard lock(mutex_);
      if (is_ready_) return true;
    }
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == pid_) return false;
    ::poll(nullptr, 0, 1);
  }
}

void ServiceManager::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
  wait();
}

int ServiceManager::terminate() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
  return wait();
}

int ServiceManager::wait() {
  if (pid_ <= 0) return 0;
  const int status = exit_status(pid_);
  pid_ = 0;
  catch_up();
  return status;
}

std::vector<std::string> ServiceManager::stored_names() {
  catch_up();
  std::vector<std::string> names;
  const std::lock_guard lock(mutex_);
  for (const Stored& stored : store_) names.push_back(stored.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<ServiceManager::Stored>& ServiceManager::store() {
  catch_up();
  return store_;
}

void ServiceManager::catch_up() {
  const UniqueFd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(directory_ / "notify");
  std::unique_lock lock(mutex_);
  const std::uint64_t mark = ++marks_sent_;
  lock.unlock();
  if (::sendto(sender.get(), kMark.data(), kMark.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw std::runtime_error("cannot reach the notifications");
  lock.lock();
  taken_.wait(lock, [&] { return marks_seen_ >= mark; });
}

void ServiceManager::listen_to_notifications() {
  while (true) {
    std::array<char, 4096> text;
    std::array<std::byte, 4096> control;
    iovec vector{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(notifications_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    std::vector<UniqueFd> fds;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      std::vector<int> numbers((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      std::memcpy(numbers.data(), CMSG_DATA(header), numbers.size() * sizeof(int));
      for (const int number : numbers) fds.emplace_back(number);
    }
    const std::lock_guard lock(mutex_);
    if (got >= 0) take(std::string(text.data(), static_cast<std::size_t>(got)), std::move(fds));
    taken_.notify_all();
    if (got < 0 || is_ending_) {
      marks_seen_ = ~std::uint64_t{0};
      return;
    }
  }
}

void ServiceManager::take(const std::string& state, std::vector<UniqueFd> fds) {
  if (state == kMark) ++marks_seen_;
  std::istringstream lines(state);
  std::string name;
  bool keep = false, remove = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "READY=1") is_ready_ = true;
    if (line == "FDSTORE=1") keep = true;
    if (line == "FDSTOREREMOVE=1") remove = true;
    if (line.starts_with("FDNAME=")) name = line.substr(std::strlen("FDNAME="));
  }
  if (remove) std::erase_if(store_, [&](const Stored& stored) { return stored.name == name; });
  if (!keep) return;
  for (UniqueFd& fd : fds)
    if (store_.size() < room_) store_.push_back({name, std::move(fd)});
}

}  // namespace parcompute::testing
