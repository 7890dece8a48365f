// PeakMemory: how much more memory this process held at once since the object was made.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

namespace parcompute::testing {

class PeakMemory {
 public:
  PeakMemory() {
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
    before_ = kibibytes("VmRSS:");
  }
  std::size_t grown_mebibytes() const {
    const std::size_t peak = kibibytes("VmHWM:");
    return peak < before_ ? 0 : (peak - before_) / 1024;
  }

 private:
  static std::size_t kibibytes(const std::string& wanted) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
      if (std::size_t value = 0; word == wanted && status >> value) return value;
    return 0;
  }

  std::size_t before_ = 0;
};

}  // namespace parcompute::testing
