#include "client/cli/exit_code.h"

namespace parcompute::cli {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kComputationFailed:
      return kExitComputationFailed;
    case ErrorCode::kInvalidArgument:
      return kExitBadData;
    case ErrorCode::kBadData:
      return kExitBadData;
    case ErrorCode::kNotFound:
      return kExitNoInput;
    case ErrorCode::kAlreadyExists:
      return kExitCannotCreate;
    case ErrorCode::kNoServer:
      return kExitNoServer;
    case ErrorCode::kCannotCreate:
      return kExitCannotCreate;
    case ErrorCode::kOverBudget:
      return kExitOverBudget;
    case ErrorCode::kProtocolVersion:
      return kExitProtocolVersion;
    case ErrorCode::kNotPermitted:
      return kExitNotPermitted;
    case ErrorCode::kTimeout:
      return kExitTimeout;
    case ErrorCode::kCancelled:
      return kExitCancelled;
    case ErrorCode::kUnsupported:
      return kExitBadData;
    case ErrorCode::kSystem:
      return kExitSystem;
  }
  return kExitSystem;  // a newer server's code, which this version does not know
}

}  // namespace parcompute::cli
