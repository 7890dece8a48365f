// One element as a person types it, read exactly or refused.
#pragma once

#include <string_view>

#include "client/cpp/job.h"
#include "common/base/error.h"

namespace parcompute::cli {

// "300" for uint8, "1.5" for int64 and "1e400" for float64 are refused. Booleans: true, false, 1, 0. Complex:
// "1+2j",
// "(1+2j)", "2j", "1". Real and imaginary parts may be nan and inf.
Result<Scalar> parse_value(std::string_view text, DType dtype);

}  // namespace parcompute::cli
