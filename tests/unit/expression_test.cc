// Expressions: what their text means, and what is said about one that means nothing.
#include "common/expression/syntax.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/expression/program.h"

namespace parcompute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<ExpressionOperand> operands() {
  const auto operand = [](const char* name, DType dtype, Dims shape) { return ExpressionOperand{name, *make_spec(dtype, std::move(shape))}; };
  return {operand("a", DType::kFloat64, {4, 6}), operand("b", DType::kFloat64, {6}),  operand("i", DType::kInt8, {4, 6}),
          operand("u", DType::kUint64, {3}),     operand("t", DType::kBool, {4, 6}),   operand("z", DType::kComplex64, {6}),
          operand("none", DType::kFloat64, {0, 5}), operand("s", DType::kFloat32, {}), operand("alpha", DType::kFloat64, {2})};
}

Result<Evaluation> compile(std::string_view text) {
  return compile_expression(text, operands(), std::nullopt);
}

// "float64, 4x6", or the error.
std::string meaning(std::string_view text) {
  const auto evaluation = compile(text);
  return evaluation ? format_spec(evaluation->stages.back().result) : evaluation.error().message;
}

// The tree, with parentheses around everything.
std::string tree(const Syntax& syntax, NodeId id) {
  const Node& at = syntax.nodes[id];
  const auto list = [&] {
    std::string text;
    for (const Argument& argument : at.arguments) {
      if (!text.empty()) text += ", ";
      if (!argument.name.empty()) text += argument.name + "=";
      text += tree(syntax, argument.value);
    }
    return text;
  };
  switch (at.kind) {
    case Node::Kind::kInteger: return std::to_string(at.magnitude);
    case Node::Kind::kReal: return "real";
    case Node::Kind::kImaginary: return "imaginary";
    case Node::Kind::kName: return at.text + at.view;
    case Node::Kind::kUnary: return fmt::format("({}{})", at.text, tree(syntax, at.left));
    case Node::Kind::kBinary: return fmt::format("({}{}{})", tree(syntax, at.left), at.text, tree(syntax, at.right));
    case Node::Kind::kCall: return fmt::format("{}({})", at.text, list());
    case Node::Kind::kTuple: return fmt::format("tuple({})", list());
  }
  return {};
}
std::string tree(std::string_view text) {
  const auto syntax = parse_expression(text);
  return syntax ? tree(*syntax, syntax->root) : syntax.error().message;
}

TEST(ExpressionSyntax, PrecedenceIsPythons) {
  EXPECT_EQ(tree("a + b * c"), "(a+(b*c))");
  EXPECT_EQ(tree("a - b - c"), "((a-b)-c)");
  EXPECT_EQ(tree("a ** b ** c"), "(a**(b**c))");
  EXPECT_EQ(tree("-a ** -b ** c"), "(-(a**(-(b**c))))");
  EXPECT_EQ(tree("~a << b + c"), "((~a)<<(b+c))");
  EXPECT_EQ(tree("a | b ^ c & d << 1"), "(a|(b^(c&(d<<1))))");
  EXPECT_EQ(tree("a | b < c & d"), "((a|b)<(c&d))");
  EXPECT_EQ(tree("a // b % c / d"), "(((a//b)%c)/d)");
  EXPECT_EQ(tree("2 * -a"), "(2*(-a))");
  EXPECT_EQ(tree("a<b"), "(a<b)");
  EXPECT_EQ(tree("(a)"), "a");
  EXPECT_EQ(tree("a\n+\tb"), "(a+b)");
}

TEST(ExpressionSyntax, MethodsAreFunctions) {
  EXPECT_EQ(tree("a.sum(axis=0)"), "sum(a, axis=0)");
  EXPECT_EQ(tree("(a + b).max().real"), "real(max((a+b)))");
  EXPECT_EQ(tree("-a.T.sum()"), "(-sum(a.T))");
  EXPECT_EQ(tree("a[1:].T.reshape(2, -1).sum()"), "sum(a[1:].T.reshape(2, -1))");
  EXPECT_EQ(tree("a.transpose((1, 0)).mean((0, 1))"), "mean(a.transpose((1, 0)), tuple(0, 1))");
}

TEST(ExpressionSyntax, NamesAreListedOnce) {
  const auto syntax = parse_expression("a + b[0] * a + pi + sum(c.T, axis=0)");
  ASSERT_TRUE(syntax);
  EXPECT_THAT(names_in(*syntax), ElementsAre("a", "b", "pi", "c"));
}

TEST(ExpressionSyntax, ErrorsPointAtColumns) {
  EXPECT_EQ(tree(""), "the expression ends too early at column 1");
  EXPECT_EQ(tree("a +"), "the expression ends too early at column 4");
  EXPECT_EQ(tree("a b"), "unexpected 'b' at column 3");
  EXPECT_EQ(tree("a $ b"), "unexpected '$' at column 3");
  EXPECT_EQ(tree("a + é"), "unexpected 'é' (an array whose name holds other letters than a to z is bound: 'x + 1' x=NAME) at column 5");
  EXPECT_EQ(tree("(a"), "a '(' is never closed; it is at column 1");
  EXPECT_EQ(tree("a + sum(b, axis=0"), "a '(' is never closed; it is at column 8");
  EXPECT_EQ(tree("a[1:"), "a '[' is never closed; it is at column 2");
  EXPECT_EQ(tree("a.reshape(1"), "a '(' is never closed; it is at column 2");
  EXPECT_EQ(tree("a)"), "unexpected ')' at column 2");
  EXPECT_EQ(tree("a < b < c"), "comparisons of arrays cannot be chained: write (a < b) & (b < c) at column 7");
  EXPECT_EQ(tree("a && b"), "unexpected '&&' (write '&', with each comparison in parentheses) at column 3");
  EXPECT_EQ(tree("a and b"), "unexpected 'and' (write '&', with each comparison in parentheses) at column 3");
  EXPECT_EQ(tree("not a"), "unexpected 'not' (write '~') at column 1");
  EXPECT_EQ(tree("!a"), "unexpected '!' (write '~' to negate) at column 1");
  EXPECT_EQ(tree("a = b"), "unexpected '=' (write '==' to compare; where the result goes is said outside of the expression) at column 3");
  EXPECT_EQ(tree("a if b"), "unexpected 'if' (write 'where(condition, x, y)') at column 3");
  EXPECT_EQ(tree("[1, 2]"), "only an array's name can be followed by '[', and lists cannot be written here at column 1");
  EXPECT_EQ(tree("(a + b)[0]"), "only an array's name can be indexed, not what is computed at column 8");
  EXPECT_EQ(tree("(a + b).shape"), "unknown attribute '.shape' (the first axis of two has x[:, 0].size elements, all of them x.size) at column 9");
  EXPECT_EQ(tree("a.shape[0]"), "unknown attribute '.shape' (the first axis of two has x[:, 0].size elements, all of them x.size) at column 3");
  EXPECT_EQ(tree("f(x=1, 2)"), "an argument by position follows one by name at column 8");
  EXPECT_EQ(tree("0123"), "a whole number begins with 0 (write 0o17 for octal numbers) at column 1");
  EXPECT_EQ(tree("1 + 99999999999999999999"), "a whole number has more than 64 bits at column 5");
  EXPECT_EQ(tree("0x1ffffffffffffffff"), "a whole number has more than 64 bits at column 1");
  EXPECT_EQ(tree("0b12"), "a number cannot be read at column 1");
  EXPECT_EQ(tree("2x"), "unexpected 'x' at column 2");
  EXPECT_EQ(tree("\xff"), "the expression is not UTF-8 text");
  EXPECT_EQ(tree(std::string(5000, 'a')), "the expression has 5000 bytes; at most 4096 are read");
}

TEST(ExpressionSyntax, NestingHasAnEnd) {
  EXPECT_THAT(tree(std::string(2000, '(')), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(tree(std::string(2000, '-') + "a"), HasSubstr("nested more than 100 deep"));
  std::string powers = "a", calls = "a", methods = "a", sum = "a";
  for (int i = 0; i < 500; ++i) {
    powers += "**a";
    calls = "abs(" + calls + ")";
    methods += ".abs()";
    sum += "+a";
  }
  EXPECT_THAT(tree(powers), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(tree(calls), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(tree(methods), HasSubstr("nested more than 100 deep"));
  EXPECT_TRUE(parse_expression(sum));  // it is long, not deep
  EXPECT_EQ(meaning(sum), "float64, 4x6");
}

TEST(Expression, ShapesFitTogether) {
  EXPECT_EQ(meaning("a + b"), "float64, 4x6");
  EXPECT_EQ(meaning("a.T + b"), "shapes 6x4 and 6 do not fit together: dimensions 4 and 6 at column 5");
  EXPECT_EQ(meaning("a[:, 0, None] * b"), "float64, 4x6");
  EXPECT_EQ(meaning("u + b"), "shapes 3 and 6 do not fit together: dimensions 3 and 6 at column 3");
  EXPECT_EQ(meaning("sum(a, axis=1) + s"), "float64, 4");
  EXPECT_EQ(meaning("sum(a, axis=(0, -1), keepdims=True)"), "float64, 1x1");
  EXPECT_EQ(meaning("max(abs(i), axis=0)"), "int8, 6");
  EXPECT_EQ(meaning("a - mean(a)"), "float64, 4x6");
  EXPECT_EQ(meaning("argmin(a)"), "int64, ()");
  EXPECT_EQ(meaning("sum(a, axis=())"), "float64, 4x6");
  EXPECT_EQ(meaning("3"), "int64, ()");
  EXPECT_EQ(meaning("pi"), "float64, ()");
  EXPECT_EQ(meaning("True"), "bool, ()");
  EXPECT_EQ(meaning("isfinite(i)"), "bool, 4x6");
  EXPECT_EQ(meaning("imag(a)"), "float64, 4x6");
  EXPECT_EQ(meaning("clip(i, None, 3)"), "int8, 4x6");
}

TEST(Expression, SaysWhichNameIsUnknown) {
  EXPECT_EQ(meaning("2 + sni"), "unknown name 'sni' at column 5, did you mean 'sin'?");
  EXPECT_EQ(meaning("alhpa + 1"), "unknown name 'alhpa' at column 1, did you mean 'alpha'?");
  EXPECT_EQ(meaning("sni(a)"), "unknown function 'sni' at column 1, did you mean 'sin'?");
  EXPECT_EQ(meaning("a.men()"), "unknown function 'men' at column 3, did you mean 'min'?");
  EXPECT_EQ(meaning("flaot32(a)"), "unknown function 'flaot32' at column 1, did you mean 'float32'?");
  EXPECT_EQ(meaning("xyzzy"), "unknown name 'xyzzy' at column 1");
  EXPECT_EQ(meaning("1 + sum"), "unknown name 'sum' at column 5, which is a function: write sum(...)");
  EXPECT_EQ(meaning("float32"), "unknown name 'float32' at column 1, which is a function: write float32(...)");
  EXPECT_EQ(meaning("2 a"), "unexpected 'a' at column 3");
  EXPECT_EQ(meaning("a(3)"), "unknown function 'a' at column 1, which is no function: write * to multiply");
  EXPECT_EQ(meaning("pi[0]"), "'pi' is one number, of which there is no '[0]', at column 1");
}

TEST(Expression, NamesOfOneLetterAreNotGuessed) {
  EXPECT_EQ(meaning("x + 1"), "unknown name 'x' at column 1");
  EXPECT_EQ(meaning("1 + ee"), "unknown name 'ee' at column 5");
  EXPECT_EQ(meaning("q(a)"), "unknown function 'q' at column 1");
}

TEST(Expression, SuggestionsKnowWhatElseThereIs) {
  const std::vector<std::string> known{"density", "n1"};
  const auto error = [&](std::string_view text) { return compile_expression(text, operands(), std::nullopt, known).error(); };
  EXPECT_EQ(error("denisty * 2").message, "unknown name 'denisty' at column 1, did you mean 'density'?");
  EXPECT_EQ(error("N1 + 1").message, "unknown name 'N1' at column 1, did you mean 'n1'?");
  EXPECT_EQ(error("N1 + 1").code, ErrorCode::kNotFound);
  EXPECT_EQ(error("None + 1").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error("sum + 1").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error("sni(a)").code, ErrorCode::kInvalidArgument);
}

TEST(Expression, BracketsTakeNoMasksAndNoIndices) {
  EXPECT_THAT(meaning("a[a>0]"), HasSubstr("'a>0' is no index: write a whole number, start:stop:step, ... or None; elements where a mask is true: run compress a MASK, at column 1"));
  EXPECT_THAT(meaning("a[i]"), HasSubstr("; elements by an array of indices: run take a INDICES, at column 1"));
  EXPECT_THAT(meaning("2 * b[argmax(b)]"), HasSubstr("; elements by an array of indices: run take b INDICES, at column 5"));
  EXPECT_THAT(meaning("a[None, 9]"), ::testing::Not(HasSubstr("run take")));
}

TEST(Expression, SaysWhatCannotBe) {
  EXPECT_EQ(meaning("-t"), "'-' takes no bool (write ~x to negate a truth) at column 1");
  EXPECT_EQ(meaning("+t"), "'+' takes no bool (write int64(x) for numbers) at column 1");
  EXPECT_EQ(meaning("round(t, 1)"), "'round' takes no bool with decimals (write round(float64(x), decimals)) at column 1");
  EXPECT_EQ(meaning("fabs(z)"), "'fabs' takes real numbers, not complex64 (write abs(x)), at column 1");
  EXPECT_EQ(meaning("t - t"), "'-' takes no two bools (write x ^ y) at column 3");
  EXPECT_EQ(meaning("a & a"), "'&' takes bool, signed integers, unsigned integers, not float64, at column 3");
  EXPECT_EQ(meaning("z // 2"), "'//' takes signed integers, unsigned integers, floats, not complex64, at column 3");
  EXPECT_EQ(meaning("floor(z)"), "'floor' takes floats, not complex64, at column 1");
  EXPECT_EQ(meaning("degrees(z)"), "'degrees' takes real numbers, not complex64, at column 1");
  EXPECT_EQ(meaning("i + 300"), "300 does not fit int8, which holds -128 to 127, at column 3");
  EXPECT_EQ(meaning("i ** -1"), "integers to negative integer powers have no integer result (write a float exponent) at column 3");
  EXPECT_EQ(meaning("1 / 0"), "a number is divided by zero at column 3");
  EXPECT_EQ(meaning("1 % 0.0"), "a number is divided by zero at column 3");
  EXPECT_EQ(meaning("0 ** -1"), "a number is divided by zero at column 3");
  EXPECT_EQ(meaning("1 << -1"), "a number is shifted by a negative count at column 3");
  EXPECT_EQ(meaning("1.5 & 2"), "this operator takes whole numbers alone at column 5");
  EXPECT_EQ(meaning("~1.5"), "'~' takes whole numbers and truths at column 1");
  EXPECT_EQ(meaning("(1, 2)"), "a tuple stands where a value is expected at column 1");
  EXPECT_EQ(meaning("sin(a, b)"), "'sin' takes 1 argument, not 2 at column 1");
  EXPECT_EQ(meaning("where(t, a)"), "'where' takes 3 arguments, not 2 at column 1");
  EXPECT_EQ(meaning("sin(x=a)"), "'sin' takes no argument 'x' at column 7");
  EXPECT_EQ(meaning("a ^ 2.0"), "'^' takes bool, signed integers, unsigned integers, not float64 (write ** for powers), at column 3");
  EXPECT_EQ(meaning("1.5 ^ 2"), "this operator takes whole numbers alone (write ** for powers) at column 5");
  EXPECT_EQ(meaning("round(a, 1.5)"), "decimals is a whole number at column 10");
  EXPECT_EQ(meaning("astype(a, flaot32)"),
            "'flaot32' is no dtype: choose from bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, complex64, complex128 at column 11");
  EXPECT_EQ(meaning("a[9]"), "'a' (float64, 4x6): index 9 is out of bounds for axis 0 with 4 elements, at column 1");
}

// The same terms: the difference is one register less itself.
bool are_equal(std::string_view x, std::string_view y) {
  const auto evaluation = compile(fmt::format("({}) - ({})", x, y));
  if (!evaluation) {
    ADD_FAILURE() << evaluation.error().message;
    return false;
  }
  const Instruction& last = evaluation->stages.back().program.code.back();
  return last.op == Op::kSubtract && last.in[0] == last.in[1];
}

TEST(Expression, SizesAreNumbersWithoutADtype) {
  EXPECT_TRUE(are_equal("a / a.size", "a / 24"));
  EXPECT_TRUE(are_equal("a * a[:, 0].size + a.T.ndim", "a * 4 + 2"));
  EXPECT_TRUE(are_equal("a + size(a * b[None, :, None].size)", "a + 24"));
  EXPECT_EQ(meaning("s * a.size"), "float32, ()");
  EXPECT_EQ(meaning("i + a.size"), "int8, 4x6");
  EXPECT_EQ(meaning("none.size + sum(a, axis=0).size"), "int64, ()");
  EXPECT_TRUE(are_equal("a + none.size + s.ndim + (3).ndim", "a + 0 + 0 + 0"));
  EXPECT_EQ(meaning("sum(a, axis=a.ndim - 1)"), "float64, 4");
  EXPECT_EQ(meaning("size(a, 0)"), "'size' takes 1 argument, not 2 at column 1");
}

TEST(Expression, ArgumentsHaveNumPysNames) {
  for (const char* text : {"clip(a, min=0, max=5)", "clip(a, max=5, min=0)", "clip(a, a_max=5, a_min=0)", "clip(a, 0, max=5)", "a.clip(max=5, min=0)"})
    EXPECT_TRUE(are_equal(text, "clip(a, 0, 5)")) << text;
  for (const char* text : {"clip(a, max=5)", "clip(a, None, 5)", "clip(a, max=5, min=None)"}) EXPECT_TRUE(are_equal(text, "minimum(a, 5)")) << text;
  for (const char* text : {"clip(a, 1)", "clip(a, min=1)", "clip(a, 1, None)"}) EXPECT_TRUE(are_equal(text, "maximum(a, 1)")) << text;
  EXPECT_TRUE(are_equal("round(a, decimals=2)", "round(a, 2)"));
  EXPECT_TRUE(are_equal("astype(a, dtype=float32)", "a.astype(float32)"));
  EXPECT_TRUE(are_equal("var(a, ddof=1, axis=0)", "var(a, 0, correction=1)"));
  EXPECT_TRUE(are_equal("norm(a, axis=1)", "a.norm(axis=1)"));
}

TEST(Expression, NoArgumentIsPassedOver) {
  EXPECT_EQ(meaning("clip(a, lo=0, hi=1)"), "'clip' takes no argument 'lo' (min and max are there) at column 12");
  EXPECT_EQ(meaning("clip(a, 0, min=1)"), "'clip' is given min twice at column 16");
  EXPECT_EQ(meaning("clip(a, a_min=0, min=1)"), "'clip' is given min twice at column 22");
  EXPECT_EQ(meaning("clip(a, 0, 1, 2)"), "'clip' takes 1 to 3 arguments, not 4 at column 1");
  EXPECT_EQ(meaning("clip(a)"), "'clip' takes a bound, or two: clip(x, min, max) at column 1");
  EXPECT_EQ(meaning("clip(min=0, max=1)"), "'clip' takes the array first at column 1");
  EXPECT_EQ(meaning("round(a, digits=2)"), "'round' takes no argument 'digits' (decimals is there) at column 17");
  EXPECT_EQ(meaning("round(a, 1, 2)"), "'round' takes 1 or 2 arguments, not 3 at column 1");
  EXPECT_EQ(meaning("astype(a, copy=float32)"), "'astype' takes no argument 'copy' (dtype is there) at column 16");
  EXPECT_EQ(meaning("astype(x=float32, dtype=a)"), "'astype' takes the array first at column 1");
  EXPECT_EQ(meaning("where(t, x=a, y=b)"), "'where' takes no argument 'x' at column 12");
  EXPECT_EQ(meaning("arctan2(y=a, x=b)"), "'arctan2' takes no argument 'y' at column 11");
  EXPECT_EQ(meaning("atan2(a, x2=b)"), "'atan2' takes no argument 'x2' at column 13");
  EXPECT_EQ(meaning("logical_and(t, where=t)"), "'logical_and' takes no argument 'where' at column 22");
  EXPECT_EQ(meaning("angle(z, deg=True)"), "'angle' takes no argument 'deg' at column 14");
  EXPECT_EQ(meaning("float32(x=a)"), "'float32' takes no argument 'x' at column 11");
  EXPECT_EQ(meaning("sum(a, axis=0, axis=1)"), "'axis' is given twice at column 16");
  EXPECT_EQ(meaning("sum(a, keepdims=True, keepdims=False)"), "'keepdims' is given twice at column 23");
  EXPECT_EQ(meaning("var(a, ddof=1, ddof=0)"), "'ddof' is given twice at column 16");
  EXPECT_EQ(meaning("var(a, ddof=1, correction=0)"), "'var' is given ddof twice at column 27");
  EXPECT_EQ(meaning("sum(a, 0, axis=1)"), "'sum' is given axis twice at column 16");
  EXPECT_EQ(meaning("sum(a, dtype=float32)"), "'sum' takes no argument 'dtype' (axis and keepdims are there) at column 14");
  EXPECT_EQ(meaning("std(a, where=t)"), "'std' takes no argument 'where' (axis, keepdims and ddof are there) at column 14");
  EXPECT_EQ(meaning("sum(a=a)"), "'sum' takes the array first at column 1");
  EXPECT_EQ(meaning("norm(a, 1)"), "'norm' takes one array and then axis=..., keepdims=... by name at column 1");
}

TEST(Expression, SaysWhatToWriteInsteadOfOtherNotations) {
  EXPECT_EQ(meaning("np.sqrt(a)"), "names stand without 'np.': write sqrt(...) at column 1");
  EXPECT_EQ(meaning("1 + numpy.sin(a + b)"), "names stand without 'numpy.': write sin(...) at column 5");
  EXPECT_EQ(meaning("np.sum(a, 0)"), "names stand without 'np.': write sum(...) at column 1");
  EXPECT_EQ(meaning("np.clip(a, 0, 1)"), "names stand without 'np.': write clip(...) at column 1");
  EXPECT_EQ(meaning("2 * math.pi"), "names stand without 'math.': write pi at column 5");
  EXPECT_EQ(meaning("np.linalg.norm(a)"), "names stand without 'np.linalg.': write norm(...) at column 1");
  EXPECT_EQ(meaning("a @ b"), "unexpected '@' (products are operations of their own: run matmul, dot or vecdot) at column 3");
  EXPECT_EQ(meaning("2 * x.npy"), "unknown attribute '.npy' (a file stands for a name that is bound to it: 'f + 1' f=FILE.npy; or attach it first) at column 7");
  EXPECT_EQ(meaning("a == None"),
            "unknown name 'None' at column 6, it stands for an axis or a bound that is not given, and in brackets for a new axis; write isnan(x) to look for NaN");
  EXPECT_EQ(meaning("t == true"), "unknown name 'true' at column 6, did you mean 'True'?");
  EXPECT_EQ(meaning("a −b"), "unexpected '−' (write '-') at column 3");
  EXPECT_EQ(meaning("astype(a, \"float32\")"), "unexpected '\"' (there are no strings; a dtype is written as it is: float32) at column 11");
  EXPECT_EQ(meaning("(a + b).T"), "unknown attribute '.T' (views belong to arrays' names: write x.T + y.T, not (x + y).T) at column 9");
  EXPECT_EQ(meaning("sort(a)"), "unknown function 'sort' at column 1, an operation of its own: run sort");
  EXPECT_EQ(meaning("median(a)"), "unknown function 'median' at column 1, an operation of its own: run percentile");
  EXPECT_EQ(meaning("a.sum(axis=0) + a.T.mean()"), "float64, 6");
  // An array may have a module's name.
  const std::vector<ExpressionOperand> np{{"np", *make_spec(DType::kFloat64, {3})}};
  EXPECT_TRUE(compile_expression("np.sum() + np", np, std::nullopt));
}

TEST(Expression, SaysWhatReductionsTake) {
  EXPECT_EQ(meaning("sum(a, axis=2)"), "axis 2 is out of bounds for an array of 2 dimensions at column 1");
  EXPECT_EQ(meaning("sum(a, axis=(0, -2))"), "axis -2 is given twice at column 1");
  EXPECT_EQ(meaning("sum(a, axis=a)"), "an axis is a whole number at column 13");
  EXPECT_EQ(meaning("sum(a, axis=0.5)"), "an axis is a whole number at column 13");
  EXPECT_EQ(meaning("max(a, b)"), "'max' reduces one array over axes that are whole numbers; 'maximum(a, b)' compares two at column 1");
  EXPECT_EQ(meaning("min(3, 0)"), "'min' reduces one array over axes that are whole numbers; 'minimum(3, 0)' compares two at column 1");
  EXPECT_EQ(meaning("max(a * 2, b)"), "'max' reduces one array over axes that are whole numbers; 'maximum(x, b)' compares two at column 1");
  EXPECT_EQ(meaning("sum(a, keepdims=1)"), "keepdims is True or False at column 17");
  EXPECT_EQ(meaning("sum(a, ddof=1)"), "'sum' takes no argument 'ddof' (axis and keepdims are there) at column 13");
  EXPECT_EQ(meaning("var(a, ddof=a)"), "ddof is a number at column 13");
  EXPECT_EQ(meaning("sum()"), "'sum' takes the array first at column 1");
  EXPECT_EQ(meaning("sum(a, 0, 1)"), "'sum' takes one array and then axis=..., keepdims=... by name at column 1");
  EXPECT_EQ(meaning("argmin(a, axis=(0, 1))"), "argmin takes one axis or none, at column 1");
  EXPECT_EQ(meaning("max(none)"), "max of no elements has no answer (the operand's shape is 0x5), at column 1");
  EXPECT_EQ(meaning("max(none, axis=1)"), "float64, 0");
  EXPECT_EQ(meaning("argmax(none, axis=0)"), "argmax of no elements has no answer (the operand's shape is 0x5), at column 1");
  EXPECT_EQ(meaning("sum(none)"), "float64, ()");
}

TEST(Expression, NumbersGrowOnlySoFar) {
  EXPECT_EQ(meaning("2 ** 63"), "uint64, ()");
  EXPECT_EQ(meaning("2 ** 64 - 2 ** 63"), "uint64, ()");
  EXPECT_EQ(meaning("2 ** 64"), "18446744073709551616 does not fit uint64, which holds 0 to 18446744073709551615, at column 3");
  for (const char* text : {"2 ** 200", "(2 ** 99) ** 2", "(-(2 ** 99)) ** 9223372036854775807", "2 ** 99 * 2 ** 99", "1 << 200", "(2 ** 99) << 60", "9 ** 9 ** 9"})
    EXPECT_THAT(meaning(text), HasSubstr("a whole number grows beyond 64 bits at column")) << text;
  EXPECT_EQ(meaning("1 ** 9223372036854775807 + (-1) ** 9223372036854775807 + 0 ** 18446744073709551615"), "int64, ()");
  EXPECT_EQ(meaning("1e400 - 1e-400"), "float64, ()");
}

TEST(Expression, WhatCannotBeCountedIsRefused) {
  // 2^22 elements of 8 bytes: 2^66 of them in three dimensions, though their sum is one.
  const std::vector<ExpressionOperand> large{{"x", *make_spec(DType::kFloat64, {1 << 22})}};
  const auto evaluation = compile_expression("sum(x[:, None, None] * x[None, :, None] * x[None, None, :])", large, std::nullopt);
  ASSERT_FALSE(evaluation);
  EXPECT_THAT(evaluation.error().message, HasSubstr("the shape 4194304x4194304x4194304 has more elements than any memory; choose smaller ones at column 41"));
  EXPECT_TRUE(compile_expression("sum(x[:, None] * x)", large, std::nullopt));
}

TEST(Expression, TooManyReductionsAreRefused) {
  std::string text = "sum(b)";
  for (int i = 1; i < 70; ++i) text += "+sum(b*" + std::to_string(i) + ")";
  EXPECT_THAT(meaning(text), HasSubstr("too many reductions: split it"));
}

TEST(Expression, EqualPartsAreComputedOnce) {
  const auto evaluation = compile("(a - b) * (a - b) + sum(a - b) + sum(a - b)");
  ASSERT_TRUE(evaluation);
  ASSERT_EQ(evaluation->stages.size(), 2U);
  EXPECT_EQ(evaluation->stages[0].program.code.size(), 1U);
  EXPECT_EQ(evaluation->stages[1].program.code.size(), 4U);
  EXPECT_LE(evaluation->stages[1].program.temporaries, 2U);
}

TEST(Expression, ResultsAreCastWhereADtypeIsGiven) {
  const auto evaluation = compile_expression("a + 1", operands(), DType::kInt16);
  ASSERT_TRUE(evaluation);
  EXPECT_EQ(evaluation->stages.back().result.dtype, DType::kInt16);
}

}  // namespace
}  // namespace parcompute
