// errno becomes an Error here, and nowhere else.
#pragma once

#include <string_view>

#include "common/base/error.h"

namespace parcompute {

// "cannot open 'x.npy': No such file or directory". The code follows from the errno (ENOENT is kNotFound, EACCES is
// kNotPermitted, ENOSPC is kOverBudget, ...); pass `code` where the caller knows better.
Error system_error(std::string_view operation, std::string_view subject, int error_number);
Error system_error(std::string_view operation, std::string_view subject, int error_number, ErrorCode code);

}  // namespace parcompute
