// parcompute-worker: started by parcompute-server alone, as the forkserver of its workers.
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/base/log.h"
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
  int socket = -1;
  const char* const text = argc == 3 && std::strcmp(argv[1], "--socket-fd") == 0 ? argv[2] : "";
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), socket);
  if (error != std::errc{} || *end != '\0' || socket < 0) {
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
  hold_blas_at_one_thread();
  run_forkserver(Channel(UniqueFd(socket)));
  return EXIT_SUCCESS;
}
