// Which part of the output a run of blocks makes, as NumPy writes it.
#include <algorithm>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/operation.h"

namespace parcompute {
namespace {

// The slice along the first axis on which the elements [first, end) have more than one index; on the axes before it they have
// one. Behind it all elements are meant: perhaps some more than the blocks make.
std::string run_of_elements(const Dims& shape, std::uint64_t first, std::uint64_t end) {
  std::string text = "[";
  std::uint64_t below = 1;  // elements of one index of the axis
  for (const std::int64_t length : shape) below *= static_cast<std::uint64_t>(length);
  for (std::size_t axis = 0;; ++axis) {
    const auto length = static_cast<std::uint64_t>(shape[axis]);
    below /= length;
    const std::uint64_t low = first / below % length, high = (end - 1) / below % length;
    if (low != high || axis + 1 == shape.size()) return text + fmt::format("{}:{}]", low, high + 1);
    text += fmt::format("{}, ", low);
  }
}

std::string run_of_tiles(const Dims& shape, const Phase& phase, std::uint64_t first, std::uint64_t last) {
  const auto rows = static_cast<std::uint64_t>(shape[0]), columns = static_cast<std::uint64_t>(shape[1]);
  const std::uint64_t in_row = ceil_div(columns, phase.tile_columns);
  const auto slice = [](std::uint64_t low, std::uint64_t high, std::uint64_t edge, std::uint64_t length) {
    return fmt::format("{}:{}", low * edge, std::min(length, (high + 1) * edge));
  };
  const std::string of_rows = slice(first / in_row, last / in_row, phase.tile_rows, rows);
  if (first / in_row != last / in_row) return fmt::format("[{}]", of_rows);
  return fmt::format("[{}, {}]", of_rows, slice(first % in_row, last % in_row, phase.tile_columns, columns));
}

}  // namespace

std::string slice_of_output(const Plan& plan, std::size_t phase, std::uint64_t first_block, std::uint64_t blocks) {
  if (!plan.output || plan.output->shape.empty() || phase == 0 || phase > plan.phases.size() || blocks == 0) return "";
  const Phase& made_by = plan.phases[phase - 1];
  const Dims& shape = plan.output->shape;
  if (made_by.tile_rows > 0) return run_of_tiles(shape, made_by, first_block, first_block + blocks - 1);
  const std::uint64_t first = first_block * made_by.elements;
  const std::uint64_t end = std::min(element_count(*plan.output), (first_block + blocks) * made_by.elements);
  return first < end ? run_of_elements(shape, first, end) : "";
}

}  // namespace parcompute
