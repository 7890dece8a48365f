#include <array>

#include "worker/kernels/kernel.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

using K = wire::Operation::KindCase;
constexpr std::array<KernelRow, 16> kKernels{{
    {K::kReduce, make_reduce},
    {K::kMatmul, make_matmul},
    {K::kMandelbrot, make_mandelbrot},
    {K::kFill, make_fill},
    {K::kReadFile, make_read_file},
    {K::kNop, make_nop},
    {K::kSort, make_sort},
    {K::kArgsort, make_argsort},
    {K::kScan, make_scan},
    {K::kCompress, make_compress},
    {K::kTake, make_take},
    {K::kUnique, make_unique},
    {K::kSearchsorted, make_searchsorted},
    {K::kBincount, make_bincount},
    {K::kHistogram, make_histogram},
    {K::kPercentile, make_percentile},
}};

}  // namespace

std::span<const KernelRow> kernels() {
  return kKernels;
}

}  // namespace parcompute
