#include "common/array/view.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "common/base/checked.h"

namespace parcompute {
namespace {

auto refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

struct Range {
  std::int64_t start;
  std::int64_t count;
  std::int64_t step;
};

// Python's slice.indices() for a dimension of `length`.
Range clipped(const Slice& slice, std::int64_t length) {
  // A step beyond the dimension's length takes one element at most, whatever it is.
  const std::int64_t step = std::clamp(slice.step.value_or(1), -length - 1, length + 1);
  const std::int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
  const auto bound = [&](const std::optional<std::int64_t>& given, std::int64_t otherwise) {
    if (!given) return otherwise;
    const std::int64_t from_front = *given < 0 ? (*given < -length ? -1 : *given + length) : *given;
    return std::clamp(from_front, low, high);
  };
  const std::int64_t start = bound(slice.start, step < 0 ? high : low);
  const std::int64_t stop = bound(slice.stop, step < 0 ? low : high);
  const std::int64_t span = step < 0 ? start - stop : stop - start;
  const std::int64_t stride = step < 0 ? -step : step;
  return {start, span <= 0 ? 0 : (span - 1) / stride + 1, step};
}

// What an index consumes and makes, checked against the array it is for.
Result<std::size_t> axes_for_ellipsis(const ArraySpec& spec, std::span<const IndexItem> index) {
  std::size_t taken = 0, ellipses = 0;
  for (const IndexItem& item : index) {
    taken += std::holds_alternative<std::int64_t>(item) || std::holds_alternative<Slice>(item);
    ellipses += std::holds_alternative<Ellipsis>(item);
  }
  if (ellipses > 1) return refuse("an index may hold one '...' alone");
  if (taken > spec.ndim())
    return refuse(fmt::format("an index of {} axes is too long for an array of {} ({})", taken, spec.ndim(), format_shape(spec.shape)));
  return spec.ndim() - taken;
}

}  // namespace

Result<ArraySpec> indexed(const ArraySpec& spec, std::span<const IndexItem> index) {
  const auto free_axes = axes_for_ellipsis(spec, index);
  if (!free_axes) return fail(free_axes.error());
  ArraySpec view{spec.dtype, {}, {}, spec.offset};
  // Nobody has checked where an array without elements would have them.
  const bool is_empty = element_count(spec) == 0;
  std::size_t axis = 0;
  const auto keep = [&](std::size_t count) {
    for (; count > 0; --count, ++axis) {
      view.shape.push_back(spec.shape[axis]);
      view.strides.push_back(spec.strides[axis]);
    }
  };
  auto offset = static_cast<std::int64_t>(spec.offset);
  bool has_ellipsis = false;
  for (const IndexItem& item : index) {
    if (std::holds_alternative<NewAxis>(item)) {
      view.shape.push_back(1);
      view.strides.push_back(0);
    } else if (std::holds_alternative<Ellipsis>(item)) {
      has_ellipsis = true;
      keep(*free_axes);
    } else if (const auto* number = std::get_if<std::int64_t>(&item)) {
      const std::int64_t length = spec.shape[axis];
      if (*number >= length || *number < -length)
        return refuse(fmt::format("index {} is out of bounds for axis {} with {} element{}", *number, axis, length, length == 1 ? "" : "s"));
      if (!is_empty) offset += (*number < 0 ? *number + length : *number) * spec.strides[axis];
      ++axis;
    } else {
      const Slice& slice = std::get<Slice>(item);
      if (slice.step == 0) return refuse("a slice's step cannot be 0");
      const Range range = clipped(slice, spec.shape[axis]);
      if (range.count > 0 && !is_empty) offset += range.start * spec.strides[axis];
      view.shape.push_back(range.count);
      // Of one element or none the stride is never used, and might not fit.
      view.strides.push_back(range.count > 1 && !is_empty ? range.step * spec.strides[axis] : spec.strides[axis]);
      ++axis;
    }
  }
  if (!has_ellipsis) keep(*free_axes);
  if (view.ndim() > kMaxDims) return refuse(fmt::format("an array of {} dimensions was asked for; the limit is {}", view.ndim(), kMaxDims));
  view.offset = static_cast<std::uint64_t>(offset);
  return view;
}

Result<std::size_t> normalized_axis(std::int64_t axis, std::size_t ndim) {
  const auto count = static_cast<std::int64_t>(ndim);
  if (axis >= count || axis < -count)
    return refuse(fmt::format("axis {} is out of bounds for an array of {} dimension{}", axis, ndim, ndim == 1 ? "" : "s"));
  return static_cast<std::size_t>(axis < 0 ? axis + count : axis);
}

Result<ArraySpec> transposed(const ArraySpec& spec, std::span<const std::int64_t> axes) {
  ArraySpec view = spec;
  if (axes.empty()) {
    std::reverse(view.shape.begin(), view.shape.end());
    std::reverse(view.strides.begin(), view.strides.end());
    return view;
  }
  if (axes.size() != spec.ndim())
    return refuse(fmt::format("{} axes were given to transpose an array of {} dimensions", axes.size(), spec.ndim()));
  std::vector<bool> seen(spec.ndim());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normalized_axis(axes[i], spec.ndim());
    if (!axis) return fail(axis.error());
    if (seen[*axis]) return refuse(fmt::format("axis {} was given twice", axes[i]));
    seen[*axis] = true;
    view.shape[i] = spec.shape[*axis];
    view.strides[i] = spec.strides[*axis];
  }
  return view;
}

Result<ArraySpec> reshaped(const ArraySpec& spec, std::span<const std::int64_t> shape) {
  Dims dims(shape.begin(), shape.end());
  const std::uint64_t count = element_count(spec);
  std::uint64_t known = 1;
  std::int64_t* open = nullptr;
  const auto cannot = [&] {
    return refuse(fmt::format("an array of shape {} cannot be reshaped to {}", format_shape(spec.shape), format_shape(Dims(shape.begin(), shape.end()))));
  };
  for (std::int64_t& dim : dims) {
    if (dim == -1 && open == nullptr) {
      open = &dim;
    } else {
      const auto product = dim < 0 ? std::nullopt : checked_mul(known, static_cast<std::uint64_t>(dim));
      if (!product) return cannot();
      known = *product;
    }
  }
  if (open != nullptr) {
    if (known == 0 || count % known != 0) return cannot();
    *open = static_cast<std::int64_t>(count / known);
  } else if (known != count) {
    return cannot();
  }
  auto view = make_spec(spec.dtype, dims);
  if (!view) return view;
  view->offset = spec.offset;
  if (count == 0) return view;

  // Runs of old axes that lie one behind the other are matched with runs of new axes of the same number of elements.
  ArraySpec old{spec.dtype, {}, {}, 0};
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis)
    if (spec.shape[axis] != 1) {
      old.shape.push_back(spec.shape[axis]);
      old.strides.push_back(spec.strides[axis]);
    }
  std::size_t from = 0, to = 0;
  while (from < old.ndim()) {
    std::size_t from_end = from + 1, to_end = to + 1;
    std::int64_t have = old.shape[from], want = view->shape[to];
    while (have != want) {
      if (have < want)
        have *= old.shape[from_end++];
      else
        want *= view->shape[to_end++];
    }
    for (std::size_t axis = from; axis + 1 < from_end; ++axis)
      if (old.strides[axis] != old.strides[axis + 1] * old.shape[axis + 1])
        return refuse(fmt::format("an array of shape {} cannot be reshaped to {} without a copy, for its elements do not lie one behind the other: copy it first",
                                  format_shape(spec.shape), format_shape(dims)));
    std::int64_t stride = old.strides[from_end - 1];
    for (std::size_t axis = to_end; axis-- > to;) {
      view->strides[axis] = stride;
      stride *= view->shape[axis];
    }
    from = from_end;
    to = to_end;
  }
  return view;
}

Result<ArraySpec> broadcast_to(const ArraySpec& spec, const Dims& shape) {
  const auto cannot = [&] {
    return refuse(fmt::format("an array of shape {} cannot be stretched to {}", format_shape(spec.shape), format_shape(shape)));
  };
  if (shape.size() < spec.ndim()) return cannot();
  const std::size_t added = shape.size() - spec.ndim();
  ArraySpec view{spec.dtype, shape, Dims(shape.size()), spec.offset};
  for (std::size_t axis = added; axis < shape.size(); ++axis) {
    if (spec.shape[axis - added] == shape[axis])
      view.strides[axis] = spec.strides[axis - added];
    else if (spec.shape[axis - added] != 1)
      return cannot();
  }
  return view;
}

Result<Dims> broadcast_shapes(const Dims& a, const Dims& b) {
  Result<Dims> shape(tl::in_place, std::max(a.size(), b.size()));
  for (std::size_t i = 1; i <= shape->size(); ++i) {
    const std::int64_t x = i <= a.size() ? a[a.size() - i] : 1;
    const std::int64_t y = i <= b.size() ? b[b.size() - i] : 1;
    if (x != y && x != 1 && y != 1)
      return refuse(fmt::format("shapes {} and {} do not fit together: dimensions {} and {}", format_shape(a), format_shape(b), x, y));
    (*shape)[shape->size() - i] = x == 1 ? y : x;
  }
  return shape;
}

}  // namespace parcompute
