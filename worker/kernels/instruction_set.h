// The instruction set of the vector kernels: the best that the CPU has, or the one that PARCOMPUTE_ISA names.
//
// Results are the same bits under each of them, so the choice is for tests and for measurements. It is made
// once, before the first kernel runs; the worker's main calls select_instruction_set() before the fork.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace parcompute {

// Reads PARCOMPUTE_ISA. Unset or empty: the best. An unknown name and a set that this CPU lacks are errors.
Result<void> select_instruction_set();

// By name: "sse2", "sse4", "avx2", "avx3" on x86; "" for the best.
Result<void> select_instruction_set(std::string_view name);

// What this CPU can run, slowest first.
std::vector<std::string_view> available_instruction_sets();
// The one in use.
std::string_view current_instruction_set();

}  // namespace parcompute
