// What the server tells, as text, and errors as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/cli/command.h"
#include "client/json/describe.h"

namespace parcompute::cli {

Value describe_error(std::string_view code, std::string_view message, int exit_code);

// "'a' (float64, 2000x2000)"
std::string array_label(const ArrayInfo& array);

// Columns, left-aligned but for those named in `right`; each row is a line.
std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& right = {});

}  // namespace parcompute::cli
