// Plans of the operations that order, scan, select and count, and the shapes of their blocks, which the kernels
// compute by.
//
// Operations along an axis see an array as rows: `rows` lines of `length` elements, each along the axis. A flat array
// is one row. Blocks follow from these two numbers and the dtype alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {

Result<Plan> plan_sort(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_argsort(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_scan(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_compress(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_take(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_unique(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_searchsorted(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_bincount(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_histogram(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_percentile(const wire::Operation& operation, Operands inputs);

// ---- rows ----

struct Rows {
  ArraySpec spec;  // the operand with the axis moved to the end: row r is its elements [r, r + 1) * length in C order
  Dims shape;      // of a result with one element for each of the operand's
  std::uint64_t rows = 0;
  std::uint64_t length = 0;
  std::uint64_t inner = 1;  // elements of a dense result between neighbours of a row

  std::uint64_t elements() const { return rows * length; }
  // Where element i of row r lies in a dense array of `shape`.
  std::uint64_t index(std::uint64_t row, std::uint64_t i) const {
    return (row / inner * length + i) * inner + row % inner;
  }
};

// `axis` absent: flat. `what` names the operation in the error of an axis that does not exist.
Result<Rows> rows_along(std::string_view what, const OperandInfo& operand, std::optional<std::int32_t> axis);
// The same for an operand whose plan has been made: the axis is known to exist.
template <class Message>
std::optional<std::int32_t> axis_of(const Message& message) {
  return message.has_axis() ? std::optional<std::int32_t>(message.axis()) : std::nullopt;
}

// ---- sort and what stands on it ----

// An array is sorted as items: ordered integers made of elements, with their index where it matters. Short rows are
// sorted whole, several to a block. A long row is cut into runs, sorted in scratch memory (phase 0), and into pieces
// of the sorted row, each made of its share of every run (phase 1): two passes over memory, whatever the length.
struct SortShape {
  std::uint64_t rows = 0, length = 0, item_bytes = 0;
  std::uint64_t rows_per_block = 0;  // of short rows; 0: the rows are long
  std::uint64_t run = 0, runs = 0;   // items in a long row's run; runs in such a row
  std::uint64_t piece = 0, pieces = 0;

  bool is_long() const { return rows_per_block == 0; }
  std::uint64_t row_blocks() const { return ceil_div(rows, rows_per_block); }  // short rows
  std::uint64_t run_blocks() const { return rows * runs; }                     // long rows, phase 0
  std::uint64_t piece_blocks() const { return rows * pieces; }                 // long rows, phase 1
  std::uint64_t scratch_bytes() const { return is_long() ? rows * length * item_bytes : 0; }
};
// What two copies of fill a core's second cache.
inline constexpr std::uint64_t kSortBlockBytes = 512 * 1024;
// A row has at most so many runs: a piece is gathered from all of them.
inline constexpr std::uint64_t kMostRuns = 1024;
SortShape shape_sort(std::uint64_t rows, std::uint64_t length, std::uint64_t item_bytes);

// Bytes of an item. Sort: the key itself, or (complex) key and index. Argsort: key and index, 32 bits each where they
// fit.
std::uint64_t sort_item_bytes(DType dtype);
std::uint64_t argsort_item_bytes(DType dtype, std::uint64_t length);

// unique: scratch holds the runs, the pieces without their repetitions, and each piece's count.
struct UniqueScratch {
  std::uint64_t pieces_at = 0, counts_at = 0, bytes = 0;
};
UniqueScratch unique_scratch(const SortShape& shape);

// percentile: a block of the last phase answers so many (row, q) pairs of long rows.
inline constexpr std::uint64_t kPercentilesPerBlock = 4;
// NumPy 2's: one q is a number without a dtype and leaves float32 as it is; several are an array of float64.
DType percentile_dtype(const wire::Percentile& message, DType elements);

// ---- scan ----

// Short rows: several to a block, one phase. Long ones: totals of parts (phase 0), what comes before each part (phase
// 1, one block for each row), and the scan itself (phase 2).
struct ScanShape {
  std::uint64_t rows = 0, length = 0;
  std::uint64_t rows_per_block = 0;  // 0: the rows are long
  std::uint64_t parts = 0;           // of a long row, kScanPart elements each

  bool is_long() const { return rows_per_block == 0; }
};
inline constexpr std::uint64_t kScanPart = 64 * 1024;
// Inside a part float sums restart every so many elements, from what comes before them.
inline constexpr std::uint64_t kScanStrip = 512;
inline constexpr std::uint64_t kScanTotalBytes = 64;
// Products of complex numbers are never cut: their rows stay whole.
ScanShape shape_scan(wire::Scan::Operator op, DType dtype, std::uint64_t rows, std::uint64_t length);
DType scan_result_dtype(DType dtype);

// ---- compress and take ----

// The mask in blocks of `per_block` elements; an element of the mask stands for `inner` elements of the operand,
// which are copied in `inner_parts` parts of `inner_part` elements.
struct CompressShape {
  std::uint64_t mask = 0, inner = 0;
  std::uint64_t per_block = 0, mask_blocks = 0;
  std::uint64_t inner_part = 0, inner_parts = 0;
};
CompressShape shape_compress(const ArraySpec& a, const ArraySpec& mask);

// The result is outer x indices x inner.
struct TakeShape {
  std::uint64_t outer = 1, indices = 1, inner = 1;
  std::uint64_t length = 0;     // along the axis
  std::uint64_t per_block = 0;  // (outer, index) pairs
  std::optional<std::size_t> axis;
};
TakeShape shape_take(const ArraySpec& a, const ArraySpec& indices, std::optional<std::int32_t> axis);

// ---- counts ----

inline constexpr std::uint64_t kSearchBlock = 16 * 1024;

// Counts of bins: `parts` of the operand are counted apart, in scratch (phase 0), and added up in order of the parts
// (phase 1). One part alone counts into the result, in one phase, where that has the 8 bytes of a count.
struct BinShape {
  std::uint64_t elements = 0, bins = 0;
  std::uint64_t part = 0, parts = 0;
  std::uint64_t sum_blocks = 0;
};
inline constexpr std::uint64_t kBinPart = 128 * 1024;
inline constexpr std::uint64_t kBinSumBlock = 16 * 1024;
BinShape shape_bins(std::uint64_t elements, std::uint64_t bins);
inline bool counts_into_result(const BinShape& shape, DType result) {
  return shape.parts == 1 && itemsize(result) == sizeof(std::uint64_t);
}

}  // namespace parcompute
