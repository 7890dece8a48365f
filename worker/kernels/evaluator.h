// Evaluator: runs a stage's program over strips of elements that stay in the L1 cache.
//
// Inputs that lie dense are read where they are; others are gathered into a strip first. Each instruction is a loop over the
// strip (loops.h). Nothing is allocated while it runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/expression/program.h"
#include "worker/kernels/loops.h"
#include "worker/kernels/reduce_loops.h"
#include "worker/kernels/stream_copy.h"

namespace parcompute {

class Evaluator {
 public:
  // One input: element f is element f of `spec` in C order, and (0, ..., 0) lies at data + spec.offset.
  struct Source {
    ArraySpec spec;
    const std::byte* data = nullptr;
  };

  // `program` outlives it. At most `longest` elements are asked for at once; 0 leaves the length to it (see strip()).
  // `in_tiles`: it is asked for tiles.
  Evaluator(const Program& program, std::vector<Source> sources, std::size_t longest = 0, bool in_tiles = false);

  // As many elements as one run should have for its registers to stay in the cache.
  std::size_t strip() const { return strip_; }

  // Elements [first, first + count), dense and aligned. Valid until the next run. Where `into` is given and what the program
  // computes can be written there (aligned), it is, and `into` is what comes back.
  Result<const std::byte*> run(std::uint64_t first, std::size_t count, std::byte* into = nullptr);

  // The same for a tile of a stage whose rows have `row` elements: `columns` elements from `column` on, of `rows` rows from
  // `first_row` on, row after row.
  Result<const std::byte*> run_tile(std::uint64_t row, std::uint64_t first_row, std::size_t rows, std::uint64_t column, std::size_t columns);
  // The same elements into `to`, around the caches: others see them after hwy::FlushStream(). The inputs' next `ahead` elements
  // are brought near meanwhile, but where one loop reads the inputs itself, in an order that the processor foresees.
  Result<void> stream(std::uint64_t first, std::size_t count, std::byte* to, std::size_t ahead);

  // Where the program is an input as it is, or (`for_sums`) what a sum makes of inputs while it adds, and they lie dense and
  // aligned: their first elements.
  struct Whole {
    Addend addend = Addend::kElement;
    const std::byte* x = nullptr;
    const std::byte* y = nullptr;
  };
  std::optional<Whole> whole(bool for_sums) const;

 private:
  enum class Access : std::uint8_t { kDense, kSingle, kGathered };
  struct Input {
    ArraySpec spec;
    const std::byte* first = nullptr;  // element 0
    Access access = Access::kGathered;
    std::byte* strip = nullptr;        // where it is gathered
    std::int64_t along = 0;            // bytes from an element of a row to the next
  };

  // A program that is a sum of two products, as one loop (product_sum.h): the factors' registers.
  struct Fused {
    static constexpr Register kOne = 0xFFFF;  // no register: the factor 1
    Register in[4] = {};
    bool subtracts = false;
    DType dtype = DType::kFloat64;
  };
  static std::optional<Fused> fuse(const Program& program);
  void read_all(std::uint64_t first, std::size_t count);
  bool run_fused(std::size_t count, std::byte* to, bool streams) const;

  const std::byte* read(Input& input, std::uint64_t first, std::size_t count) const;
  void read_tile(const Input& input, std::uint64_t row, std::uint64_t first_row, std::size_t rows, std::uint64_t column, std::size_t columns) const;
  // The program on what the inputs' registers hold.
  Result<const std::byte*> execute(std::size_t count, std::byte* into);

  const Program& program_;
  std::vector<Input> inputs_;
  std::vector<Loop> loops_;  // by instruction
  std::optional<Fused> fused_;
  std::size_t strip_ = 0;
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::byte* filled_ = nullptr;        // a strip of one value
  std::vector<const std::byte*> registers_;
  std::vector<unsigned char> is_single_;
  std::vector<std::byte*> temporaries_;
  std::vector<LinesAhead> ahead_;  // of dense inputs
};

}  // namespace parcompute
