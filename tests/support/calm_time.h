// Time as a machine with CPUs to spare would have it: for what is promised within seconds, and held against them beside other tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>

namespace parcompute::testing {

// The time in which something could run and waited for a CPU (the kernel's pressure stall information, Linux 4.20, in us); none where
// the kernel keeps no such account: then all time counts.
inline std::chrono::microseconds time_short_of_cpus() {
  std::ifstream pressure("/proc/pressure/cpu");  // some avg10=0.00 avg60=0.00 avg300=0.00 total=126030683
  std::string word;
  while (pressure >> word)
    if (word.starts_with("total=")) return std::chrono::microseconds(std::stoull(word.substr(6)));
  return {};
}

// Monotonic; its zero is anywhere.
inline std::chrono::microseconds calm_time() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()) - time_short_of_cpus();
}

}  // namespace parcompute::testing
