// Sums of products over vectors in memory, by the instruction set in use: what dot, vecdot and products with a vector
// are made of.
//
// How a float sum is defined: products of a run of kDotRun elements go to 32 lanes, element i to lane i % 32, in order,
// with separate multiplications and additions; lanes combine by halves (i with i + 16, then i + 8, ...), runs pairwise by
// index. A run of fewer than 32 numbers is added up in order. float32 is multiplied (exactly) and added up in float64. A
// complex run is two real ones: of the products of equal and of opposite parts. Integers wrap. Nothing in this depends on the
// width of the machine's vectors, but which of several NaNs a sum is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/array/dtype.h"

namespace parcompute {

// a[r] . b[r] for some rows; elements of `dtype` are adjacent, at any alignment. Strides in bytes.
struct RowDots {
  DType dtype = DType::kFloat64;
  const std::byte* a = nullptr;
  std::int64_t a_row = 0;
  const std::byte* b = nullptr;
  std::int64_t b_row = 0;  // 0: one vector for all rows
  std::int64_t rows = 0, length = 0;
  bool conjugates = false;  // a
};

// One sum for each row, of the dtype that partial_dtype() names (products_plan.h).
void dot_rows(const RowDots& rows, void* sums);

// A matrix by columns: elements of a column are adjacent. Adds matrix by `vector` to `sums`, column after column.
struct ColumnSums {
  DType dtype = DType::kFloat64;
  const std::byte* matrix = nullptr;
  std::int64_t column_stride = 0;
  std::int64_t rows = 0, columns = 0;
  const std::byte* vector = nullptr;  // dense
};
void add_columns(const ColumnSums& columns, void* sums);

}  // namespace parcompute
