#include "common/os/thread_counts.h"

#include <dlfcn.h>

#include <array>

namespace parcompute {
namespace {

struct Library {
  const char* variable;  // and what it is set to
  const char* call;      // that takes the number as an int; null: none
};

constexpr std::array kLibraries{
    Library{"OPENBLAS_NUM_THREADS=1", "openblas_set_num_threads"},
    Library{"OMP_NUM_THREADS=1", "omp_set_num_threads"},  // and Arrow's CPU threads
    Library{"OMP_THREAD_LIMIT=1", nullptr},               // whatever a program asks OpenMP for
    Library{"ARROW_IO_THREADS=1", nullptr},
    Library{"MKL_NUM_THREADS=1", "MKL_Set_Num_Threads"},
    Library{"MKL_DOMAIN_NUM_THREADS=MKL_DOMAIN_ALL=1", nullptr},  // which outdoes the one before
    Library{"BLIS_NUM_THREADS=1", nullptr},
    Library{"VECLIB_MAXIMUM_THREADS=1", nullptr},
    Library{"NUMEXPR_NUM_THREADS=1", nullptr},
    Library{"NUMEXPR_MAX_THREADS=1", nullptr},
    Library{"BLOSC_NTHREADS=1", "blosc_set_nthreads"},
    Library{"POLARS_MAX_THREADS=1", nullptr},
    Library{"RAYON_NUM_THREADS=1", nullptr},
    Library{"NUMBA_NUM_THREADS=1", nullptr},
    // oneTBB reads no variable: it counts the CPUs of the affinity mask, of which a pinned worker has one. This is what programs that
    // set it up (and older ones of its users) agree on.
    Library{"TBB_NUM_THREADS=1", nullptr},
};

}  // namespace

const std::vector<std::string>& one_thread_environment() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> made;
    for (const Library& library : kLibraries) made.emplace_back(library.variable);
    return made;
  }();
  return all;
}

void hold_libraries_at_one_thread() {
  for (const Library& library : kLibraries) {
    if (library.call == nullptr) continue;
    if (void* const found = ::dlsym(RTLD_DEFAULT, library.call)) reinterpret_cast<void (*)(int)>(found)(1);
  }
}

}  // namespace parcompute
