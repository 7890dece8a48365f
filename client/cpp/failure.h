// Failure: what every call of the C++ client throws.
#pragma once

#include <stdexcept>
#include <string>

#include "common/base/error_code.h"

namespace parcompute {

// what() is a whole sentence for a person: what happened, to what, and what to do.
class Failure : public std::runtime_error {
 public:
  Failure(ErrorCode code, const std::string& message, int system_errno = 0)
      : std::runtime_error(message), code_(code), system_errno_(system_errno) {}

  ErrorCode code() const noexcept { return code_; }
  int system_errno() const noexcept { return system_errno_; }  // 0 where the system was not asked

 private:
  ErrorCode code_;
  int system_errno_;
};

}  // namespace parcompute
