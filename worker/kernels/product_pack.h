// Packing: a part of a strided matrix, copied densely and converted to the dtype that the product is computed in.
//
// Only what a tile needs is packed, so that no operand is ever copied whole.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/array/dtype.h"

namespace parcompute {

// A part of a matrix in memory; strides in bytes, at any alignment.
struct Part {
  const std::byte* data;
  std::int64_t rows, columns;
  std::int64_t row_stride, column_stride;

  Part part(std::int64_t row, std::int64_t row_count, std::int64_t column, std::int64_t column_count) const {
    return {data + row * row_stride + column * column_stride, row_count, column_count, row_stride, column_stride};
  }
};

// Element (i, j) goes to to[i * to_row + j * to_column], as NumPy's astype from `from` would make it. T is an element type
// or, for integers and their wrapping products, an unsigned type of at least their size; a bool is 0 or 1.
template <class T>
void pack(const Part& part, DType from, T* to, std::int64_t to_row, std::int64_t to_column = 1);

}  // namespace parcompute
