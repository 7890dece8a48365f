#include "common/os/thread_counts.h"

#include <dlfcn.h>

#include <cstdlib>
#include <set>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/support/process_state.h"

namespace parcompute {
namespace {

TEST(ThreadCounts, NameEachVariableOnce) {
  std::set<std::string> names;
  for (const std::string& entry : one_thread_environment()) {
    ASSERT_NE(entry.find('='), entry.npos);
    EXPECT_TRUE(names.insert(entry.substr(0, entry.find('='))).second) << entry;
  }
  for (const char* name : {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
                           "NUMEXPR_MAX_THREADS", "BLOSC_NTHREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_THREAD_LIMIT", "ARROW_IO_THREADS"})
    EXPECT_TRUE(names.contains(name)) << name;
}

// A library that this program loads, and tells to have two threads first.
void expect_held(const char* library, const char* set, const char* get) {
  EXPECT_EQ(testing::in_child([&] {
              void* const handle = ::dlopen(library, RTLD_NOW | RTLD_GLOBAL);
              ASSERT_NE(handle, nullptr);
              const auto set_threads = reinterpret_cast<void (*)(int)>(::dlsym(handle, set));
              const auto get_threads = reinterpret_cast<int (*)()>(::dlsym(handle, get));
              ASSERT_TRUE(set_threads != nullptr && get_threads != nullptr);
              set_threads(2);
              ASSERT_EQ(get_threads(), 2);
              hold_libraries_at_one_thread();
              EXPECT_EQ(get_threads(), 1);
            }),
            0);
}

TEST(ThreadCounts, AreHeldByForceWhereALibraryIsLoadedOtherwise) {
  bool any = false;
  for (const auto& [library, set, get] : {std::tuple{"libopenblas.so.0", "openblas_set_num_threads", "openblas_get_num_threads"},
                                          {"libgomp.so.1", "omp_set_num_threads", "omp_get_max_threads"}}) {
    const bool is_here = testing::in_child([&] { std::_Exit(::dlopen(library, RTLD_NOW) == nullptr ? 1 : 0); }) == 0;
    if (!is_here) continue;
    any = true;
    expect_held(library, set, get);
  }
  if (!any) GTEST_SKIP() << "this machine has neither OpenBLAS nor libgomp";
}

TEST(ThreadCounts, OfAProgramWithoutSuchLibrariesNeedNothing) {
  EXPECT_EQ(testing::in_child([] { hold_libraries_at_one_thread(); }), 0);
}

}  // namespace
}  // namespace parcompute
