#include "common/expression/rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/array/promotion.h"

namespace parcompute::expression {
namespace {

bool is_comparison(Op op) {
  return op >= Op::kEqual && op <= Op::kGreaterEqual;
}
bool is_integer(DType dtype) {
  return info(dtype).kind == Kind::kSigned || info(dtype).kind == Kind::kUnsigned;
}

Op mirrored(Op op) {
  switch (op) {
    case Op::kLess: return Op::kGreater;
    case Op::kLessEqual: return Op::kGreaterEqual;
    case Op::kGreater: return Op::kLess;
    case Op::kGreaterEqual: return Op::kLessEqual;
    default: return op;
  }
}

// What an op of numbers is on truths. Nothing: it has no meaning there, or takes them as int8.
std::optional<Op> on_truths(Op op) {
  switch (op) {
    case Op::kAdd:
    case Op::kMaximum:
    case Op::kFmax: return Op::kBitwiseOr;
    case Op::kMultiply:
    case Op::kMinimum:
    case Op::kFmin: return Op::kBitwiseAnd;
    default: return std::nullopt;
  }
}

// Ops that leave some dtypes as they are.
bool is_identity(Op op, Kind kind) {
  const bool real = kind != Kind::kComplex, whole = real && kind != Kind::kFloat;
  switch (op) {
    case Op::kFloor:
    case Op::kCeil:
    case Op::kTrunc: return whole;
    case Op::kConjugate: return real && kind != Kind::kBool;
    case Op::kReal: return real;
    case Op::kAbsolute: return kind == Kind::kBool || kind == Kind::kUnsigned;
    default: return false;
  }
}

// Questions that have one answer for every whole number.
std::optional<bool> one_answer(Op op, Kind kind) {
  if (kind == Kind::kFloat || kind == Kind::kComplex) return std::nullopt;
  switch (op) {
    case Op::kIsnan:
    case Op::kIsinf: return false;
    case Op::kIsfinite: return true;
    default: return std::nullopt;
  }
}

// Of whole numbers: the float that holds each of them. int8 beside uint16 is int32, but both fit float32. A number that is written
// counts beside truths alone, for it is an int64 there.
DType float_for_each(const Terms& terms, const std::vector<Value>& values, DType common) {
  std::optional<DType> wanted;
  if (common == DType::kInt64 && std::any_of(values.begin(), values.end(), [](const Value& value) { return std::holds_alternative<Weak>(value); }) &&
      std::all_of(values.begin(), values.end(), [&](const Value& value) {
        const auto* term = std::get_if<TermId>(&value);
        return term == nullptr || terms[*term].dtype == DType::kBool;
      }))
    return promotion::float_for(common);
  for (const Value& value : values)
    if (const auto* term = std::get_if<TermId>(&value)) {
      const DType own = promotion::float_for(terms[*term].dtype);
      wanted = wanted ? promote(*wanted, own) : own;
    }
  return wanted.value_or(promotion::float_for(common));
}

std::string kinds_text(KindSet kinds) {
  std::string text;
  for (const auto& [kind, word] : {std::pair{kB, "bool"}, {kI, "signed integers"}, {kU, "unsigned integers"}, {kF, "floats"}, {kC, "complex numbers"}})
    if ((kinds & kind) != 0) text += fmt::format("{}{}", text.empty() ? "" : ", ", word);
  return text;
}

}  // namespace

Result<DType> Rules::common_dtype(const std::vector<Value>& values) const {
  std::optional<DType> strong;
  for (const Value& value : values)
    if (const auto* term = std::get_if<TermId>(&value)) strong = strong ? promote(*strong, terms_[*term].dtype) : terms_[*term].dtype;
  // Numbers among themselves: the widest kind decides, so they are asked in any order, twice.
  std::optional<DType> common = strong;
  for (int round = 0; round < 2; ++round)
    for (const Value& value : values)
      if (const auto* number = std::get_if<Weak>(&value)) common = dtype_beside(*number, common);
  return *common;
}

Result<TermId> Rules::as(const Value& value, DType dtype) const {
  if (const auto* term = std::get_if<TermId>(&value)) return terms_.cast(*term, dtype);
  const auto element = element_of(std::get<Weak>(value), dtype);
  if (!element) return refuse(element.error().message);
  return terms_.constant(dtype, *element);
}

Result<TermId> Rules::as_term(const Value& value) const {
  if (const auto* term = std::get_if<TermId>(&value)) return *term;
  return as(value, dtype_beside(std::get<Weak>(value), std::nullopt));
}

Result<TermId> Rules::as_term_then_cast(const Value& value, DType dtype) const {
  const auto term = as_term(value);
  return term ? Result<TermId>(terms_.cast(*term, dtype)) : term;
}

Result<TermId> Rules::apply(Op op, std::vector<TermId> in) const {
  auto term = terms_.apply(op, std::move(in));
  if (!term) return refuse(term.error().message);
  return term;
}

Result<TermId> Rules::uniform(Op op, const std::vector<Value>& values, DType dtype) const {
  std::vector<TermId> in;
  for (const Value& value : values) {
    const auto term = as(value, dtype);
    if (!term) return term;
    in.push_back(*term);
  }
  return apply(op, std::move(in));
}

// int64 beside uint64: no integer dtype holds both, so the sign is asked for first. Exact, as in NumPy 2.
Result<TermId> Rules::compare_signs(Op op, TermId with_sign, TermId without) const {
  const auto zero = terms_.constant_of(std::int64_t{0});
  const auto negative = apply(Op::kLess, {terms_.cast(with_sign, DType::kInt64), zero});
  if (!negative) return negative;
  const auto compared = apply(op, {terms_.cast(with_sign, DType::kUint64), without});
  if (!compared) return compared;
  // A negative number is less than any without a sign, and never equal to it.
  const bool answer = op == Op::kLess || op == Op::kLessEqual || op == Op::kNotEqual;
  return apply(Op::kWhere, {*negative, terms_.constant_of(answer), *compared});
}

Result<TermId> Rules::compare(Op op, const std::vector<Value>& values) const {
  // A whole number outside an integer dtype's range is less or more than all of its elements.
  for (std::size_t i = 0; i < 2; ++i) {
    const auto* number = std::get_if<Weak>(&values[i]);
    const auto* term = std::get_if<TermId>(&values[1 - i]);
    if (number == nullptr || term == nullptr) continue;
    const auto* whole = std::get_if<Integer>(number);
    if (whole == nullptr || !is_integer(terms_[*term].dtype) || fits(*whole, terms_[*term].dtype)) continue;
    const Op from_term = i == 1 ? op : mirrored(op);  // term op number
    const bool answer = from_term == Op::kNotEqual || (*whole > 0 ? from_term == Op::kLess || from_term == Op::kLessEqual
                                                                  : from_term == Op::kGreater || from_term == Op::kGreaterEqual);
    return terms_.constant_of(answer, terms_[*term].shape);
  }
  if (std::holds_alternative<TermId>(values[0]) && std::holds_alternative<TermId>(values[1])) {
    const TermId x = std::get<TermId>(values[0]), y = std::get<TermId>(values[1]);
    const DType dx = terms_[x].dtype, dy = terms_[y].dtype;
    if (is_integer(dx) && is_integer(dy) && promote(dx, dy) == DType::kFloat64)
      return info(dx).kind == Kind::kSigned ? compare_signs(op, x, y) : compare_signs(mirrored(op), y, x);
  }
  const auto dtype = common_dtype(values);
  return dtype ? uniform(op, values, *dtype) : fail(dtype.error());
}

// NumPy computes the exponents 2, 1, 0.5 and -1 without a power function, where they are numbers.
Result<TermId> Rules::power(const std::vector<Value>& values) const {
  const auto dtype = common_dtype(values);
  if (!dtype) return fail(dtype.error());
  const bool inexact = info(*dtype).kind == Kind::kFloat || info(*dtype).kind == Kind::kComplex;
  if (const auto* exponent = std::get_if<Weak>(&values[1]); exponent != nullptr && exponent->index() < 2) {
    const double number = exponent->index() == 0 ? static_cast<double>(std::get<Integer>(*exponent)) : std::get<double>(*exponent);
    if (!inexact && number < 0) return refuse("integers to negative integer powers have no integer result (write a float exponent)");
    const std::vector<Value> base{values[0]};
    if (*dtype != DType::kBool && number == 2) return uniform(Op::kSquare, base, *dtype);
    if (number == 1) return as(values[0], *dtype);
    if (inexact && number == 0.5) return uniform(Op::kSqrt, base, *dtype);
    if (inexact && number == -1) return uniform(Op::kReciprocal, base, *dtype);
  }
  if (*dtype == DType::kBool) return uniform(Op::kPower, values, DType::kInt8);
  return uniform(Op::kPower, values, *dtype);
}

Result<TermId> Rules::element(Op op, const std::vector<Value>& values, std::string_view written) const {
  if (op == Op::kWhere) {
    const auto condition = as_truth(values[0]);
    if (!condition) return condition;
    const std::vector<Value> choices{values[1], values[2]};
    const auto dtype = common_dtype(choices);
    if (!dtype) return fail(dtype.error());
    const auto x = as(values[1], *dtype), y = as(values[2], *dtype);
    if (!x || !y) return x ? y : x;
    return apply(op, {*condition, *x, *y});
  }
  if (is_comparison(op)) return compare(op, values);
  if (op == Op::kPower) return power(values);

  const auto common = common_dtype(values);
  if (!common) return fail(common.error());
  DType dtype = *common;
  const Kind kind = info(dtype).kind;
  if (is_identity(op, kind)) return as(values[0], dtype);
  if (const auto answer = one_answer(op, kind)) {
    const auto term = as_term(values[0]);
    return term ? Result<TermId>(terms_.constant_of(*answer, terms_[*term].shape)) : term;
  }
  if (op == Op::kImag && kind != Kind::kComplex) {
    const auto term = as_term(values[0]);
    return term ? Result<TermId>(terms_.constant(dtype, {}, terms_[*term].shape)) : term;
  }
  if (kind == Kind::kBool) {
    if (const auto logical = on_truths(op)) return uniform(*logical, values, dtype);
    if (op == Op::kConjugate) return as(values[0], DType::kInt8);  // NumPy's: there is no loop for bool
    if (op == Op::kNegative) return refuse("'-' takes no bool (write ~x to negate a truth)");
    if (op == Op::kSubtract) return refuse("'-' takes no two bools (write x ^ y)");
  }
  if (op == Op::kFmin && kind != Kind::kFloat && kind != Kind::kComplex) op = Op::kMinimum;
  if (op == Op::kFmax && kind != Kind::kFloat && kind != Kind::kComplex) op = Op::kMaximum;

  const KindSet takes = info(op).kinds;
  if ((takes & kind_set(dtype)) == 0) {
    const bool whole = kind != Kind::kFloat && kind != Kind::kComplex;
    if (kind == Kind::kBool && (takes & kI) != 0 && op != Op::kSign)
      dtype = DType::kInt8;
    else if (whole && (takes & kIU) == 0 && (takes & kF) != 0)
      dtype = op == Op::kDivide ? DType::kFloat64 : float_for_each(terms_, values, dtype);
    else
      return refuse(fmt::format("{} takes {}, not {}{},", written, kinds_text(takes), name(dtype), op == Op::kBitwiseXor ? " (write ** for powers)" : ""));
  }
  return uniform(op, values, dtype);
}

}  // namespace parcompute::expression
