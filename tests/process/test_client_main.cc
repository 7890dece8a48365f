// parcompute-test-client PIPE VERB ...: does what the verb says, tells it to the pipe in one line, and waits
// to be killed.
//
//   hold SOCKET         an anonymous array, a named one ("kept"), an endless job, and a detached job that makes "picture"
//   read SOCKET         a session that waits for an endless job
//   embedded            connects as any program does, starting a server where none answers
//   wander SOCKET SEED  does one thing after the other, without end, and tells only what is wrong
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "client/cpp/parcompute.h"
#include "tests/fault/wanderer.h"

namespace parcompute {
namespace {

ConnectOptions at(const char* socket) {
  ConnectOptions options;
  options.socket = socket;
  options.start_embedded = false;
  return options;
}

// The blocks of a Nop take no time, but there are too many.
Nop endless() {
  return Nop{std::uint64_t{1} << 47};
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  using namespace parcompute;
  if (argc < 3) return 64;  // EX_USAGE
  const int pipe = std::atoi(argv[1]);
  const std::string verb = argv[2];
  const auto say_and_wait = [&](const std::string& words) {
    const std::string line = words + "\n";
    if (::write(pipe, line.data(), line.size()) < 0) std::abort();
    while (true) ::pause();
  };
  try {
    if (verb == "hold") {
      auto session = Session::connect(at(argv[3]));
      const auto anonymous = session.create("", DType::kFloat64, {1'000'000});
      session.create("kept", DType::kFloat64, {10});
      SubmitOptions detached;
      detached.detach = true;
      detached.output = "picture";
      auto lasting = session.submit(Mandelbrot{.nx = 200, .ny = 100, .max_iter = 100}, detached);
      auto going = session.submit(endless());
      say_and_wait(fmt::format("{} {}", lasting.id(), going.id()));
    } else if (verb == "read") {
      auto session = Session::connect(at(argv[3]));
      auto job = session.submit(endless());
      job.id();
      say_and_wait("waiting");
    } else if (verb == "embedded") {
      auto session = Session::connect();
      say_and_wait(std::to_string(session.status().server_pid));
    } else if (verb == "wander" && argc == 5) {
      testing::wander(argv[3], std::strtoull(argv[4], nullptr, 10), say_and_wait);
    }
  } catch (const Failure& failure) {
    say_and_wait(failure.what());
  }
  return 64;
}
