// ContractionKernel: what the four ways to compute a stack of products share: blocks, slices, partial sums, the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/operation/products_plan.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/product_pack.h"

namespace parcompute {

class ContractionKernel : public Kernel {
 public:
  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) final;

 protected:
  ContractionKernel(KernelJob job, Contraction c, const MatmulTiling& tiling);

  // A tile's share of the inner dimension, which is not empty.
  struct Tile {
    Part a, b;           // b's columns are the tile's; with b_by_row, b is what the tile's first row meets
    std::byte* to;       // the first element of the tile
    std::int64_t to_row; // elements
    bool is_partial;     // `to` holds elements of partial_dtype, not the result's
    const std::byte* next_a;  // what the next tile of the same shape will read; null where none is known
    const std::byte* next_b;
  };
  virtual void multiply(const Tile& tile) = 0;

  const Contraction& contraction() const { return c_; }
  const MatmulTiling& tiling() const { return tiling_; }
  DType dtype() const { return c_.dtype; }
  DType a_dtype() const { return a_.spec.dtype; }
  DType b_dtype() const { return b_.spec.dtype; }

 private:
  // Where a product's matrices begin, and its place in the stack.
  struct Place {
    std::int64_t a = 0, b = 0, c = 0;
    Dims index;
  };
  Place place(std::uint64_t product) const;
  void advance(Place& at) const;
  void compute_products(std::uint64_t first, std::uint64_t last);
  void compute_tile(std::uint64_t block);
  Tile tile_at(const Place& at, std::int64_t row, std::int64_t column, std::int64_t begin, std::int64_t depth) const;
  void multiply_or_clear(const Tile& tile);
  void combine(std::uint64_t block);

  KernelJob job_;
  Contraction c_;
  MatmulTiling tiling_;
  View a_, b_;
  ScalarBytes scalar_{};  // stands in where a scalar's job has no output
  std::byte* out_;
};

std::unique_ptr<Kernel> make_blas_product(KernelJob job, Contraction c, const MatmulTiling& tiling);
std::unique_ptr<Kernel> make_small_product(KernelJob job, Contraction c, const MatmulTiling& tiling);
std::unique_ptr<Kernel> make_integer_product(KernelJob job, Contraction c, const MatmulTiling& tiling);
std::unique_ptr<Kernel> make_vector_product(KernelJob job, Contraction c, const MatmulTiling& tiling);
std::unique_ptr<Kernel> make_outer_product(KernelJob job, DType dtype, const OuterTiling& tiling);

}  // namespace parcompute
