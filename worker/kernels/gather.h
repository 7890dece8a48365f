// Gather: elements of an array with any strides, copied in C order into one dense run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/array/array_spec.h"

namespace parcompute {

// Copies the elements [first, first + count) of `spec`, counted in C order, to `to`. `data` is the array's
// first data byte, as in View; the elements may lie at any alignment.
void gather(const ArraySpec& spec, const std::byte* data, std::uint64_t first, std::uint64_t count,
            std::byte* to);

// The same elements in the same order with as few axes as can be: those of one element are dropped, and neighbours that lie
// one behind the other become one.
ArraySpec coalesced(const ArraySpec& spec);

}  // namespace parcompute
