// ReduceTile: what a worker has of one tile's reduction while it adds rows, and the tree above.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/error.h"
#include "common/expression/program.h"
#include "worker/kernels/reduce_loops.h"

namespace parcompute {

// Rows belong to lanes in turn: row r to lane r % lanes, where lanes > 1 and a row's elements are the tile's columns. At the
// end lane i meets lane i + half, halving by halving; segments meet pairwise by index. All of it is fixed by the layout.
class ReduceTile {
 public:
  virtual ~ReduceTile() = default;

  virtual void begin(std::size_t columns) = 0;
  // `rows` rows, `stride` elements apart; the first is the reduction's element `first_row`, a multiple of lanes. Rows lie one
  // behind the other where there is more than one lane. Aligned. One call for each of the layout's passes. `y` lies as x does;
  // for addends of two.
  virtual void add(const std::byte* x, std::uint64_t first_row, std::uint64_t rows, std::uint64_t stride, const std::byte* y = nullptr) = 0;
  // After the last row: lanes meet.
  virtual void end() = 0;

  // Column `column`'s partial result, `partial_bytes()` of the layout.
  virtual void store(std::size_t column, std::byte* partial) const = 0;
  // The results of columns [first, first + count), one element each, `stride` bytes apart. Fails where one has none
  // (nanargmin of NaN alone).
  virtual Result<void> finish(std::size_t first, std::size_t count, std::byte* result, std::int64_t stride) = 0;
  // The result of `segments` partial results, `stride` bytes apart. Each is of `rows` rows, the last one of `last_rows`.
  virtual Result<void> combine(const std::byte* partials, std::uint64_t segments, std::uint64_t stride, std::uint64_t rows,
                               std::uint64_t last_rows, std::byte* result) = 0;
};

// For elements of `dtype` and results of reduction.dtype. An addend other than the elements: for kSum, of float32 and float64.
std::unique_ptr<ReduceTile> make_reduce_tile(const Reduction& reduction, DType dtype, std::size_t columns, std::size_t lanes, Addend addend = Addend::kElement);

}  // namespace parcompute
