#include "tests/support/test_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "common/os/child_process.h"

namespace parcompute::testing {

TestClient::TestClient(const std::vector<std::string>& arguments,
                       const std::vector<std::string>& environment) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pipe_.reset(pipe[0]);
  const UniqueFd write_end(pipe[1]);
  SpawnOptions options;
  options.inherited = {write_end.get()};
  options.environment = environment;
  std::vector<std::string> words{std::to_string(write_end.get())};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto program = find_program("parcompute-test-client", "PARCOMPUTE_TEST_CLIENT");
  if (!program) throw std::runtime_error(program.error().message);
  const auto pid = spawn(*program, words, options);
  if (!pid) throw std::runtime_error(pid.error().message);
  pid_ = *pid;
}

std::string TestClient::words() {
  std::string words;
  std::array<char, 256> buffer;
  while (!words.ends_with('\n')) {
    const ssize_t got = ::read(pipe_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("the test client ended early");
    words.append(buffer.data(), static_cast<std::size_t>(got));
  }
  words.pop_back();
  return words;
}

std::string TestClient::last_words() {
  std::string words;
  std::array<char, 256> buffer;
  while (true) {
    const ssize_t got = ::read(pipe_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return words;
    words.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

void TestClient::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

}  // namespace parcompute::testing
