// Gather and scatter: between elements with any strides and one dense run, in C order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/array/array_spec.h"

namespace parcompute {

// Copies the elements [first, first + count) of `spec`, counted in C order, to `to`. `data` is the array's
// first data byte, as in View; the elements may lie at any alignment.
void gather(const ArraySpec& spec, const std::byte* data, std::uint64_t first, std::uint64_t count,
            std::byte* to);

// The way back: elements of a dense run go to the elements [first, first + count) of `spec`.
void scatter(const ArraySpec& spec, std::byte* data, std::uint64_t first, std::uint64_t count,
             const std::byte* from);

// The same elements in the same order with as few axes as can be: those of one element are dropped, and neighbours that lie
// one behind the other become one.
ArraySpec coalesced(const ArraySpec& spec);

}  // namespace parcompute
