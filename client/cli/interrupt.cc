#include "client/cli/interrupt.h"

#include <unistd.h>
#include <csignal>

#include "client/cli/exit_code.h"

namespace parcompute::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;
struct sigaction before;

void on_interrupt(int) {
  if (interrupted != 0) _exit(kExitCancelled);
  interrupted = 1;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupted = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, nullptr, &before);
  // A program that was started with SIGINT ignored (in the background of a script) leaves it so.
  if (before.sa_handler != SIG_IGN) sigaction(SIGINT, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before, nullptr);
}

bool InterruptGuard::pressed() const {
  return interrupted != 0;
}

}  // namespace parcompute::cli
