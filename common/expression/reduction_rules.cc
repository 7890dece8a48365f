// Reductions by NumPy's names, rewritten to the few reducers that stages have.
#include <array>
#include <limits>

#include <fmt/format.h>

#include "common/array/view.h"
#include "common/expression/rules.h"

namespace parcompute::expression {
namespace {

bool is_whole(DType dtype) {
  return info(dtype).kind != Kind::kFloat && info(dtype).kind != Kind::kComplex;
}

// What one reduction goes over.
struct Extent {
  std::vector<bool> axes;
  Dims shape;               // of the result
  std::uint64_t count = 1;  // elements that become one
};

Result<Extent> extent_of(const Terms& terms, const Rules& rules, const ReductionCall& call) {
  const Dims& shape = terms[call.x].shape;
  Extent extent{std::vector<bool>(shape.size(), !call.axes), {}, 1};
  if (call.axes) {
    for (const std::int64_t given : *call.axes) {
      const auto axis = normalized_axis(given, shape.size());
      if (!axis) return rules.refuse(axis.error().message);
      if (extent.axes[*axis]) return rules.refuse(fmt::format("axis {} is given twice", given));
      extent.axes[*axis] = true;
    }
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (extent.axes[axis]) extent.count *= static_cast<std::uint64_t>(shape[axis]);
    if (!extent.axes[axis] || call.keepdims) extent.shape.push_back(extent.axes[axis] ? 1 : shape[axis]);
  }
  return extent;
}

Result<TermId> reduce(Terms& terms, const Rules& rules, const ReductionCall& call, Reducer reducer, DType dtype) {
  auto extent = extent_of(terms, rules, call);
  if (!extent) return fail(extent.error());
  bool answers = false;
  for (const std::int64_t dim : extent->shape) answers = answers || dim == 0;
  if (extent->count == 0 && !has_identity(reducer) && !answers)
    return rules.refuse(fmt::format("{} of no elements has no answer (the operand's shape is {}),", name(reducer), format_shape(terms[call.x].shape)));
  Term term;
  term.kind = Term::Kind::kReduce;
  term.dtype = dtype;
  term.shape = extent->shape;
  term.in = {call.x};
  term.reduction = {reducer, std::move(extent->axes), call.keepdims, reducer == Reducer::kVar ? call.ddof : 0, dtype};
  return terms.add(std::move(term));
}

ReductionCall with(const ReductionCall& call, TermId x) {
  ReductionCall other = call;
  other.x = x;
  return other;
}

DType sum_dtype(DType dtype) {
  if (!is_whole(dtype)) return dtype;
  return info(dtype).kind == Kind::kUnsigned ? DType::kUint64 : DType::kInt64;
}
// In which floats of 32 bits are added up.
DType wide(DType dtype) {
  return dtype == DType::kFloat32 ? DType::kFloat64 : dtype == DType::kComplex64 ? DType::kComplex128 : dtype;
}

Result<TermId> sum(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return reduce(terms, rules, call, Reducer::kSum, sum_dtype(terms[call.x].dtype));
}
Result<TermId> prod(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return reduce(terms, rules, call, Reducer::kProd, sum_dtype(terms[call.x].dtype));
}
template <Reducer kReducer, Reducer kOfTruths>
Result<TermId> extreme(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const DType dtype = terms[call.x].dtype;
  if (dtype == DType::kBool) {
    // The same answer; but of nothing there is none.
    const auto extent = extent_of(terms, rules, call);
    if (extent && extent->count == 0) return reduce(terms, rules, call, kReducer, dtype);
    return reduce(terms, rules, call, kOfTruths, dtype);
  }
  constexpr bool kIgnoresNan = kReducer == Reducer::kFmin || kReducer == Reducer::kFmax;
  if (kIgnoresNan && is_whole(dtype)) return reduce(terms, rules, call, kReducer == Reducer::kFmin ? Reducer::kMin : Reducer::kMax, dtype);
  return reduce(terms, rules, call, kReducer, dtype);
}
template <Reducer kReducer>
Result<TermId> truth(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return reduce(terms, rules, with(call, terms.cast(call.x, DType::kBool)), kReducer, DType::kBool);
}
template <Reducer kReducer>
Result<TermId> position(Terms& terms, const Rules& rules, const ReductionCall& call) {
  if (call.axes && call.axes->size() != 1) return rules.refuse(fmt::format("{} takes one axis or none,", name(kReducer)));
  const bool whole = is_whole(terms[call.x].dtype);
  const Reducer reducer = !whole ? kReducer : kReducer == Reducer::kNanargmin ? Reducer::kArgmin : kReducer == Reducer::kNanargmax ? Reducer::kArgmax : kReducer;
  return reduce(terms, rules, call, reducer, DType::kInt64);
}
Result<TermId> count_nonzero(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return reduce(terms, rules, with(call, terms.cast(call.x, DType::kBool)), Reducer::kSum, DType::kInt64);
}

// ---- of sums

// x / count, in x's own dtype.
Result<TermId> divide(Terms& terms, const Rules& rules, TermId x, double count) {
  const auto divisor = rules.as(Weak(count), terms[x].dtype);
  return divisor ? rules.element(Op::kDivide, {x, *divisor}, "'/'") : divisor;
}

Result<TermId> mean(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const auto extent = extent_of(terms, rules, call);
  if (!extent) return fail(extent.error());
  const DType dtype = terms[call.x].dtype;
  const auto count = static_cast<double>(extent->count);
  // Whole numbers of up to 32 bits have an exact sum; wider ones might wrap.
  const bool exact = is_whole(dtype) && itemsize(dtype) <= 4 && extent->count < (std::uint64_t{1} << 31);
  const TermId x = is_whole(dtype) && !exact ? terms.cast(call.x, DType::kFloat64) : call.x;
  const auto total = reduce(terms, rules, with(call, x), Reducer::kSum, exact ? sum_dtype(dtype) : wide(terms[x].dtype));
  if (!total) return total;
  const auto quotient = divide(terms, rules, is_whole(dtype) ? terms.cast(*total, DType::kFloat64) : *total, count);
  return quotient && !is_whole(dtype) ? Result<TermId>(terms.cast(*quotient, dtype)) : quotient;
}

Result<TermId> variance_in(Terms& terms, const Rules& rules, const ReductionCall& call, DType dtype) {
  const DType from = terms[call.x].dtype;
  return reduce(terms, rules, with(call, is_whole(from) ? terms.cast(call.x, DType::kFloat64) : call.x), Reducer::kVar, dtype);
}
DType real_result(DType dtype) {
  return is_whole(dtype) ? DType::kFloat64 : real_dtype(dtype);
}
Result<TermId> var(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return variance_in(terms, rules, call, real_result(terms[call.x].dtype));
}
Result<TermId> root_of(Terms& terms, const Rules& rules, const Result<TermId>& square, DType dtype) {
  if (!square) return square;
  const auto root = rules.element(Op::kSqrt, {*square}, "'sqrt'");
  return root ? Result<TermId>(terms.cast(*root, dtype)) : root;
}
Result<TermId> std_deviation(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return root_of(terms, rules, variance_in(terms, rules, call, DType::kFloat64), real_result(terms[call.x].dtype));
}
// |x|^2 in float64
Result<TermId> squared(Terms& terms, const Rules& rules, TermId x) {
  if (info(terms[x].dtype).kind != Kind::kComplex) return rules.element(Op::kSquare, {terms.cast(x, DType::kFloat64)}, "'square'");
  const TermId z = terms.cast(x, DType::kComplex128);
  const auto real = rules.element(Op::kReal, {z}, "'real'"), imag = rules.element(Op::kImag, {z}, "'imag'");
  const auto a = rules.element(Op::kSquare, {*real}, "'square'"), b = rules.element(Op::kSquare, {*imag}, "'square'");
  return rules.element(Op::kAdd, {*a, *b}, "'+'");
}
Result<TermId> norm(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const auto squares = squared(terms, rules, call.x);
  if (!squares) return squares;
  return root_of(terms, rules, reduce(terms, rules, with(call, *squares), Reducer::kSum, DType::kFloat64), real_result(terms[call.x].dtype));
}
Result<TermId> ptp(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const auto high = extreme<Reducer::kMax, Reducer::kAny>(terms, rules, call);
  if (!high) return high;
  const auto low = extreme<Reducer::kMin, Reducer::kAll>(terms, rules, call);
  return low ? rules.element(Op::kSubtract, {*high, *low}, "'ptp'") : low;
}

// ---- that pass over NaN

// x with `instead` where it is NaN
Result<TermId> without_nan(Terms& terms, const Rules& rules, TermId x, Integer instead) {
  if (is_whole(terms[x].dtype)) return x;
  const auto is_nan = rules.element(Op::kIsnan, {x}, "'isnan'");
  return is_nan ? rules.element(Op::kWhere, {*is_nan, Weak(instead), x}, "'where'") : is_nan;
}
// How many are no NaN, as a float64.
Result<TermId> count_numbers(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const auto is_nan = rules.element(Op::kIsnan, {call.x}, "'isnan'");
  const auto is_number = is_nan ? rules.element(Op::kInvert, {*is_nan}, "'~'") : is_nan;
  if (!is_number) return is_number;
  const auto count = reduce(terms, rules, with(call, *is_number), Reducer::kSum, DType::kInt64);
  return count ? Result<TermId>(terms.cast(*count, DType::kFloat64)) : count;
}
template <ReductionRule kRule, int kInstead>
Result<TermId> of_numbers(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const auto x = without_nan(terms, rules, call.x, kInstead);
  return x ? kRule(terms, rules, with(call, *x)) : x;
}
Result<TermId> nanmean(Terms& terms, const Rules& rules, const ReductionCall& call) {
  const DType dtype = terms[call.x].dtype;
  if (is_whole(dtype)) return mean(terms, rules, call);
  const auto x = without_nan(terms, rules, call.x, 0);
  if (!x) return x;
  const auto total = reduce(terms, rules, with(call, *x), Reducer::kSum, wide(dtype));
  const auto count = count_numbers(terms, rules, call);
  if (!total || !count) return total ? count : total;
  const auto quotient = rules.element(Op::kDivide, {*total, terms.cast(*count, terms[*total].dtype)}, "'/'");
  return quotient ? Result<TermId>(terms.cast(*quotient, dtype)) : quotient;
}
Result<TermId> nanvar_in(Terms& terms, const Rules& rules, const ReductionCall& call, DType dtype) {
  if (is_whole(terms[call.x].dtype)) return variance_in(terms, rules, call, dtype);
  const TermId x = terms.cast(call.x, wide(terms[call.x].dtype));
  ReductionCall kept = with(call, x);
  kept.keepdims = true;
  const auto centre = nanmean(terms, rules, kept);
  if (!centre) return centre;
  const auto difference = rules.element(Op::kSubtract, {x, *centre}, "'-'");
  // Of x's NaNs alone: an infinite element's difference is NaN, too, and so is the answer.
  const auto is_nan = rules.element(Op::kIsnan, {x}, "'isnan'");
  if (!difference || !is_nan) return difference ? is_nan : difference;
  const auto known = rules.element(Op::kWhere, {*is_nan, Weak(Integer{0}), *difference}, "'where'");
  const auto squares = known ? squared(terms, rules, *known) : known;
  if (!squares) return squares;
  const auto total = reduce(terms, rules, with(call, *squares), Reducer::kSum, DType::kFloat64);
  const auto count = count_numbers(terms, rules, with(call, x));
  if (!total || !count) return total ? count : total;
  // As NumPy's: no answer (NaN) where ddof leaves nothing to divide by.
  const auto freedom = rules.element(Op::kSubtract, {*count, Weak(call.ddof)}, "'-'");
  const auto enough = rules.element(Op::kGreater, {*freedom, Weak(0.0)}, "'>'");
  const auto quotient = rules.element(Op::kDivide, {*total, *freedom}, "'/'");
  const auto answer = rules.element(Op::kWhere, {*enough, *quotient, Weak(std::numeric_limits<double>::quiet_NaN())}, "'where'");
  return answer ? Result<TermId>(terms.cast(*answer, dtype)) : answer;
}
Result<TermId> nanvar(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return nanvar_in(terms, rules, call, real_result(terms[call.x].dtype));
}
Result<TermId> nanstd(Terms& terms, const Rules& rules, const ReductionCall& call) {
  return root_of(terms, rules, nanvar_in(terms, rules, call, DType::kFloat64), real_result(terms[call.x].dtype));
}

struct Row {
  std::string_view name;
  ReductionRule rule;
};
constexpr std::array<Row, 25> kRows{{
    {"sum", sum},
    {"prod", prod},
    {"min", extreme<Reducer::kMin, Reducer::kAll>},
    {"amin", extreme<Reducer::kMin, Reducer::kAll>},
    {"max", extreme<Reducer::kMax, Reducer::kAny>},
    {"amax", extreme<Reducer::kMax, Reducer::kAny>},
    {"mean", mean},
    {"var", var},
    {"std", std_deviation},
    {"any", truth<Reducer::kAny>},
    {"all", truth<Reducer::kAll>},
    {"argmin", position<Reducer::kArgmin>},
    {"argmax", position<Reducer::kArgmax>},
    {"count_nonzero", count_nonzero},
    {"norm", norm},
    {"ptp", ptp},
    {"nansum", of_numbers<sum, 0>},
    {"nanprod", of_numbers<prod, 1>},
    {"nanmin", extreme<Reducer::kFmin, Reducer::kAll>},
    {"nanmax", extreme<Reducer::kFmax, Reducer::kAny>},
    {"nanmean", nanmean},
    {"nanvar", nanvar},
    {"nanstd", nanstd},
    {"nanargmin", position<Reducer::kNanargmin>},
    {"nanargmax", position<Reducer::kNanargmax>},
}};

}  // namespace

ReductionRule find_reduction(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return row.rule;
  return nullptr;
}

}  // namespace parcompute::expression

namespace parcompute {

std::vector<std::string> reduction_names() {
  std::vector<std::string> names;
  for (const auto& row : expression::kRows) names.emplace_back(row.name);
  return names;
}

}  // namespace parcompute
