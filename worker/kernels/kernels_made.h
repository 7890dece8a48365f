// The kernels that registry.cc lists: one function each, in the file of its name but for those that say theirs.
#pragma once

#include <memory>

#include "worker/kernels/kernel.h"

namespace parcompute {

std::unique_ptr<Kernel> make_product(KernelJob job);    // contraction_kernel.cc: matmul, dot, vecdot, outer
std::unique_ptr<Kernel> make_mandelbrot(KernelJob job);
std::unique_ptr<Kernel> make_fill(KernelJob job);
std::unique_ptr<Kernel> make_read_file(KernelJob job);  // copy.cc
std::unique_ptr<Kernel> make_nop(KernelJob job);
std::unique_ptr<Kernel> make_evaluate(KernelJob job);
std::unique_ptr<Kernel> make_random(KernelJob job);
std::unique_ptr<Kernel> make_concatenate(KernelJob job);
std::unique_ptr<Kernel> make_sort(KernelJob job);
std::unique_ptr<Kernel> make_argsort(KernelJob job);    // sort.cc
std::unique_ptr<Kernel> make_scan(KernelJob job);
std::unique_ptr<Kernel> make_compress(KernelJob job);
std::unique_ptr<Kernel> make_take(KernelJob job);
std::unique_ptr<Kernel> make_unique(KernelJob job);
std::unique_ptr<Kernel> make_searchsorted(KernelJob job);
std::unique_ptr<Kernel> make_bincount(KernelJob job);
std::unique_ptr<Kernel> make_histogram(KernelJob job);
std::unique_ptr<Kernel> make_percentile(KernelJob job);

// A kernel around a row's own, which makes its result in scratch memory; the last phase stores it.
std::unique_ptr<Kernel> make_store(KernelJob job, const KernelRow& row);

}  // namespace parcompute
