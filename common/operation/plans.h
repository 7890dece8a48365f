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
Result<Plan> plan_product(const wire::Operation& operation, Operands inputs);  // matmul, dot, vecdot, outer
Result<Plan> plan_mandelbrot(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_fill(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_read_file(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_nop(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_evaluate(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_random(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_concatenate(const wire::Operation& operation, Operands inputs);

// Turns a plan for a new output into one for an existing view: directly where it is as a new one would be, else stored.
Result<void> redirect(Plan& plan, std::string_view operation, const OperandInfo& into, Operands inputs);
// The phase that stores a result: block b covers the elements [b, b + 1) * kStoreBlockElements, in C order.
inline constexpr std::uint64_t kStoreBlockElements = 32 * 1024;

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

// matmul, dot, vecdot, outer: products_plan.h.

}  // namespace parcompute
