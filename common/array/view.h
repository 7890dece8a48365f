// Views: other ways to look at the elements of an array, without a copy. NumPy's basic indexing, transposition, reshaping and
// broadcasting, as functions from spec to spec. Whatever they are given, their result reaches no element that the given spec
// does not reach.
//
// As text a view is a chain of steps: [10:20, ::-1], .T, .transpose(1, 0), .reshape(4, -1).
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "common/array/array_spec.h"

namespace parcompute {

// start:stop:step. Bounds that are out of range are clipped; negative ones count from the end.
struct Slice {
  std::optional<std::int64_t> start, stop, step;
};
struct Ellipsis {};
struct NewAxis {};
using IndexItem = std::variant<std::int64_t, Slice, Ellipsis, NewAxis>;

Result<ArraySpec> indexed(const ArraySpec& spec, std::span<const IndexItem> index);
// Axis i of the result is axis axes[i], negative ones counted from the end; without axes the order is reversed.
Result<ArraySpec> transposed(const ArraySpec& spec, std::span<const std::int64_t> axes = {});
// One dimension may be -1: what is left. Fails where the strides would need a copy.
Result<ArraySpec> reshaped(const ArraySpec& spec, std::span<const std::int64_t> shape);
// Repeats dimensions of one element (stride 0) and adds new ones in front.
Result<ArraySpec> broadcast_to(const ArraySpec& spec, const Dims& shape);
// The shape that both stretch to. Fails with "shapes 3x4 and 5 ..." where there is none.
Result<Dims> broadcast_shapes(const Dims& a, const Dims& b);

// From a person's axis, which may be negative, to 0..ndim-1.
Result<std::size_t> normalized_axis(std::int64_t axis, std::size_t ndim);

// "[1:, ::2]" without its brackets: "1:, ::2".
Result<std::vector<IndexItem>> parse_index(std::string_view text);
// A chain of steps applied to a spec; empty text is the whole.
Result<ArraySpec> apply_view(const ArraySpec& spec, std::string_view steps);
// Splits "name[1:].T" before its first step: {"name", "[1:].T"}.
struct NameAndView {
  std::string_view name;
  std::string_view view;
};
NameAndView split_view(std::string_view text);

}  // namespace parcompute
