#include "common/operation/evaluate_layout.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "common/base/checked.h"

namespace parcompute {
namespace {

// A block of a stage without reduction: some hundred microseconds.
constexpr std::uint64_t kMapElements = 32 * 1024;
// Rows that are longer are taken element by element, lest a block of them takes too long.
constexpr std::uint64_t kLongestTiledRow = 16 * 1024;
// A segment is that long, or, where its rows are, longer: its partial results shall be few beside what they stand for.
constexpr std::uint64_t kSegmentBytes = 256 * 1024;
constexpr std::uint64_t kLeastRows = 512;
// The first pass of a segment is read twice (var): a small part, that stays in a near cache, and yet long beside what a pass costs.
constexpr std::uint64_t kPassBytes = 32 * 1024;
constexpr std::uint64_t kLeastPassRows = 32;
// A row's accumulators stay in the L1 cache.
constexpr std::uint64_t kMostColumns = 1024;
// Enough bytes side by side for several vectors of any instruction set.
constexpr std::uint64_t kLaneBytes = 256;
// Lanes meet at the end, which takes as long as some rows: there have to be more rows than that.
constexpr std::uint64_t kRowsOfLane = 8;
// Below this many elements a reduction along neighbours is turned: its results lie side by side instead.
constexpr std::uint64_t kShortReduction = 32;
// Partial results that one block combines.
constexpr std::uint64_t kCombinedPartials = 16 * 1024;

// The axes by how far apart their elements lie, farthest first, for the operand that decides: the first one with an element
// of its own at every place. Axes of one element come before all: wherever they stand, they change nothing.
std::vector<std::size_t> axes_by_stride(const Stage& stage) {
  std::vector<std::size_t> axes(stage.shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  const auto longer = std::stable_partition(axes.begin(), axes.end(), [&](std::size_t axis) { return stage.shape[axis] == 1; });
  const auto moves = [&](const ProgramInput& input) {
    for (const std::size_t axis : axes)
      if (stage.shape[axis] > 1 && input.spec.strides[axis] == 0) return false;
    return true;
  };
  const auto& inputs = stage.program.inputs;
  const auto deciding = std::find_if(inputs.begin(), inputs.end(), moves);
  if (deciding == inputs.end()) return axes;
  // Positions are told in C order; so equal elements must be met in it.
  if (stage.reduction->reducer >= Reducer::kArgmin && stage.reduction->reducer <= Reducer::kNanargmax) return axes;
  std::stable_sort(longer, axes.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(deciding->spec.strides[a]) > std::abs(deciding->spec.strides[b]);
  });
  return axes;
}

ArraySpec permuted(const ArraySpec& spec, const std::vector<std::size_t>& axes) {
  ArraySpec result{spec.dtype, {}, {}, spec.offset};
  for (const std::size_t axis : axes) {
    result.shape.push_back(spec.shape[axis]);
    result.strides.push_back(spec.strides[axis]);
  }
  return result;
}

std::uint64_t product(const Dims& shape, const std::vector<std::size_t>& axes) {
  std::uint64_t count = 1;
  for (const std::size_t axis : axes) count *= static_cast<std::uint64_t>(shape[axis]);
  return count;
}

// Whether an element's neighbour in memory is in another row.
bool reads_across(const ArraySpec& spec) {
  if (spec.ndim() < 2) return false;
  const std::size_t last = spec.ndim() - 1;
  if (spec.shape[last] < 4) return false;
  const std::int64_t along = std::abs(spec.strides[last]);
  for (std::size_t axis = 0; axis < last; ++axis) {
    const std::int64_t stride = std::abs(spec.strides[axis]);
    if (spec.shape[axis] >= 4 && stride != 0 && stride < along && along > 64) return true;
  }
  return false;
}

// The same elements from the other end of an axis.
void turn(ArraySpec& spec, std::size_t axis) {
  const std::int64_t last = (spec.shape[axis] - 1) * spec.strides[axis];
  spec.offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(spec.offset) + last);
  spec.strides[axis] = -spec.strides[axis];
}

// The stage's axes, apart.
struct Axes {
  std::vector<std::size_t> outer, reduced, inner;
};

Axes split_axes(const Stage& stage) {
  const std::vector<bool>& goes = stage.reduction->axes;
  Axes axes;
  for (const std::size_t axis : axes_by_stride(stage)) {
    if (goes[axis]) {
      // What was taken for inner has reduced elements behind it.
      axes.outer.insert(axes.outer.end(), axes.inner.begin(), axes.inner.end());
      axes.inner.clear();
      axes.reduced.push_back(axis);
    } else {
      axes.inner.push_back(axis);
    }
  }
  const auto move_all = [](std::vector<std::size_t>& from, std::vector<std::size_t>& to) {
    to.insert(to.end(), from.begin(), from.end());
    from.clear();
  };
  const std::uint64_t inner = product(stage.shape, axes.inner);
  if (axes.reduced.empty() || inner == 1) move_all(axes.inner, axes.outer);
  if (axes.inner.empty()) {
    const std::uint64_t reduced = product(stage.shape, axes.reduced);
    if (reduced < kShortReduction && product(stage.shape, axes.outer) > reduced) move_all(axes.outer, axes.inner);
  }
  return axes;
}

// Of a dense result: its axes in the order outer, inner, whether or not reduced ones were kept as 1.
ArraySpec result_order(const Stage& stage, const Axes& axes) {
  const ArraySpec& dense = stage.result;
  std::vector<std::size_t> position(stage.shape.size());
  std::size_t next = 0;
  for (std::size_t axis = 0; axis < stage.shape.size(); ++axis) {
    position[axis] = next;
    if (!stage.reduction->axes[axis] || stage.reduction->keepdims) ++next;
  }
  std::vector<std::size_t> order;
  for (const std::size_t axis : axes.outer) order.push_back(position[axis]);
  for (const std::size_t axis : axes.inner) order.push_back(position[axis]);
  return permuted(dense, order);
}

}  // namespace

std::uint64_t partial_bytes(Reducer reducer, DType dtype) {
  const bool complex = info(dtype).kind == Kind::kComplex;
  switch (reducer) {
    case Reducer::kSum: return complex ? 32 : 16;
    case Reducer::kProd: return complex ? 16 : 8;
    case Reducer::kArgmin:
    case Reducer::kArgmax:
    case Reducer::kNanargmin:
    case Reducer::kNanargmax: return complex ? 24 : 16;
    case Reducer::kVar: return complex ? 40 : 24;
    default: return complex ? 16 : 8;
  }
}

std::uint64_t StageLayout::blocks() const {
  if (results() == 0) return 0;
  if (!reduces) return ceil_div(results(), elements_per_block);
  return segments > 1 ? outer * segments * tiles : ceil_div(outer * tiles, tiles_per_block);
}

std::uint64_t StageLayout::combine_blocks() const {
  return segments > 1 && results() > 0 ? ceil_div(results(), results_per_block) : 0;
}

StageLayout lay_out(const Stage& stage) {
  StageLayout layout;
  if (!stage.reduction) {
    for (const ProgramInput& input : stage.program.inputs) layout.inputs.push_back(input.spec);
    layout.result = stage.result;
    layout.outer = element_count(stage.result);
    layout.elements_per_block = kMapElements;
    const bool across = std::any_of(layout.inputs.begin(), layout.inputs.end(), reads_across);
    if (across && stage.shape.back() <= static_cast<std::int64_t>(kLongestTiledRow)) {
      layout.row = static_cast<std::uint64_t>(stage.shape.back());
      layout.elements_per_block = ceil_div(kMapElements, layout.row * kTileRows) * layout.row * kTileRows;
    }
    return layout;
  }
  const Axes axes = split_axes(stage);
  std::vector<std::size_t> order = axes.outer;
  order.insert(order.end(), axes.reduced.begin(), axes.reduced.end());
  order.insert(order.end(), axes.inner.begin(), axes.inner.end());
  for (const ProgramInput& input : stage.program.inputs) layout.inputs.push_back(permuted(input.spec, order));
  layout.reduces = true;
  layout.result = result_order(stage, axes);
  layout.outer = product(stage.shape, axes.outer);
  layout.reduced = product(stage.shape, axes.reduced);
  layout.inner = product(stage.shape, axes.inner);
  if (layout.results() == 0) return layout;

  layout.columns = std::min(layout.inner, kMostColumns);
  layout.tiles = ceil_div(layout.inner, layout.columns);
  const bool tells_position = stage.reduction->reducer >= Reducer::kArgmin && stage.reduction->reducer <= Reducer::kNanargmax;
  const std::uint64_t most_lanes = tells_position && layout.inner > 1 ? 1 : kLaneBytes / itemsize(stage.program.dtype);
  while (layout.lanes < most_lanes && layout.lanes * 2 * layout.inner <= kMostColumns && layout.lanes * 2 * kRowsOfLane <= layout.reduced) layout.lanes *= 2;
  const std::uint64_t row_bytes = itemsize(stage.program.dtype) * layout.columns;
  layout.pass_rows = ceil_div(std::max(kPassBytes / row_bytes, kLeastPassRows), layout.lanes) * layout.lanes;
  layout.rows = ceil_div(std::max(kSegmentBytes / row_bytes, kLeastRows), layout.pass_rows) * layout.pass_rows;
  layout.segments = std::max<std::uint64_t>(1, ceil_div(layout.reduced, layout.rows));
  layout.partial_bytes = partial_bytes(stage.reduction->reducer, stage.program.dtype);
  if (layout.segments == 1) {
    layout.tiles_per_block = std::max<std::uint64_t>(1, layout.rows / std::max<std::uint64_t>(1, layout.reduced));
    layout.rows = layout.reduced;
  }
  layout.results_per_block = std::max<std::uint64_t>(1, kCombinedPartials / layout.segments);
  return layout;
}

std::optional<StageLayout> lay_out_along(const Stage& stage, ArraySpec& target) {
  std::vector<std::size_t> order(target.ndim());
  std::iota(order.begin(), order.end(), 0);
  const auto longer = std::stable_partition(order.begin(), order.end(), [&](std::size_t axis) { return target.shape[axis] == 1; });
  std::stable_sort(longer, order.end(), [&](std::size_t a, std::size_t b) { return std::abs(target.strides[a]) > std::abs(target.strides[b]); });
  StageLayout layout;
  layout.outer = element_count(stage.result);
  layout.elements_per_block = kMapElements;
  for (const ProgramInput& input : stage.program.inputs) layout.inputs.push_back(permuted(input.spec, order));
  target = permuted(target, order);
  for (std::size_t axis = 0; axis < target.ndim(); ++axis) {
    if (target.strides[axis] >= 0) continue;
    turn(target, axis);
    for (ArraySpec& input : layout.inputs) turn(input, axis);
  }
  if (std::any_of(layout.inputs.begin(), layout.inputs.end(), reads_across)) return std::nullopt;
  return layout;
}

}  // namespace parcompute
