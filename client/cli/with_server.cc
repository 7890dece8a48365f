#include "client/cli/with_server.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "common/os/system_error.h"

namespace parcompute::cli {
namespace {

constexpr std::array<int, 6> kForwarded{SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

volatile std::sig_atomic_t program_pid = 0;

// The terminal (SI_KERNEL) signals the whole group; anyone else meant the program and knew only us.
void forward(int number, siginfo_t* from, void*) {
  const int error = errno;
  if (from->si_code != SI_KERNEL && program_pid > 0) kill(program_pid, number);
  errno = error;
}

// Signals wait while the program is being started, so that none is lost between its start and program_pid.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : kForwarded) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_;
};

// posix_spawnp's answer: 0 or an errno.
int spawn(const std::vector<std::string>& program, const sigset_t& mask, pid_t& pid) {
  std::vector<char*> words;
  for (const std::string& word : program) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // The program begins with the signals that we began with: this client ignores SIGPIPE and its handlers do
  // not survive exec.
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const int error = posix_spawnp(&pid, words[0], nullptr, &attributes, words.data(), environ);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

int run_program(const std::vector<std::string>& program) {
  pid_t pid = 0;
  {
    const BlockedSignals blocked;
    if (const int error = spawn(program, blocked.before(), pid); error != 0) {
      tell("parcompute-client: " + system_error("run", program[0], error).message);
      return error == ENOENT ? kExitNoProgram : kExitNotExecutable;
    }
    program_pid = pid;
    struct sigaction action {};
    action.sa_sigaction = forward;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    for (const int number : kForwarded) sigaction(number, &action, nullptr);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  program_pid = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace parcompute::cli
