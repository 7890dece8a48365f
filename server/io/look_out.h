// LookOut: when the loop asks for events again and again for a moment, instead of sleeping until one comes.
//
// To wake a process that sleeps takes longer than a tiny job: who knows that an answer comes soon is better awake. That holds where
// a CPU is free. Where it is not, looking out keeps the CPU from who is to answer, shows in that it is in vain, and is done the more
// seldom the oftener that was so (as Linux' haltpoll governor does for a virtual machine's idle CPUs).
#pragma once

#include <algorithm>

namespace parcompute::server {

class LookOut {
 public:
  // An answer is expected. True: look out for it from now on.
  bool begin() {
    if (is_on_ || left_out_++ < to_leave_out_) return false;
    left_out_ = 0;
    return is_on_ = true;
  }
  // An answer came.
  void end_well() {
    if (!is_on_) return;
    is_on_ = false;
    to_leave_out_ /= 2;
  }
  void end_in_vain() {
    is_on_ = false;
    to_leave_out_ = std::min(2 * to_leave_out_ + 1, kMostLeftOut);
  }
  bool is_on() const { return is_on_; }

 private:
  static constexpr unsigned kMostLeftOut = 1023;
  bool is_on_ = false;
  unsigned left_out_ = 0, to_leave_out_ = 0;
};

}  // namespace parcompute::server
