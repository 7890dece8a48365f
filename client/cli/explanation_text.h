// What `job explain` says, in sentences.
#pragma once

#include <string>

#include "client/cli/command.h"

namespace parcompute::cli {

std::string print_explanation(const Answer& answer);

}  // namespace parcompute::cli
