// How products fall into blocks: the shapes that worker/kernels computes by.
//
// Four ways to compute a stack of products, chosen by dtype and shape alone; each has its own block. Where the inner
// dimension is long and there is little else to share out, it is cut into slices: phase 0 leaves each slice's products
// in scratch, phase 1 adds them up pairwise by index. Like every block size, the numbers are part of what a float
// result means.
#pragma once

#include <cstdint>

#include "common/operation/contraction.h"

namespace parcompute {

enum class ProductRoute : std::uint8_t {
  kBlas,     // large float and complex products: OpenBLAS, tile by tile
  kSmall,    // float products whose right matrix fits the L1 cache: our own loops, whole products or strips of rows
  kInteger,  // bool and integers: packed tiles
  kVector,   // a matrix by a vector, or rows by rows: bound by memory
};

// A stack of `batch` products, each of m x k by k x n. A product is cut into a grid of tiles_m x tiles_n tiles of
// tile_m x tile_n (smaller at the edges), and each tile into `slices` of the inner dimension; or, where products are
// small, a block takes several whole ones. Block b is slice b % slices of tile b / slices % tiles() of product
// b / slices / tiles(), or the products [b, b + 1) * products_per_block.
struct MatmulTiling {
  std::uint64_t batch = 0;
  std::int64_t m = 0, k = 0, n = 0;
  std::int64_t tile_m = 0, tile_n = 0;
  std::uint64_t tiles_m = 0, tiles_n = 0;
  std::uint64_t products_per_block = 1;  // above 1 only where tiles() and slices are 1
  double block_ns = 0;                   // a full block's estimated time
  std::int64_t slice_k = 0;              // k where there is one slice
  std::uint64_t slices = 1;
  ProductRoute route = ProductRoute::kBlas;
  bool by_columns = false;  // kVector: the matrix lies by columns, so columns are added up instead of rows

  std::uint64_t tiles() const { return tiles_m * tiles_n; }
  // 0 where the result has no elements
  std::uint64_t blocks() const;
};
// kBlas: operands that BLAS cannot read where they lie are packed in slices of this inner dimension, so that the copies
// of a tile stay small.
inline constexpr std::int64_t kMatmulPackedDepth = 1024;
// kBlas: the grid for a stack of products; a pure function of these numbers.
MatmulTiling tile_products(std::uint64_t batch, std::int64_t m, std::int64_t k, std::int64_t n, DType dtype);
// kSmall: no inner dimension and no row of the right operand is longer.
inline constexpr std::int64_t kSmallSide = 64;
// kInteger: the inner dimension that is packed at once.
inline constexpr std::int64_t kIntegerDepth = 128;
// kVector: sums of this many products are made at once, in lanes, and then combine pairwise.
inline constexpr std::int64_t kDotRun = 4096;
// kVector: the rows that are added up by columns at once.
inline constexpr std::int64_t kColumnRows = 4096;

MatmulTiling tile_contraction(const Contraction& c, Operands inputs);

// Partial sums in scratch: slice s's element i, in C order of (product, row, column), is number s * elements + i of
// this dtype. Block b of phase 1 adds up elements [b, b + 1) * kCombinedElements.
DType partial_dtype(const Contraction& c, ProductRoute route);
inline constexpr std::uint64_t kCombinedElements = 4096;

// outer, and dot where an operand has no dimensions: element i of a (C order) times every element of b. Block b
// covers tile_m x tile_n of that matrix, tiles by rows.
struct OuterTiling {
  std::int64_t m = 0, n = 0;
  std::int64_t tile_m = 0, tile_n = 0;
  std::uint64_t tiles_m = 0, tiles_n = 0;
};
bool is_outer(const wire::Operation& operation, Operands inputs);
OuterTiling tile_outer(Operands inputs, DType dtype);

}  // namespace parcompute
