// Weights of any real dtype, a strip at a time, in the dtype that they are added up in.
#pragma once

#include <vector>

#include "worker/kernels/loops.h"
#include "worker/kernels/row_sorter.h"

namespace parcompute {

class BinWeights {
 public:
  // `sums`: of 8 bytes.
  BinWeights(const View& view, DType sums);

  // The weights of the elements [first, first + count), aligned. Valid until the next call.
  const std::byte* read(std::uint64_t first, std::uint64_t count);

 private:
  const std::byte* read_as_they_are(std::uint64_t first, std::uint64_t count);

  DType own_;
  RowReader reader_;
  Loop cast_;  // null where they are what is wanted
  std::vector<std::uint64_t> cast_ones_;
};

}  // namespace parcompute
