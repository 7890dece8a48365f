// parcompute-worker: started by parcompute-server alone, as the forkserver of its workers.
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/base/log.h"
#include "common/os/system_error.h"
#include "common/os/thread_counts.h"
#include "common/shm/mapping.h"
#include "proto/version.h"
#include "worker/forkserver.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/instruction_set.h"

int main(int argc, char** argv) {
  using namespace parcompute;
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("parcompute-worker %.*s\n", static_cast<int>(kProgramVersion.size()), kProgramVersion.data());
    return EXIT_SUCCESS;
  }
  const auto descriptor = [&](int at, const char* option) {
    int fd = -1;
    const char* const text = argc == 5 && std::strcmp(argv[at], option) == 0 ? argv[at + 1] : "";
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), fd);
    return error == std::errc{} && *end == '\0' ? fd : -1;
  };
  const int socket = descriptor(1, "--socket-fd"), redo = descriptor(3, "--redo-fd");
  if (socket < 0 || redo < 0) {
    std::fprintf(stderr, "parcompute-worker is started by parcompute-server; there is no use in starting it by hand\n");
    return 64;  // EX_USAGE
  }
  log_start("worker", LogLevel::kWarning);
  // Ctrl-C and a hangup are for the server, which then ends its workers.
  for (const int number : {SIGINT, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
  if (const auto chosen = select_instruction_set(); !chosen) {
    log_error("{}", chosen.error().message);
    return 78;  // EX_CONFIG
  }
  hold_libraries_at_one_thread();
  hold_blas_at_one_thread();
  const UniqueFd redo_fd(redo);
  struct stat status {};
  if (::fstat(redo, &status) != 0) {
    log_error("{}", system_error("look at", "the redo logs' memory", errno).message);
    return 71;  // EX_OSERR
  }
  const auto logs = Mapping::map(redo, 0, static_cast<std::uint64_t>(status.st_size), Access::kReadWrite, "the redo logs");
  if (!logs) {
    log_error("{}", logs.error().message);
    return 71;
  }
  run_forkserver(Channel(UniqueFd(socket)), {logs->data(), logs->size()});
  return EXIT_SUCCESS;
}
