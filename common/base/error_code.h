// ErrorCode: what kind of trouble, as a stable number.
#pragma once

#include <cstdint>
#include <string_view>

namespace parcompute {

// These numbers travel in messages: add at the end, never reuse.
enum class ErrorCode : std::uint32_t {
  kComputationFailed = 1,  // the job ran and failed
  kInvalidArgument = 2,    // the request makes no sense: unknown operation, mismatched shapes
  kBadData = 3,            // a file's or message's bytes are not what they claim to be
  kNotFound = 4,           // no such array, job or file
  kAlreadyExists = 5,      // the name is taken
  kNoServer = 6,           // nobody answers, or the server went away
  kCannotCreate = 7,       // a file, socket or segment cannot be made
  kOverBudget = 8,         // memory, quota or table full
  kProtocolVersion = 9,    // client and server do not speak the same version
  kNotPermitted = 10,      // this user may not
  kTimeout = 11,           // the time given has passed
  kCancelled = 12,         // someone cancelled the job
  kUnsupported = 13,       // a valid request that this version does not serve
  kSystem = 14,            // any other refusal of the operating system
};

// "over budget", "not found", ...: a code's name in logs and JSON.
std::string_view error_code_name(ErrorCode code);
// False for numbers that this version does not know (a newer peer's).
bool is_known_error_code(std::uint32_t number);

}  // namespace parcompute
