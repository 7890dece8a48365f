// How a stage of an expression falls apart into blocks, and in which order a block meets its elements.
//
// The stage's axes are put into the order *outer, reduced, inner*: kept axes, the reduced ones, and, where the elements that
// lie closest in memory are kept, those behind them. A reduction then adds up rows of `inner` elements. Where rows are
// short, several lie side by side (`lanes`) and are added up side by side, too; at the end lane meets lane in pairs, by
// index. Everything here is a function of shapes, strides and dtypes: it is part of what a float sum means.
//
//   outer 0:  row 0 | row 1 | row 2 | row 3      <- one strip: 4 lanes of `inner` elements
//             row 4 | row 5 | ...                <- added to the strip above, element by element
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/expression/program.h"

namespace parcompute {

struct StageLayout {
  bool reduces = false;
  // Of the program's inputs, axes in the order outer, reduced, inner: element f of the stage is element f of each in C order.
  std::vector<ArraySpec> inputs;
  // Of the result, axes in the order outer, inner.
  ArraySpec result;
  std::uint64_t outer = 1, reduced = 1, inner = 1;  // elements along each

  // ---- reductions: a tile is `columns` of the inner elements, over one segment of `rows` of the reduced ones
  std::uint64_t columns = 1;
  std::uint64_t lanes = 1;        // rows side by side; above 1 only where a tile has all inner elements
  std::uint64_t pass_rows = 1;    // added at once; a multiple of lanes
  std::uint64_t rows = 1;         // of a segment: a multiple of pass_rows, or all
  std::uint64_t tiles = 1;        // across the inner elements
  std::uint64_t segments = 1;
  std::uint64_t tiles_per_block = 1;  // above 1 only where there is one segment
  // Where there are more segments: one phase leaves their partial results in scratch memory, another combines them.
  std::uint64_t partial_bytes = 0;    // of one element's partial result
  std::uint64_t results_per_block = 1;

  // ---- stages without: so many elements, in the order of their index
  std::uint64_t elements_per_block = 1;
  // Above 0 where an input's neighbours lie in other rows (a.T beside b): a block is whole rows of so many elements, and read in
  // tiles of kTileRows rows, so that cache lines serve all their elements.
  std::uint64_t row = 0;

  std::uint64_t results() const { return outer * inner; }
  std::uint64_t blocks() const;          // of the first phase; 0 where nothing is to be done
  std::uint64_t combine_blocks() const;  // of the second; 0 where there is none
  // All partial results, in the order outer, segment, inner.
  std::uint64_t partials_bytes() const { return segments > 1 ? results() * segments * partial_bytes : 0; }
};

StageLayout lay_out(const Stage& stage);

// Of a stage without a reduction whose results go to the elements of `target`, of its shape, in the order of their memory: axes of
// `target` and of the inputs alike are put into it, and turned where target's strides are negative. Nothing where an input's
// neighbours lie in other rows even so.
std::optional<StageLayout> lay_out_along(const Stage& stage, ArraySpec& target);

inline constexpr std::uint64_t kTileRows = 64, kTileColumns = 32;

// What a reducer leaves of a segment, for each of its columns.
std::uint64_t partial_bytes(Reducer reducer, DType dtype);

}  // namespace parcompute
