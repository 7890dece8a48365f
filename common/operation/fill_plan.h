// What arange and linspace count from and to, as plan and kernel read it.
#pragma once

#include "common/operation/number.h"

namespace parcompute {

// numpy.arange's elements are first, second, first + 2 (second - first), ...; the difference is taken in the dtype.
struct ArangeTerms {
  Number first;
  Number second;
};
Result<ArangeTerms> arange_terms(const wire::Fill& fill);

struct LinspaceEnds {
  Number start;
  Number stop;
};
Result<LinspaceEnds> linspace_ends(const wire::Fill& fill);

}  // namespace parcompute
