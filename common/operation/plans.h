// The plans that registry.cc lists, and the shapes of their blocks, which the kernels compute by.
//
// A block is the smallest piece that a result is defined by: its size depends on operation, dtype and shape
// alone. The numbers below are therefore part of what a float sum means; changing one changes last bits.
#pragma once

#include <cstdint>
#include <span>

#include "common/operation/operation.h"

namespace parcompute {

using Operands = std::span<const OperandInfo>;

Result<Plan> plan_reduce(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_matmul(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_mandelbrot(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_fill(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_read_file(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_nop(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_random(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_concatenate(const wire::Operation& operation, Operands inputs);

// reduce: block b covers the elements [b, b + 1) * reduce_block_elements(dtype), in the order they lie in
// memory where the operand is dense and in C order where it is not. Sized in bytes so that a block streams
// through L2. One block answers at once. More: phase 0 leaves one partial for each in scratch, phase 1
// combines them.
inline constexpr std::uint64_t kReduceBlockBytes = 128 * 1024;
constexpr std::uint64_t reduce_block_elements(DType dtype) {
  return kReduceBlockBytes / itemsize(dtype);
}
// Blocks of phase 0 for `elements`: at least one, for an empty sum is 0.
std::uint64_t reduce_blocks(DType dtype, std::uint64_t elements);
inline constexpr std::uint64_t kReducePartialBytes = 16;
// The dtype that a reduction answers in, by NumPy's rules. An error where the pair is not served.
Result<DType> reduce_result_dtype(wire::Reduce::Operator op, DType dtype);

// mandelbrot: block b covers the grid points [b, b + 1) * kMandelbrotBlockPoints in C order.
inline constexpr std::uint64_t kMandelbrotBlockPoints = 1024;

// fill and read_file: block b covers the bytes [b, b + 1) * kCopyBlockBytes of the output.
inline constexpr std::uint64_t kCopyBlockBytes = 1024 * 1024;

// matmul: a stack of `batch` products, each of m x k by k x n. A product is cut into a grid of tiles_m x
// tiles_n tiles of tile_m x tile_n (smaller at the edges), or, where products are small, a block takes
// several whole ones: block b is tile b % tiles() of product b / tiles(), or the products [b, b + 1) *
// products_per_block.
struct MatmulTiling {
  std::uint64_t batch = 0;
  std::int64_t m = 0, k = 0, n = 0;
  std::int64_t tile_m = 0, tile_n = 0;
  std::uint64_t tiles_m = 0, tiles_n = 0;
  std::uint64_t products_per_block = 1;  // above 1 only where tiles() is 1
  double block_ns = 0;                   // a full block's estimated time

  std::uint64_t tiles() const { return tiles_m * tiles_n; }
  // 0 where the result has no elements
  std::uint64_t blocks() const;
};
// Operands that BLAS cannot read where they lie are packed in slices of this inner dimension, so that the
// copies of a tile stay small.
inline constexpr std::int64_t kMatmulPackedDepth = 1024;
// The grid for a stack of products; a pure function of these numbers.
MatmulTiling tile_products(std::uint64_t batch, std::int64_t m, std::int64_t k, std::int64_t n, DType dtype);
// np.matmul's rules for operands of 2 or more dimensions: the tiling of a product that is served, or why it
// is not.
Result<MatmulTiling> tile_matmul(Operands inputs);

}  // namespace parcompute
