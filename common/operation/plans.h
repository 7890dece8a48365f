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

Result<Plan> plan_product(const wire::Operation& operation, Operands inputs);  // matmul, dot, vecdot, outer
Result<Plan> plan_mandelbrot(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_fill(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_read_file(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_nop(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_evaluate(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_random(const wire::Operation& operation, Operands inputs);
Result<Plan> plan_concatenate(const wire::Operation& operation, Operands inputs);

// Whether an element of the one may lie in an element of the other.
bool may_overlap(const OperandInfo& a, const OperandInfo& b);

// Turns a plan for a new output into one for an existing view: directly where it is as a new one would be, else stored, in
// pieces where that can be.
Result<void> redirect(Plan& plan, const wire::Operation& operation, const OperandInfo& into, Operands inputs);
// The phase that stores a result: block b covers the elements [b, b + 1) * kStoreBlockElements, in C order.
inline constexpr std::uint64_t kStoreBlockElements = 32 * 1024;

// mandelbrot: block b covers the grid points [b, b + 1) * kMandelbrotBlockPoints in C order.
inline constexpr std::uint64_t kMandelbrotBlockPoints = 1024;

// fill and read_file: block b covers the bytes [b, b + 1) * kCopyBlockBytes of the output.
inline constexpr std::uint64_t kCopyBlockBytes = 1024 * 1024;

// matmul, dot, vecdot, outer: products_plan.h.

}  // namespace parcompute
