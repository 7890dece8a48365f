#include "common/os/system_error.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace parcompute {
namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return ErrorCode::kNotFound;
    case EEXIST: return ErrorCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::kNotPermitted;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return ErrorCode::kOverBudget;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE: return ErrorCode::kNoServer;
    default: return ErrorCode::kSystem;
  }
}

}  // namespace

Error system_error(std::string_view operation, std::string_view subject, int error_number) {
  return system_error(operation, subject, error_number, code_of(error_number));
}

Error system_error(std::string_view operation, std::string_view subject, int error_number, ErrorCode code) {
  // Whose limit it is, and what lifts it, few know.
  const std::string_view remedy = error_number == EMFILE ? " (for this process: close some, or raise the limit with 'ulimit -n')" : "";
  return Error{code, fmt::format("cannot {} '{}': {}{}", operation, subject, std::strerror(error_number), remedy), error_number};
}

}  // namespace parcompute
