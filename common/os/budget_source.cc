#include "common/os/budget_source.h"

#include "common/base/invariant.h"

namespace parcompute {

std::size_t deciding_source(const std::vector<BudgetSource>& sources) {
  std::size_t best = sources.size();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (!sources[i].value) continue;
    if (best == sources.size() || *sources[i].value < *sources[best].value) best = i;
  }
  PARCOMPUTE_INVARIANT(best < sources.size());
  return best;
}

}  // namespace parcompute
