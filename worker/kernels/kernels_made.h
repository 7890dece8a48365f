// The kernels that registry.cc lists: one function each, in the file of its name.
#pragma once

#include <memory>

#include "worker/kernels/kernel.h"

namespace parcompute {

std::unique_ptr<Kernel> make_reduce(KernelJob job);
std::unique_ptr<Kernel> make_matmul(KernelJob job);
std::unique_ptr<Kernel> make_mandelbrot(KernelJob job);
std::unique_ptr<Kernel> make_fill(KernelJob job);
std::unique_ptr<Kernel> make_read_file(KernelJob job);
std::unique_ptr<Kernel> make_nop(KernelJob job);
std::unique_ptr<Kernel> make_sort(KernelJob job);
std::unique_ptr<Kernel> make_argsort(KernelJob job);
std::unique_ptr<Kernel> make_scan(KernelJob job);
std::unique_ptr<Kernel> make_compress(KernelJob job);
std::unique_ptr<Kernel> make_take(KernelJob job);
std::unique_ptr<Kernel> make_unique(KernelJob job);
std::unique_ptr<Kernel> make_searchsorted(KernelJob job);
std::unique_ptr<Kernel> make_bincount(KernelJob job);
std::unique_ptr<Kernel> make_histogram(KernelJob job);
std::unique_ptr<Kernel> make_percentile(KernelJob job);

}  // namespace parcompute
