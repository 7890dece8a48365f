// OwnerCounts: how many of something each user has.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <unordered_map>

#include "common/base/invariant.h"

namespace parcompute::server {

class OwnerCounts {
 public:
  void add(uid_t uid, std::size_t count = 1) {
    if (count > 0) counts_[uid] += count;
  }
  void remove(uid_t uid, std::size_t count = 1) {
    if (count == 0) return;
    const auto found = counts_.find(uid);
    PARCOMPUTE_INVARIANT(found != counts_.end() && found->second >= count);
    if ((found->second -= count) == 0) counts_.erase(found);
  }
  std::size_t of(uid_t uid) const {
    const auto found = counts_.find(uid);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::unordered_map<uid_t, std::size_t> counts_;
};

}  // namespace parcompute::server
