#include "common/base/error.h"

namespace parcompute {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kComputationFailed: return "computation failed";
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kBadData: return "bad data";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kAlreadyExists: return "already exists";
    case ErrorCode::kNoServer: return "no server";
    case ErrorCode::kCannotCreate: return "cannot create";
    case ErrorCode::kOverBudget: return "over budget";
    case ErrorCode::kProtocolVersion: return "protocol version";
    case ErrorCode::kNotPermitted: return "not permitted";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kSystem: return "system error";
  }
  return "error of a newer version";
}

bool is_known_error_code(std::uint32_t number) {
  return number >= static_cast<std::uint32_t>(ErrorCode::kComputationFailed) &&
         number <= static_cast<std::uint32_t>(ErrorCode::kSystem);
}

}  // namespace parcompute
