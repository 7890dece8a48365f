#include "server/core/fresh_blocks.h"

#include <algorithm>
#include <numeric>

#include "common/base/invariant.h"

namespace parcompute::server {

FreshBlocks::FreshBlocks(std::span<const std::uint64_t> areas, std::span<const unsigned> node_workers) : nodes_(std::max<std::size_t>(1, node_workers.size())) {
  const std::uint64_t all = std::accumulate(node_workers.begin(), node_workers.end(), std::uint64_t{0});
  for (const std::uint64_t area : areas) {
    // `before` of `all` workers sit at the nodes before: the part begins at that share of the blocks, without overflow.
    const auto boundary = [&](std::uint64_t before) { return blocks_ + area / all * before + area % all * before / all; };
    std::uint64_t before = 0;
    for (const unsigned workers : node_workers) {
      const std::uint64_t first = all == 0 ? blocks_ : boundary(before);
      before += workers;
      parts_.push_back({first, all == 0 ? blocks_ : boundary(before)});
    }
    if (node_workers.empty()) parts_.push_back({blocks_, blocks_ + area});
    else if (all == 0) parts_.back().end += area;
    blocks_ += area;
  }
  left_ = blocks_;
}

FreshBlocks::Part* FreshBlocks::part_of(std::size_t node) {
  for (std::size_t part = node; node < nodes_ && part < parts_.size(); part += nodes_)
    if (parts_[part].left() > 0) return &parts_[part];
  return nullptr;
}

BlockRange FreshBlocks::take(std::size_t node, std::uint64_t most) {
  PARCOMPUTE_INVARIANT(left_ > 0 && most > 0);
  if (has_given_back()) {
    BlockRange& last = given_back_.back();
    const BlockRange taken{last.first, std::min(most, last.count)};
    last.first += taken.count;
    last.count -= taken.count;
    if (last.count == 0) given_back_.pop_back();
    left_ -= taken.count;
    return taken;
  }
  Part* const own = nodes_ == 1 ? part_of(0) : part_of(node);
  Part& part = own != nullptr ? *own : *std::max_element(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.left() < b.left(); });
  const std::uint64_t count = std::min(most, part.left());
  left_ -= count;
  if (own == nullptr) return {part.end -= count, count};
  part.first += count;
  return {part.first - count, count};
}

void FreshBlocks::give_back(BlockRange blocks) {
  const bool is_next = has_given_back() && given_back_.back().first + given_back_.back().count == blocks.first;
  if (is_next) given_back_.back().count += blocks.count;
  else given_back_.push_back(blocks);
  left_ += blocks.count;
}

}  // namespace parcompute::server
