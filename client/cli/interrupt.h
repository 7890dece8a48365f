// Ctrl-C while something is waited for.
#pragma once

namespace parcompute::cli {

// While it lives the first SIGINT is only noted, and a second one ends the program at once. Elsewhere SIGINT
// keeps its usual effect. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  bool pressed() const;
};

// Thrown out of a progress callback to leave the wait.
struct Interrupted {};

}  // namespace parcompute::cli
