#include "server/core/fresh_blocks.h"

#include <algorithm>
#include <numeric>

#include "common/base/invariant.h"

namespace parcompute::server {

FreshBlocks::FreshBlocks(std::uint64_t blocks, std::span<const unsigned> node_workers) : blocks_(blocks), left_(blocks) {
  const std::uint64_t all = std::accumulate(node_workers.begin(), node_workers.end(), std::uint64_t{0});
  if (all == 0) {
    parts_.push_back({0, blocks});
    return;
  }
  // `before` of `all` workers sit at the nodes before: the part begins at that share of the blocks, without overflow.
  const auto boundary = [&](std::uint64_t before) { return blocks / all * before + blocks % all * before / all; };
  std::uint64_t before = 0;
  for (const unsigned workers : node_workers) {
    const std::uint64_t first = boundary(before);
    before += workers;
    parts_.push_back({first, boundary(before)});
  }
}

BlockRange FreshBlocks::take(std::size_t node, std::uint64_t most) {
  PARCOMPUTE_INVARIANT(left_ > 0 && most > 0);
  const bool has_own = node < parts_.size() && parts_[node].left() > 0;
  Part& part = has_own ? parts_[node] : *std::max_element(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.left() < b.left(); });
  const std::uint64_t count = std::min(most, part.left());
  left_ -= count;
  if (!has_own && parts_.size() > 1) return {part.end -= count, count};
  part.first += count;
  return {part.first - count, count};
}

}  // namespace parcompute::server
