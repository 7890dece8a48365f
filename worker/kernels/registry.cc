#include <array>

#include "worker/kernels/kernel.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

using K = wire::Operation::KindCase;
constexpr std::array<KernelRow, 21> kKernels{{
    {K::kMatmul, make_product},
    {K::kMandelbrot, make_mandelbrot},
    {K::kFill, make_fill},
    {K::kReadFile, make_read_file},
    {K::kNop, make_nop},
    {K::kEvaluate, make_evaluate},
    {K::kDot, make_product},
    {K::kVecdot, make_product},
    {K::kOuter, make_product},
    {K::kRandom, make_random},
    {K::kConcatenate, make_concatenate},
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

std::unique_ptr<Kernel> make_kernel(KernelJob job) {
  for (const KernelRow& row : kKernels)
    if (row.kind == job.operation.kind_case()) return job.plan.stored && !job.outputs.empty() ? make_store(std::move(job), row) : row.make(std::move(job));
  return nullptr;
}

}  // namespace parcompute
