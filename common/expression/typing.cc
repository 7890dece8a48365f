// From syntax to terms: names, functions and operators find their meaning and their dtypes.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>

#include <fmt/format.h>

#include "common/array/promotion.h"
#include "common/array/view.h"
#include "common/base/suggestion.h"
#include "common/expression/arguments.h"
#include "common/expression/functions.h"
#include "common/expression/hints.h"
#include "common/expression/rules.h"

namespace parcompute {
namespace {

using namespace expression;

struct OperatorRow {
  std::string_view text;
  Op op;
};
constexpr std::array<OperatorRow, 18> kOperators{{
    {"+", Op::kAdd}, {"-", Op::kSubtract}, {"*", Op::kMultiply}, {"/", Op::kDivide}, {"//", Op::kFloorDivide}, {"%", Op::kRemainder},
    {"**", Op::kPower}, {"&", Op::kBitwiseAnd}, {"|", Op::kBitwiseOr}, {"^", Op::kBitwiseXor}, {"<<", Op::kLeftShift}, {">>", Op::kRightShift},
    {"==", Op::kEqual}, {"!=", Op::kNotEqual}, {"<", Op::kLess}, {"<=", Op::kLessEqual}, {">", Op::kGreater}, {">=", Op::kGreaterEqual},
}};

struct ConstantRow {
  std::string_view name;
  double value;
};
constexpr std::array<ConstantRow, 6> kConstants{{
    {"pi", std::numbers::pi},
    {"e", std::numbers::e},
    {"inf", std::numeric_limits<double>::infinity()},
    {"nan", std::numeric_limits<double>::quiet_NaN()},
    {"Inf", std::numeric_limits<double>::infinity()},
    {"NaN", std::numeric_limits<double>::quiet_NaN()},
}};

class Typer {
 public:
  Typer(const Syntax& syntax, std::span<const ExpressionOperand> operands, std::span<const std::string> known)
      : syntax_(syntax), operands_(operands), known_names_(known) {}

  Result<Evaluation> run(std::optional<DType> dtype) {
    // A chain such as a + b + c + ... leans to the left as deep as it is long. Its innermost operation comes first among the
    // nodes: asked for in that order, none has to go down the chain.
    known_.resize(syntax_.nodes.size());
    for (NodeId id = 0; id < syntax_.nodes.size(); ++id)
      if (node(id).kind == Node::Kind::kBinary)
        if (const auto value = type(id); !value) return fail(value.error());
    const auto value = type(syntax_.root);
    if (!value) return fail(value.error());
    const Rules rules(terms_, node(syntax_.root).column);
    auto term = rules.as_term(*value);
    if (!term) return fail(term.error());
    return schedule(terms_, dtype ? terms_.cast(*term, *dtype) : *term);
  }

 private:
  const Node& node(NodeId id) const { return syntax_.nodes[id]; }

  Result<Value> type(NodeId id) {
    if (known_[id]) return *known_[id];
    auto value = type_anew(id);
    if (value) known_[id] = *value;
    return value;
  }

  Result<Value> type_anew(NodeId id) {
    const Node& at = node(id);
    switch (at.kind) {
      case Node::Kind::kInteger: return Value(Weak(Integer{at.magnitude}));
      case Node::Kind::kReal: return Value(Weak(at.number));
      case Node::Kind::kImaginary: return Value(Weak(std::complex<double>(0, at.number)));
      case Node::Kind::kName: return type_name(at);
      case Node::Kind::kUnary: return type_unary(at);
      case Node::Kind::kBinary: return type_binary(at);
      case Node::Kind::kCall: return type_call(at);
      case Node::Kind::kTuple: return fail_at(at.column, "a tuple stands where a value is expected");
    }
    __builtin_unreachable();
  }

  static Result<Value> value_of(Result<TermId> term) {
    return term ? Result<Value>(Value(*term)) : fail(term.error());
  }

  Result<Value> type_name(const Node& at) {
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      if (operands_[i].name != at.text) continue;
      auto view = apply_view(operands_[i].spec, at.view);
      if (!view) return fail_at(at.column, fmt::format("'{}' ({}): {}{},", at.text, format_spec(operands_[i].spec), view.error().message, index_hint(at.text, at.view)));
      Term term;
      term.kind = Term::Kind::kOperand;
      term.dtype = view->dtype;
      term.shape = view->shape;
      term.operand = static_cast<std::uint32_t>(i);
      term.view = *std::move(view);
      return Value(terms_.add(std::move(term)));
    }
    for (const ConstantRow& row : kConstants) {
      if (row.name != at.text) continue;
      if (!at.view.empty()) return fail_at(at.column, fmt::format("'{}' is one number, of which there is no '{}',", at.text, at.view));
      return Value(Weak(row.value));
    }
    if (at.view.empty() && (at.text == "True" || at.text == "False")) return Value(terms_.constant_of(at.text == "True"));
    return unknown(at.column, fmt::format("unknown name '{}'", at.text), at.text, false);
  }

  // With "did you mean".
  tl::unexpected<Error> unknown(std::uint32_t column, const std::string& sentence, std::string_view word, bool is_call) const {
    std::vector<std::string> functions = function_names(), values;
    for (std::string& name : reduction_names()) functions.push_back(std::move(name));
    for (const DTypeInfo& row : kDTypes) functions.emplace_back(row.name);
    for (const ExpressionOperand& operand : operands_) values.push_back(operand.name);
    values.insert(values.end(), known_names_.begin(), known_names_.end());
    for (std::string& name : constant_names()) values.push_back(std::move(name));
    const auto has = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), word) != names.end(); };
    std::string hint;
    ErrorCode code = ErrorCode::kInvalidArgument;
    if (const auto told = is_call ? function_hint(word) : name_hint(word)) {
      hint = fmt::format(", {}", *told);
    } else if (is_call && has(values)) {
      hint = ", which is no function: write * to multiply";
    } else if (!is_call && has(functions)) {
      hint = fmt::format(", which is a function: write {}(...)", word);
    } else {
      if (!is_call) {
        // What a name stands for is more often meant to be an array than a function, and 'e' is near to too much.
        code = ErrorCode::kNotFound;
        functions.insert(functions.begin(), values.begin(), values.end());
        std::erase(functions, "e");
      }
      if (word.size() > 1) hint = suggestion(word, functions);
      if (hint.starts_with(';')) hint[0] = ',';
    }
    return fail(code, fmt::format("{} at column {}{}", sentence, column, hint));
  }
  static tl::unexpected<Error> fail_at(std::uint32_t column, std::string_view sentence) { return parcompute::fail_at(column, sentence); }

  Result<Value> type_unary(const Node& at) {
    const auto x = type(at.left);
    if (!x) return x;
    if (const auto* number = std::get_if<Weak>(&*x)) {
      auto folded = fold_unary(at.text, *number);
      return folded ? Result<Value>(Value(*std::move(folded))) : fail_at(at.column, folded.error().message);
    }
    const Rules rules(terms_, at.column);
    if (at.text == "+") {
      if (terms_[std::get<TermId>(*x)].dtype == DType::kBool) return fail_at(at.column, "'+' takes no bool (write int64(x) for numbers)");
      return x;
    }
    return value_of(rules.element(at.text == "-" ? Op::kNegative : Op::kInvert, {*x}, fmt::format("'{}'", at.text)));
  }

  Result<Value> type_binary(const Node& at) {
    const auto row = std::find_if(kOperators.begin(), kOperators.end(), [&](const OperatorRow& candidate) { return candidate.text == at.text; });
    const auto x = type(at.left);
    if (!x) return x;
    const auto y = type(at.right);
    if (!y) return y;
    const auto* a = std::get_if<Weak>(&*x);
    const auto* b = std::get_if<Weak>(&*y);
    if (a != nullptr && b != nullptr) {
      if (const auto truth = fold_comparison(row->op, *a, *b)) return Value(terms_.constant_of(*truth));
      auto folded = fold_binary(row->op, *a, *b);
      const bool is_power = row->op == Op::kBitwiseXor;  // in other languages
      return folded ? Result<Value>(Value(*std::move(folded))) : fail_at(at.column, folded.error().message + (is_power ? " (write ** for powers)" : ""));
    }
    const Rules rules(terms_, at.column);
    // NumPy's operator takes the square, which of bool is int8; its function power gives int64.
    if (row->op == Op::kPower && a == nullptr && b != nullptr && b->index() == 0 && std::get<Integer>(*b) == 2 && terms_[std::get<TermId>(*x)].dtype == DType::kBool)
      return value_of(rules.element(Op::kSquare, {*x}, "'**'"));
    return value_of(rules.element(row->op, {*x, *y}, fmt::format("'{}'", at.text)));
  }

  // ---- calls

  Result<std::vector<Value>> positional(const Node& at, std::size_t least, std::size_t most) {
    std::vector<Value> values;
    for (const Argument& argument : at.arguments) {
      if (!argument.name.empty()) return fail_at(node(argument.value).column, fmt::format("'{}' takes no argument '{}'", at.text, argument.name));
      auto value = type(argument.value);
      if (!value) return fail(value.error());
      values.push_back(*std::move(value));
    }
    if (values.size() < least || values.size() > most)
      return fail_at(at.column, fmt::format("'{}' takes {} argument{}, not {}", at.text, least == most ? fmt::format("{}", least) : fmt::format("{} or {}", least, most),
                                            most == 1 ? "" : "s", values.size()));
    return values;
  }

  Result<Value> type_call(const Node& at) {
    if (at.is_method)
      if (auto ok = refuse_module(node(at.arguments[0].value), at); !ok) return fail(ok.error());
    if (const ElementFunction* function = find_element_function(at.text)) {
      const std::size_t count = info(function->op).operands;
      const auto values = positional(at, count, count);
      if (!values) return fail(values.error());
      return value_of(Rules(terms_, at.column).element(function->op, *values, fmt::format("'{}'", at.text)));
    }
    if (const ReductionRule rule = find_reduction(at.text)) return type_reduction(at, rule);
    if (const auto dtype = dtype_from_name(at.text)) {
      const auto values = positional(at, 1, 1);
      return values ? cast_to((*values)[0], *dtype, at) : fail(values.error());
    }
    if (at.text == "astype") return type_astype(at);
    if (at.text == "clip") return type_clip(at);
    if (at.text == "round" || at.text == "around") return type_round(at);
    return type_rewritten(at);
  }

  // np.sqrt(x) reads as a method of an array 'np', which there may be.
  Result<void> refuse_module(const Node& object, const Node& call) const {
    if (object.kind != Node::Kind::kName || !object.view.empty() || !is_module(object.text)) return {};
    for (const ExpressionOperand& operand : operands_)
      if (operand.name == object.text) return {};
    return fail_at(object.column, fmt::format("names stand without '{}.': write {}(...)", object.text, call.text));
  }

  Result<Value> cast_to(const Value& value, DType dtype, const Node& at) {
    const Rules rules(terms_, at.column);
    const auto term = rules.as_term(value);
    return term ? Result<Value>(Value(terms_.cast(*term, dtype))) : fail(term.error());
  }

  Result<Value> type_astype(const Node& at) {
    constexpr std::array kParameters{Parameter{"dtype"}};
    const auto bound = bind_arguments(syntax_, at, kParameters);
    if (!bound) return fail(bound.error());
    if (!bound->others[0] || node(*bound->others[0]).kind != Node::Kind::kName)
      return fail_at(at.column, "astype takes a value and a dtype, as in astype(x, float32)");
    const Node& wanted = node(*bound->others[0]);
    const auto dtype = dtype_from_name(wanted.text);
    if (!dtype) return fail_at(wanted.column, fmt::format("'{}' is no dtype: choose from {}", wanted.text, dtype_names()));
    const auto value = type(bound->array);
    return value ? cast_to(*value, *dtype, at) : value;
  }

  bool is_none(NodeId id) const { return node(id).kind == Node::Kind::kName && node(id).text == "None"; }

  // clip(x, min, max): either bound may be None, or left away.
  Result<Value> type_clip(const Node& at) {
    constexpr std::array kParameters{Parameter{"min", "a_min"}, Parameter{"max", "a_max"}};
    const auto bound = bind_arguments(syntax_, at, kParameters);
    if (!bound) return fail(bound.error());
    if (!bound->others[0] && !bound->others[1]) return fail_at(at.column, "'clip' takes a bound, or two: clip(x, min, max)");
    const Rules rules(terms_, at.column);
    auto x = type(bound->array);
    for (const auto& [given, op] : {std::pair{bound->others[0], Op::kMaximum}, std::pair{bound->others[1], Op::kMinimum}}) {
      if (!x || !given || is_none(*given)) continue;
      const auto limit = type(*given);
      if (!limit) return limit;
      x = value_of(rules.element(op, {*x, *limit}, "'clip'"));
    }
    return x;
  }

  // round(x, decimals): as NumPy, x * 10^decimals rounded half to even and divided again.
  Result<Value> type_round(const Node& at) {
    constexpr std::array kParameters{Parameter{"decimals"}};
    const auto bound = bind_arguments(syntax_, at, kParameters);
    if (!bound) return fail(bound.error());
    const auto x = type(bound->array);
    if (!x) return x;
    std::int64_t decimals = 0;
    if (bound->others[0]) {
      const auto given = whole_number(*bound->others[0], "decimals");
      if (!given) return fail(given.error());
      decimals = *given;
    }
    if (decimals > 308 || decimals < -308) return fail_at(at.column, "'round' takes from -308 to 308 decimals");
    const Rules rules(terms_, at.column);
    const auto term = rules.as_term(*x);
    if (!term) return fail(term.error());
    const DType dtype = terms_[*term].dtype;
    const bool whole = info(dtype).kind != Kind::kFloat && info(dtype).kind != Kind::kComplex;
    const bool truths = dtype == DType::kBool;
    if (truths && decimals != 0) return fail_at(at.column, "'round' takes no bool with decimals (write round(float64(x), decimals))");
    if (whole && decimals >= 0 && !truths) return Value(*term);
    if (decimals == 0) return value_of(rules.element(Op::kRint, {*term}, "'round'"));
    const Value scale = Weak(std::pow(10.0, static_cast<double>(decimals < 0 ? -decimals : decimals)));
    const auto scaled = rules.element(decimals > 0 ? Op::kMultiply : Op::kDivide, {*term, scale}, "'round'");
    const auto rounded = scaled ? rules.element(Op::kRint, {*scaled}, "'round'") : scaled;
    const auto back = rounded ? rules.element(decimals > 0 ? Op::kDivide : Op::kMultiply, {*rounded, scale}, "'round'") : rounded;
    return back ? Result<Value>(Value(terms_.cast(*back, dtype))) : value_of(back);
  }

  // Functions that are a few ops.
  Result<Value> type_rewritten(const Node& at) {
    const Rules rules(terms_, at.column);
    if (at.text == "logical_not") {
      const auto values = positional(at, 1, 1);
      if (!values) return fail(values.error());
      const auto x = rules.as_truth((*values)[0]);
      return x ? value_of(rules.element(Op::kInvert, {*x}, "'logical_not'")) : fail(x.error());
    }
    constexpr std::array<OperatorRow, 3> kLogical{{{"logical_and", Op::kBitwiseAnd}, {"logical_or", Op::kBitwiseOr}, {"logical_xor", Op::kBitwiseXor}}};
    for (const OperatorRow& row : kLogical) {
      if (row.text != at.text) continue;
      const auto values = positional(at, 2, 2);
      if (!values) return fail(values.error());
      const auto x = rules.as_truth((*values)[0]), y = rules.as_truth((*values)[1]);
      if (!x || !y) return fail(x ? y.error() : x.error());
      return value_of(rules.element(row.op, {*x, *y}, row.text));
    }
    if (at.text == "angle") {
      const auto values = positional(at, 1, 1);
      if (!values) return fail(values.error());
      if (const auto common = rules.common_dtype(*values); info(*common).kind != Kind::kComplex)
        return value_of(rules.element(Op::kArctan2, {Weak(Integer{0}), (*values)[0]}, "'angle'"));
      const auto real = rules.element(Op::kReal, *values, "'angle'"), imag = rules.element(Op::kImag, *values, "'angle'");
      if (!real || !imag) return fail(real ? imag.error() : real.error());
      return value_of(rules.element(Op::kArctan2, {*imag, *real}, "'angle'"));
    }
    if (at.text == "size" || at.text == "ndim") {
      const auto values = positional(at, 1, 1);
      if (!values) return fail(values.error());
      const auto x = rules.as_term((*values)[0]);
      if (!x) return fail(x.error());
      const Dims& shape = terms_[*x].shape;
      if (at.text == "ndim") return Value(Weak(Integer{shape.size()}));
      return Value(Weak(std::accumulate(shape.begin(), shape.end(), Integer{1}, std::multiplies<>())));
    }
    if (at.text == "fabs") {
      const auto values = positional(at, 1, 1);
      if (!values) return fail(values.error());
      const auto common = rules.common_dtype(*values);
      if (info(*common).kind == Kind::kComplex) return fail_at(at.column, fmt::format("'fabs' takes real numbers, not {} (write abs(x)),", name(*common)));
      const auto x = rules.as((*values)[0], promotion::float_for(*common));
      return x ? value_of(rules.element(Op::kAbsolute, {*x}, "'fabs'")) : fail(x.error());
    }
    for (const auto& [names, factor] : {std::pair{std::array{"radians", "deg2rad"}, std::numbers::pi / 180}, std::pair{std::array{"degrees", "rad2deg"}, 180 / std::numbers::pi}}) {
      if (at.text != names[0] && at.text != names[1]) continue;
      const auto values = positional(at, 1, 1);
      if (!values) return fail(values.error());
      const auto common = rules.common_dtype(*values);
      if (info(*common).kind == Kind::kComplex) return fail_at(at.column, fmt::format("'{}' takes real numbers, not {},", at.text, name(*common)));
      const auto x = rules.as((*values)[0], info(*common).kind == Kind::kFloat ? *common : DType::kFloat64);
      return x ? value_of(rules.element(Op::kMultiply, {*x, Weak(factor)}, fmt::format("'{}'", at.text))) : fail(x.error());
    }
    return unknown(at.column, fmt::format("unknown function '{}'", at.text), at.text, true);
  }

  // ---- reductions

  Result<std::int64_t> whole_number(NodeId id, std::string_view what) {
    const auto value = type(id);
    if (!value) return fail(value.error());
    const auto* number = std::get_if<Weak>(&*value);
    const auto* whole = number == nullptr ? nullptr : std::get_if<Integer>(number);
    if (whole == nullptr || !fits(*whole, DType::kInt64)) return fail_at(node(id).column, fmt::format("{} is a whole number", what));
    return static_cast<std::int64_t>(*whole);
  }

  // min(x, y), as in other languages.
  static bool is_extreme(const Node& at) { return at.text == "min" || at.text == "max"; }
  tl::unexpected<Error> compares_two(const Node& at) const {
    const auto written = [&](std::size_t i, const char* otherwise) {
      const Node& argument = node(at.arguments[i].value);
      return argument.kind == Node::Kind::kInteger ? fmt::format("{}", argument.magnitude) : argument.kind == Node::Kind::kName ? argument.text + argument.view : otherwise;
    };
    return fail_at(at.column, fmt::format("'{0}' reduces one array over axes that are whole numbers; '{0}imum({1}, {2})' compares two", at.text, written(0, "x"), written(1, "y")));
  }

  Result<void> read_axes(NodeId id, ReductionCall& call, const Node& at) {
    if (is_none(id)) {
      call.axes.reset();
      return {};
    }
    std::vector<std::int64_t> axes;
    const auto add = [&](NodeId axis) -> Result<void> {
      const auto number = whole_number(axis, "an axis");
      if (!number) {
        if (is_extreme(at)) return compares_two(at);
        return fail(number.error());
      }
      axes.push_back(*number);
      return {};
    };
    if (node(id).kind == Node::Kind::kTuple) {
      for (const Argument& axis : node(id).arguments)
        if (auto ok = add(axis.value); !ok) return ok;
    } else if (auto ok = add(id); !ok) {
      return ok;
    }
    call.axes = std::move(axes);
    return {};
  }

  Result<Value> type_reduction(const Node& at, ReductionRule rule) {
    const bool has_ddof = at.text.ends_with("var") || at.text.ends_with("std");
    // NumPy's second place of norm is the order, which is always 2 here.
    std::vector<Parameter> parameters{{"axis", {}, at.text == "norm"}, {"keepdims", {}, true}};
    if (has_ddof) parameters.push_back({"ddof", "correction", true});
    const auto bound = bind_arguments(syntax_, at, parameters);
    if (!bound) return fail(bound.error());
    const auto x = type(bound->array);
    if (!x) return x;
    const Rules rules(terms_, at.column);
    const auto term = rules.as_term(*x);
    if (!term) return fail(term.error());
    ReductionCall call;
    call.x = *term;
    if (const auto axis = bound->others[0]) {
      if (is_extreme(at) && std::holds_alternative<Weak>(*x)) return compares_two(at);
      if (auto ok = read_axes(*axis, call, at); !ok) return fail(ok.error());
    }
    if (const auto keepdims = bound->others[1]) {
      const Node& word = node(*keepdims);
      if (word.kind != Node::Kind::kName || (word.text != "True" && word.text != "False")) return fail_at(word.column, "keepdims is True or False");
      call.keepdims = word.text == "True";
    }
    if (has_ddof && bound->others[2]) {
      const NodeId ddof = *bound->others[2];
      const auto value = type(ddof);
      if (!value) return value;
      const auto* number = std::get_if<Weak>(&*value);
      if (number == nullptr || number->index() == 2) return fail_at(node(ddof).column, "ddof is a number");
      call.ddof = number->index() == 0 ? static_cast<double>(std::get<Integer>(*number)) : std::get<double>(*number);
    }
    return value_of(rule(terms_, rules, call));
  }

  const Syntax& syntax_;
  std::span<const ExpressionOperand> operands_;
  std::span<const std::string> known_names_;
  Terms terms_;
  std::vector<std::optional<Value>> known_;  // by node
};

}  // namespace

bool is_reserved_name(std::string_view name) {
  for (const ConstantRow& row : kConstants)
    if (row.name == name) return true;
  return name == "True" || name == "False" || name == "None" || dtype_from_name(name).has_value();
}

std::vector<std::string> function_names() {
  std::vector<std::string> names = element_function_names();
  for (const char* name : {"clip", "round", "around", "fabs", "size", "ndim", "angle", "logical_and", "logical_or", "logical_xor", "logical_not", "degrees", "radians", "deg2rad", "rad2deg",
                           "astype"})
    names.emplace_back(name);
  return names;
}

std::vector<std::string> constant_names() {
  std::vector<std::string> names;
  for (const ConstantRow& row : kConstants) names.emplace_back(row.name);
  names.insert(names.end(), {"True", "False"});
  return names;
}

Result<Evaluation> compile_expression(std::string_view text, std::span<const ExpressionOperand> operands, std::optional<DType> dtype,
                                      std::span<const std::string> known) {
  const auto syntax = parse_expression(text);
  if (!syntax) return fail(syntax.error());
  return Typer(*syntax, operands, known).run(dtype);
}

}  // namespace parcompute
