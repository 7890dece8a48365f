#include <array>

#include "worker/kernels/kernel.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

using K = wire::Operation::KindCase;
constexpr std::array<KernelRow, 8> kKernels{{
    {K::kReduce, make_reduce},
    {K::kMatmul, make_matmul},
    {K::kMandelbrot, make_mandelbrot},
    {K::kFill, make_fill},
    {K::kReadFile, make_read_file},
    {K::kNop, make_nop},
    {K::kRandom, make_random},
    {K::kConcatenate, make_concatenate},
}};

}  // namespace

std::span<const KernelRow> kernels() {
  return kKernels;
}

}  // namespace parcompute
