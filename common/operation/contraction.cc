#include "common/operation/contraction.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "common/array/promotion.h"

namespace parcompute {
namespace {

tl::unexpected<Error> mismatch(Operands inputs, const std::string& why) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} does not match {} for {}", format_operand(inputs[0]), format_operand(inputs[1]), why));
}

// An operand's axes outside the sum, from the left.
struct Outer {
  Dims shape, strides;
};

Outer outer_axes(const ArraySpec& spec, std::size_t count) {
  return {Dims(spec.shape.begin(), spec.shape.begin() + static_cast<std::ptrdiff_t>(count)),
          Dims(spec.strides.begin(), spec.strides.begin() + static_cast<std::ptrdiff_t>(count))};
}

// The stacks' dimensions, aligned at the right; a missing one counts as 1, and 1 stretches.
Result<void> broadcast(Operands inputs, const Outer& a, const Outer& b, std::string_view name, std::string_view axes,
                       Contraction& into) {
  const std::size_t ndim = std::max(a.shape.size(), b.shape.size());
  for (std::size_t axis = 0; axis < ndim; ++axis) {
    const auto at = [&](const Outer& outer) -> std::pair<std::int64_t, std::int64_t> {
      const std::size_t missing = ndim - outer.shape.size();
      if (axis < missing) return {1, 0};
      const std::int64_t length = outer.shape[axis - missing];
      return {length, length == 1 ? 0 : outer.strides[axis - missing]};
    };
    const auto [x, x_stride] = at(a);
    const auto [y, y_stride] = at(b);
    if (x != y && x != 1 && y != 1)
      return mismatch(inputs, fmt::format("{}: {} dimensions {} and {} (axis {})", name, axes, x, y, axis));
    into.stack.push_back(x == 1 ? y : x);
    into.a_stack.push_back(x_stride);
    into.b_stack.push_back(y_stride);
  }
  return {};
}

Result<void> demand_dimensions(Operands inputs, std::string_view name) {
  for (const OperandInfo& input : inputs)
    if (input.spec.ndim() == 0)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{} has no dimensions; {} takes 1 or more",
                                                           format_operand(input), name));
  return {};
}

// The axes of a sum: a's last; b's second to last, or only, one.
void set_matrices(const ArraySpec& a, const ArraySpec& b, Contraction& c) {
  c.k = a.shape.back();
  c.a_column = a.strides.back();
  if (a.ndim() > 1) {
    c.m = a.shape[a.ndim() - 2];
    c.a_row = a.strides[a.ndim() - 2];
  }
  if (b.ndim() > 1) {
    c.n = b.shape.back();
    c.b_row = b.strides[b.ndim() - 2];
    c.b_column = b.strides.back();
  } else {
    c.b_row = b.strides.back();
  }
}

std::int64_t summed_length(const ArraySpec& b) {
  return b.ndim() > 1 ? b.shape[b.ndim() - 2] : b.shape.back();
}

// The result's strides, in elements, for its leading axes.
Dims result_strides(const Dims& shape, std::size_t count) {
  Dims strides(count);
  std::int64_t step = 1;
  for (std::size_t axis = shape.size(); axis-- > 0; step *= std::max<std::int64_t>(shape[axis], 1))
    if (axis < count) strides[axis] = step;
  return strides;
}

Result<Contraction> contract_matmul(Operands inputs) {
  const ArraySpec& a = inputs[0].spec;
  const ArraySpec& b = inputs[1].spec;
  if (auto ok = demand_dimensions(inputs, "matmul"); !ok) return fail(ok.error());
  Contraction c;
  set_matrices(a, b, c);
  if (c.k != summed_length(b))
    return mismatch(inputs, fmt::format("matmul: inner dimensions {} and {}", c.k, summed_length(b)));
  const auto outer = [](const ArraySpec& spec) { return outer_axes(spec, spec.ndim() - std::min<std::size_t>(spec.ndim(), 2)); };
  if (auto ok = broadcast(inputs, outer(a), outer(b), "matmul", "stack", c); !ok) return fail(ok.error());
  c.shape = c.stack;
  if (a.ndim() > 1) c.shape.push_back(c.m);
  if (b.ndim() > 1) c.shape.push_back(c.n);
  c.c_row = c.n;
  return c;
}

// The result's axes are a's, then b's, without those of the sum: a's other axes and b's become the stack.
Result<Contraction> contract_dot(Operands inputs) {
  const ArraySpec& a = inputs[0].spec;
  const ArraySpec& b = inputs[1].spec;
  if (auto ok = demand_dimensions(inputs, "dot"); !ok) return fail(ok.error());
  Contraction c;
  set_matrices(a, b, c);
  if (c.k != summed_length(b))
    return mismatch(inputs, fmt::format("dot: {}'s last dimension {} and {}'s {} dimension {}", inputs[0].label, c.k,
                                        inputs[1].label, b.ndim() > 1 ? "second to last" : "only", summed_length(b)));
  const Outer left = outer_axes(a, a.ndim() - std::min<std::size_t>(a.ndim(), 2));
  const Outer right = outer_axes(b, b.ndim() - std::min<std::size_t>(b.ndim(), 2));
  c.shape = left.shape;
  if (a.ndim() > 1) c.shape.push_back(c.m);
  const std::size_t right_begins = c.shape.size();
  c.shape.insert(c.shape.end(), right.shape.begin(), right.shape.end());
  if (b.ndim() > 1) c.shape.push_back(c.n);

  if (!make_spec(DType::kBool, c.shape)) return c;  // too large to have strides: contract() says so
  const Dims steps = result_strides(c.shape, c.shape.size());
  c.c_row = a.ndim() > 1 ? steps[right_begins - 1] : c.n;
  // b's axes first, so that a's rows and its axes before them can become one.
  for (std::size_t axis = 0; axis < right.shape.size(); ++axis) {
    c.stack.push_back(right.shape[axis]);
    c.a_stack.push_back(0);
    c.b_stack.push_back(right.strides[axis]);
    c.c_stack.push_back(steps[right_begins + axis]);
  }
  for (std::size_t axis = 0; axis < left.shape.size(); ++axis) {
    c.stack.push_back(left.shape[axis]);
    c.a_stack.push_back(left.strides[axis]);
    c.b_stack.push_back(0);
    c.c_stack.push_back(steps[axis]);
  }
  return c;
}

Result<Contraction> contract_vecdot(Operands inputs) {
  const ArraySpec& a = inputs[0].spec;
  const ArraySpec& b = inputs[1].spec;
  if (auto ok = demand_dimensions(inputs, "vecdot"); !ok) return fail(ok.error());
  Contraction c;
  c.k = a.shape.back();
  if (c.k != b.shape.back())
    return mismatch(inputs, fmt::format("vecdot: last dimensions {} and {}", c.k, b.shape.back()));
  c.a_column = a.strides.back();
  c.b_row = b.strides.back();
  c.c_row = 1;
  c.conjugates = true;
  if (auto ok = broadcast(inputs, outer_axes(a, a.ndim() - 1), outer_axes(b, b.ndim() - 1), "vecdot", "leading", c); !ok)
    return fail(ok.error());
  c.shape = c.stack;
  return c;
}

void drop_axis(Contraction& c, std::size_t axis) {
  for (Dims* dims : {&c.stack, &c.a_stack, &c.b_stack, &c.c_stack}) dims->erase(dims->begin() + static_cast<std::ptrdiff_t>(axis));
}

// The innermost axis of the stack becomes rows where it, too, meets one matrix (or each row its own vector), and where
// rows go on over it in even steps.
void merge_into_rows(Contraction& c, bool each_its_own) {
  while (!c.stack.empty()) {
    const std::size_t last = c.stack.size() - 1;
    const bool one_row = c.m == 1;
    const auto goes_on = [&](std::int64_t stack_stride, std::int64_t row_stride) {
      return one_row || stack_stride == c.m * row_stride;
    };
    if (!goes_on(c.a_stack[last], c.a_row) || !goes_on(c.c_stack[last], c.c_row)) return;
    if (each_its_own ? !goes_on(c.b_stack[last], c.b_by_row) : c.b_stack[last] != 0) return;
    if (one_row) {
      c.a_row = c.a_stack[last];
      c.c_row = c.c_stack[last];
      if (each_its_own) c.b_by_row = c.b_stack[last];
    }
    c.m *= c.stack[last];
    drop_axis(c, last);
  }
}

void simplify(Contraction& c) {
  if (c.c_stack.empty()) c.c_stack = result_strides(c.shape, c.stack.size());
  for (std::size_t axis = c.stack.size(); axis-- > 0;)
    if (c.stack[axis] == 1) drop_axis(c, axis);
  const bool empty = std::find(c.shape.begin(), c.shape.end(), 0) != c.shape.end();
  if (!empty) merge_into_rows(c, c.conjugates);
  if (c.m == 1 && c.n > 1) {
    std::swap(c.a_stack, c.b_stack);
    c.a_row = std::exchange(c.b_column, 0);
    c.a_column = std::exchange(c.b_row, c.a_column);
    c.m = std::exchange(c.n, 1);
    c.c_row = 1;
    c.is_swapped = true;
  }
}

}  // namespace

Result<Contraction> contract(const wire::Operation& operation, Operands inputs) {
  using K = wire::Operation::KindCase;
  const K kind = operation.kind_case();
  auto c = kind == K::kDot ? contract_dot(inputs) : kind == K::kVecdot ? contract_vecdot(inputs) : contract_matmul(inputs);
  if (!c) return c;
  c->dtype = promote(inputs[0].spec.dtype, inputs[1].spec.dtype);
  if (auto fits = make_spec(c->dtype, c->shape); !fits)
    return fail(fits.error().code, fmt::format("the product of {} and {}: {}", format_operand(inputs[0]),
                                               format_operand(inputs[1]), fits.error().message));
  simplify(*c);
  return c;
}

}  // namespace parcompute
