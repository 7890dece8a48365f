// Crew: plain processes, one per worker, that do a given piece of work at the same moment, again and again.
//
// What the service is measured against: the same work by the same number of processes with nothing around it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "common/os/unix_socket.h"

namespace parcompute::bench {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Crew {
 public:
  // Forks `members` processes; each calls prepare(member) once and work(member) for every round. To be made before this
  // process has threads or has used BLAS.
  Crew(unsigned members, const std::function<void(unsigned)>& prepare, const std::function<void(unsigned)>& work) {
    for (unsigned member = 0; member < members; ++member) {
      auto pair = make_socket_pair();
      if (!pair) fail(pair.error().message.c_str());
      const pid_t pid = ::fork();
      if (pid < 0) fail("fork failed");
      if (pid == 0) {
        for (Member& other : members_) other.socket.reset();
        pair->first.reset();
        prepare(member);
        char word = 'r';
        tell(pair->second.get(), word);
        while (::read(pair->second.get(), &word, 1) == 1) {
          work(member);
          tell(pair->second.get(), word);
        }
        ::_exit(0);
      }
      members_.push_back({std::move(pair->first), pid});
    }
    for (const Member& member : members_) hear(member.socket.get());
  }
  ~Crew() {
    for (Member& member : members_) {
      member.socket.reset();
      ::waitpid(member.pid, nullptr, 0);
    }
  }
  Crew(const Crew&) = delete;

  // Seconds from the first start to the last end.
  double round() {
    const auto start = std::chrono::steady_clock::now();
    for (const Member& member : members_) tell(member.socket.get(), 'g');
    for (const Member& member : members_) hear(member.socket.get());
    return seconds_since(start);
  }

 private:
  struct Member {
    UniqueFd socket;
    pid_t pid;
  };
  [[noreturn]] static void fail(const char* why) {
    std::fprintf(stderr, "crew: %s\n", why);
    std::exit(1);
  }
  static void tell(int socket, char word) {
    if (::write(socket, &word, 1) != 1) ::_exit(1);
  }
  static void hear(int socket) {
    char word = 0;
    if (::read(socket, &word, 1) != 1) fail("a member ended");
  }

  std::vector<Member> members_;
};

}  // namespace parcompute::bench
