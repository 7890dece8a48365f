#include "common/base/invariant.h"

#include <cstdio>
#include <cstdlib>

namespace parcompute {

void invariant_broken(const char* claim, const char* file, int line) {
  std::fprintf(stderr, "parcompute: bug at %s:%d: '%s' does not hold; please report it\n", file, line, claim);
  std::abort();
}

}  // namespace parcompute
