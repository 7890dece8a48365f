// Memory given back by the last block of an operation that answers how long its result is.
#pragma once

#include <cstdint>

#include "worker/kernels/kernel.h"

namespace parcompute {

// Frees the output's whole pages behind its first `bytes`. Only memory is saved by it: where the file system will
// not, or nothing is behind the view, the pages stay.
void free_pages_behind(const View& output, std::uint64_t bytes);

// What the job answers: `length` as a uint64.
ScalarBytes length_bytes(std::uint64_t length);

}  // namespace parcompute
