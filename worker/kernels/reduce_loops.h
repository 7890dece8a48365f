// Adding rows of elements to the words of a reduction's columns, by the instruction set in use.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/expression/program.h"

namespace parcompute {

// What is added: the elements of x, or what x and y give, computed on the way so that no loop of its own writes it first.
enum class Addend : std::uint8_t {
  kElement,            // x
  kProduct,            // x y
  kSquaredDifference,  // (x - y)^2
  kDistance,           // |x - y|
};

// `rows` rows of `columns` elements (of complex sums: of components), `stride` elements apart. Aligned.
struct RowsToAdd {
  const std::byte* x = nullptr;
  std::uint64_t rows = 0;
  std::uint64_t stride = 0;
  std::size_t columns = 0;
  // Of the first row's first element, and what a row and a column add to it: for reductions that tell positions.
  std::int64_t index = 0, index_per_row = 0, index_per_column = 0;
  // Deviations (kVar): from what; one for each column.
  const double* centres = nullptr;
  // As x, for addends of two; may be x.
  const std::byte* y = nullptr;
};

// `words` holds one array of `width` words for each word of the reducer's partial result (reduce_policies.h).
using AddRows = void (*)(void* words, std::size_t width, const RowsToAdd& rows);

// Of kVar: the sums of the deviations of float32 or float64 components from their centres, and of their squares.
AddRows find_add_rows(Reducer reducer, DType dtype);
// Sums (kSum) of what an addend makes of float32 or float64 elements. The bits are those of the separate loops.
AddRows find_add_addends(Addend addend, DType dtype);
// Sums of float32 or float64 components in one word, rounded as they go: for a centre that need not be exact.
AddRows find_add_plainly(DType dtype);

}  // namespace parcompute
