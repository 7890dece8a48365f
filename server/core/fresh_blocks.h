// The blocks of a phase that no worker has and none was lost with, in one part for each memory node where workers sit.
//
// Memory lies at the node of who touches it first. An array's pages are reserved by the workers, as a phase like any other: the k-th part
// of them by those of node k. A job that reads or writes it deals its blocks out in the same parts, so that they go to the workers whose
// node has their pages. (Not those of small arrays, which the server reserves, nor where the pool changed meanwhile.) A phase that
// reserves pages has two areas, the output's and the scratch area's, and each has its parts. A worker that finds nothing left of
// its node's parts helps where most is left, from the other end.
// (OpenMP's static schedules place memory so; the helping is work stealing's, Blumofe and Leiserson, 1999.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <boost/container/small_vector.hpp>

namespace parcompute::server {

struct BlockRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool operator==(const BlockRange&) const = default;
};

class FreshBlocks {
 public:
  FreshBlocks() = default;
  // `areas`: how many blocks each has, one behind the other. `node_workers`: how many workers sit at each node, by its number; empty (nothing
  // is known of that): one part.
  FreshBlocks(std::span<const std::uint64_t> areas, std::span<const unsigned> node_workers);

  std::uint64_t left() const { return left_; }
  std::uint64_t handed_out() const { return blocks_ - left_; }
  // At least one and at most `most` blocks for a worker at this node; there are some left. Those that were given back come first.
  BlockRange take(std::size_t node, std::uint64_t most);
  // That a worker had no time for.
  void give_back(BlockRange blocks);
  bool has_given_back() const { return !given_back_.empty(); }

 private:
  struct Part {
    std::uint64_t first = 0, end = 0;
    std::uint64_t left() const { return end - first; }
  };
  Part* part_of(std::size_t node);

  std::uint64_t blocks_ = 0, left_ = 0;
  std::size_t nodes_ = 1;
  std::vector<BlockRange> given_back_;
  boost::container::small_vector<Part, 2> parts_;  // of the first area's nodes, then of the next one's
};

}  // namespace parcompute::server
