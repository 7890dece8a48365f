#include "client/cpp/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "client/cpp/wire.h"
#include "common/base/utf8.h"
#include "common/os/child_process.h"
#include "common/os/socket_path.h"
#include "common/os/system_error.h"
#include "common/os/unix_socket.h"

namespace parcompute {
namespace {

constexpr int kStartPatienceMs = 30'000;
constexpr int kEndPatienceMs = 5'000;
constexpr int kEndPauseMs = 5;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// A descriptor for another program, which has its own idea of 0, 1 and 2: this one may have some of them closed.
UniqueFd out_of_the_way(UniqueFd fd) {
  if (!fd || fd.get() > STDERR_FILENO) return fd;
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved) throw_failure(system_error("duplicate", "a descriptor", errno));
  return moved;
}

Pipe make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) throw_failure(system_error("make", "a pipe", errno));
  UniqueFd read(fds[0]), write(fds[1]);
  return {out_of_the_way(std::move(read)), out_of_the_way(std::move(write))};
}

// What the server writes to its --ready-fd: "ready", or an error's code and words. Nothing where it takes too long.
std::optional<std::string> read_words(int fd) {
  std::string words;
  std::array<char, 1024> buffer;
  while (true) {
    pollfd wait{fd, POLLIN, 0};
    const int ready = ::poll(&wait, 1, kStartPatienceMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return std::nullopt;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return words;
    words.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// Whether a child has ended, or does within so long; it is not reaped.
bool ends_soon(pid_t pid, int patience_ms) {
  for (int waited = 0; waited <= patience_ms; waited += kEndPauseMs) {
    siginfo_t information{};
    const int outcome = ::waitid(P_PID, static_cast<id_t>(pid), &information, WEXITED | WNOHANG | WNOWAIT);
    if (outcome == 0 && information.si_pid == pid) return true;
    // The program ignores SIGCHLD: the kernel has reaped it, and the number may be another process's by now.
    if (outcome != 0 && errno == ECHILD) return true;
    ::poll(nullptr, 0, kEndPauseMs);
  }
  return false;
}

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) last = std::move(line);
  return to_utf8(last);
}

// `log`: the file that it writes its messages to; empty: they go where this process's do.
pid_t start(const ServerOptions& options, const std::filesystem::path& socket, std::vector<std::string> arguments, SpawnOptions spawn_options,
            const std::string& log) {
  const auto program = value_or_throw(find_program("parcompute-server", "PARCOMPUTE_SERVER"));
  Pipe ready = make_pipe();
  arguments.insert(arguments.end(), {"--socket", socket.native(), "--ready-fd", fmt::format("{}", ready.write.get())});
  if (options.workers > 0) arguments.insert(arguments.end(), {"--workers", fmt::format("{}", options.workers)});
  if (options.memory_bytes > 0) arguments.insert(arguments.end(), {"--memory", fmt::format("{}", options.memory_bytes)});
  if (options.spare_bytes) arguments.insert(arguments.end(), {"--spare-memory", fmt::format("{}", *options.spare_bytes)});
  if (options.hyperthreads) arguments.emplace_back("--hyperthreads");
  if (options.pinning != ServerOptions::Pinning::kWhereOwn) arguments.emplace_back(options.pinning == ServerOptions::Pinning::kAlways ? "--pin" : "--no-pin");
  spawn_options.inherited.push_back(ready.write.get());
  spawn_options.new_session = true;
  const pid_t pid = value_or_throw(spawn(program, arguments, spawn_options));
  ready.write.reset();
  const auto answer = read_words(ready.read.get());
  if (answer == "ready") return pid;

  // It has given up, or has to; do not leave it as a zombie. One that closed its pipe and lives on could not say that it serves.
  if (!ends_soon(pid, answer ? kEndPatienceMs : 0)) ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!answer)
    throw Failure(ErrorCode::kNoServer, fmt::format("'{}' did not start within {} s and was ended; run it by hand to see why", program.native(), kStartPatienceMs / 1000));
  const std::string& words = *answer;
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), code);
  if (error == std::errc{} && is_known_error_code(code) && *end == ' ')
    throw Failure(static_cast<ErrorCode>(code), std::string(end + 1, words.data() + words.size()));
  throw Failure(ErrorCode::kNoServer, fmt::format("'{}' ended before it served; {}", program.native(),
                                                  log.empty() ? "it said why above" : fmt::format("its last words in '{}' are: {}", log, last_line(log))));
}

}  // namespace

void start_server(const ServerOptions& options) {
  const auto socket = options.socket.empty() ? own_socket_path() : options.socket;
  value_or_throw(check_socket_path(socket));
  value_or_throw(make_socket_directory(socket.parent_path()));
  const std::string log_path = socket.native() + ".log";
  UniqueFd opened(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  // Somebody else's would tell them what is logged; and a FIFO would keep the server waiting for whoever reads it.
  if (struct stat status {}; opened ? ::fstat(opened.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != ::geteuid() : errno == ENXIO)
    throw Failure(ErrorCode::kCannotCreate, fmt::format("the server's log '{}' is no regular file of uid {}: remove it, or choose another socket", log_path, ::geteuid()));
  if (!opened) throw_failure(system_error("open the server's log", log_path, errno, ErrorCode::kCannotCreate));
  const UniqueFd log = out_of_the_way(std::move(opened));
  SpawnOptions spawn_options;
  spawn_options.error_output = log.get();
  std::vector<std::string> arguments;
  if (options.idle_seconds) arguments = {"--idle-timeout", fmt::format("{}", *options.idle_seconds)};
  start(options, socket, std::move(arguments), std::move(spawn_options), log_path);
}

struct PrivateServer::State {
  std::filesystem::path socket;
  UniqueFd lifeline;  // its end tells the server to leave
  pid_t pid = 0;
  pid_t owner = ::getpid();

  ~State() {
    lifeline.reset();
    // A child of fork() has the lifeline, too: to close it tells the server nothing while the other does not, and the server is the parent's to end.
    if (pid == 0 || owner != ::getpid()) return;
    ::kill(pid, SIGTERM);  // not reaped: the number is its own
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

PrivateServer::PrivateServer(const ServerOptions& options) : state_(std::make_unique<State>()) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const bool has_runtime = runtime != nullptr && *runtime != '\0' && ::access(runtime, W_OK) == 0;
  // mkdtemp() puts its own letters in place of the six.
  std::string directory = fmt::format("{}/parcompute-XXXXXX", has_runtime ? runtime : "/tmp");
  if (options.socket.empty()) {
    if (::mkdtemp(directory.data()) == nullptr) throw_failure(system_error("make directory", directory, errno, ErrorCode::kCannotCreate));
    state_->socket = std::filesystem::path(directory) / "control.sock";
  } else {
    state_->socket = options.socket;
  }
  Pipe lifeline = make_pipe();
  SpawnOptions spawn_options;
  spawn_options.inherited = {lifeline.read.get()};
  try {
    state_->pid = start(options, state_->socket, {"--lifeline-fd", fmt::format("{}", lifeline.read.get()), "--drop-arrays-at-exit"},
                        std::move(spawn_options), "");
  } catch (...) {
    if (options.socket.empty()) ::rmdir(directory.c_str());
    throw;
  }
  state_->lifeline = std::move(lifeline.write);
}

PrivateServer::PrivateServer(PrivateServer&&) noexcept = default;
PrivateServer::~PrivateServer() = default;

const std::filesystem::path& PrivateServer::socket() const {
  return state_->socket;
}

}  // namespace parcompute
