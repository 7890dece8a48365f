// float16, which is read and never computed with.
#pragma once

#include <cstddef>

namespace parcompute {

// Writes `count` float16 elements at `from`, in either byte order and at any alignment, as the float32 that they are.
// NaNs keep their bits, as NumPy's do.
void widen_halves(const std::byte* from, std::size_t count, bool swap_bytes, std::byte* to);

}  // namespace parcompute
