// verify(): whatever is wrong with an evaluation, it is refused before it runs.
#include <functional>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/expression/program.h"

namespace parcompute {
namespace {

std::vector<ExpressionOperand> operands() {
  return {{"a", *make_spec(DType::kFloat64, {4, 6})}, {"t", *make_spec(DType::kBool, {4, 6})}, {"i", *make_spec(DType::kInt16, {6})}};
}
std::vector<ArraySpec> specs() {
  std::vector<ArraySpec> all;
  for (const ExpressionOperand& operand : operands()) all.push_back(operand.spec);
  return all;
}

// Two stages: the sums of the columns, and what is done with them.
Evaluation good() {
  auto evaluation = compile_expression("where(t, a * 2, i) - sum(a + 1, axis=0)", operands(), std::nullopt);
  EXPECT_TRUE(evaluation) << (evaluation ? "" : evaluation.error().message);
  return *std::move(evaluation);
}

struct Harm {
  const char* name;
  std::function<void(Evaluation&)> done;
};

Program& first(Evaluation& e) {
  return e.stages[0].program;
}
Program& last(Evaluation& e) {
  return e.stages[1].program;
}

TEST(ExpressionVerify, TakesWhatWasCompiled) {
  const auto verified = verify(good(), specs());
  EXPECT_TRUE(verified) << verified.error().message;
}

TEST(ExpressionVerify, RefusesHarmedEvaluations) {
  constexpr auto kNoDType = static_cast<DType>(77);
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();
  const std::vector<Harm> harms{
      {"no stages", [](Evaluation& e) { e.stages.clear(); }},
      {"too many stages", [](Evaluation& e) { e.stages.resize(kMaxStages + 1, e.stages[0]); }},
      // inputs
      {"operand that is not there", [](Evaluation& e) { first(e).inputs[0].index = 3; }},
      {"stage of itself", [](Evaluation& e) { for (auto& input : last(e).inputs) if (input.from == ProgramInput::From::kStage) input.index = 1; }},
      {"stage before the first", [](Evaluation& e) { first(e).inputs[0].from = ProgramInput::From::kStage; }},
      {"input from nowhere", [](Evaluation& e) { first(e).inputs[0].from = static_cast<ProgramInput::From>(9); }},
      {"another operand's dtype", [](Evaluation& e) { first(e).inputs[0].index = 1; }},
      {"input's dtype", [](Evaluation& e) { first(e).inputs[0].spec.dtype = DType::kInt64; }},
      {"input's shape", [](Evaluation& e) { first(e).inputs[0].spec.shape[0] = 3; }},
      {"input's axes", [](Evaluation& e) { first(e).inputs[0].spec.shape.push_back(1); }},
      {"input's strides missing", [](Evaluation& e) { first(e).inputs[0].spec.strides.pop_back(); }},
      {"input's stride", [](Evaluation& e) { first(e).inputs[0].spec.strides[0] = 56; }},
      {"input's stride backwards", [](Evaluation& e) { first(e).inputs[0].spec.strides[0] = -48; }},
      {"input's stride far", [](Evaluation& e) { first(e).inputs[0].spec.strides = {kFar, kFar}; }},
      {"input's stride far back", [](Evaluation& e) { first(e).inputs[0].spec.strides = {-kFar, -kFar}; }},
      {"input's offset", [](Evaluation& e) { first(e).inputs[0].spec.offset = 8; }},
      {"input's offset far", [](Evaluation& e) { first(e).inputs[0].spec.offset = std::numeric_limits<std::uint64_t>::max() - 7; }},
      // constants
      {"constant's dtype", [](Evaluation& e) { first(e).constants[0].dtype = DType::kFloat32; }},
      {"constant of no dtype", [](Evaluation& e) { first(e).constants[0].dtype = kNoDType; }},
      {"constant of dtype 0", [](Evaluation& e) { first(e).constants[0].dtype = DType{}; }},
      // code
      {"unknown op", [](Evaluation& e) { first(e).code[0].op = static_cast<Op>(200); }},
      {"unknown kind", [](Evaluation& e) { first(e).code[0].kind = static_cast<Instruction::Kind>(7); }},
      {"op that takes another dtype", [](Evaluation& e) { first(e).code[0].op = Op::kBitwiseAnd; }},
      {"op that gives another dtype", [](Evaluation& e) { first(e).code[0].op = Op::kLess; }},
      {"op of fewer operands", [](Evaluation& e) { first(e).code[0].op = Op::kNegative; }},
      {"number of operands", [](Evaluation& e) { first(e).code[0].operands = 3; }},
      {"far more operands", [](Evaluation& e) { first(e).code[0].operands = 200; }},
      {"dtype of operands", [](Evaluation& e) { first(e).code[0].dtype = DType::kInt64; }},
      {"no dtype of operands", [](Evaluation& e) { first(e).code[0].dtype = kNoDType; }},
      {"dtype 0 of operands", [](Evaluation& e) { first(e).code[0].dtype = DType{}; }},
      {"dtype of the result", [](Evaluation& e) { first(e).code[0].to = DType::kFloat32; }},
      {"no dtype of the result", [](Evaluation& e) { first(e).code[0].to = kNoDType; }},
      {"cast for an op", [](Evaluation& e) { first(e).code[0].kind = Instruction::Kind::kCast; }},
      {"register that is not there", [](Evaluation& e) { first(e).code[0].in[1] = 99; }},
      {"register that is not written yet", [](Evaluation& e) { first(e).code[0].in[0] = first(e).code[0].out; }},
      {"output to an input", [](Evaluation& e) { first(e).code[0].out = 0; }},
      {"output to a constant", [](Evaluation& e) { first(e).code[0].out = 1; }},
      {"output nowhere", [](Evaluation& e) { first(e).code[0].out = 4000; }},
      {"condition that is no truth", [](Evaluation& e) { for (auto& code : last(e).code) if (code.op == Op::kWhere) std::swap(code.in[0], code.in[1]); }},
      {"no code", [](Evaluation& e) { first(e).code.clear(); }},
      {"no temporaries", [](Evaluation& e) { first(e).temporaries = 0; }},
      {"too many temporaries", [](Evaluation& e) { first(e).temporaries = kMaxRegisters; }},
      {"temporaries beyond counting", [](Evaluation& e) { first(e).temporaries = std::numeric_limits<std::size_t>::max(); }},
      {"result's register", [](Evaluation& e) { first(e).result = 77; }},
      {"result's register holds another dtype", [](Evaluation& e) { last(e).result = 1; last(e).dtype = DType::kComplex64; }},
      {"result's dtype", [](Evaluation& e) { first(e).dtype = DType::kFloat32; }},
      {"result of no dtype", [](Evaluation& e) { first(e).dtype = kNoDType; }},
      // reductions and results
      {"axes missing", [](Evaluation& e) { e.stages[0].reduction->axes.pop_back(); }},
      {"axes too many", [](Evaluation& e) { e.stages[0].reduction->axes.push_back(true); }},
      {"other axes", [](Evaluation& e) { e.stages[0].reduction->axes = {false, true}; }},
      {"keepdims", [](Evaluation& e) { e.stages[0].reduction->keepdims = true; }},
      {"reduction's dtype", [](Evaluation& e) { e.stages[0].reduction->dtype = DType::kFloat32; }},
      {"reduction's and result's dtype", [](Evaluation& e) { e.stages[0].reduction->dtype = e.stages[0].result.dtype = DType::kInt8; }},
      {"reducer of truths", [](Evaluation& e) { e.stages[0].reduction->reducer = Reducer::kAny; }},
      {"reducer of positions", [](Evaluation& e) { e.stages[0].reduction->reducer = Reducer::kArgmin; }},
      {"unknown reducer", [](Evaluation& e) { e.stages[0].reduction->reducer = static_cast<Reducer>(99); }},
      {"no reduction", [](Evaluation& e) { e.stages[0].reduction.reset(); }},
      {"stage's shape", [](Evaluation& e) { e.stages[1].shape[0] = 5; }},
      {"stage's shape negative", [](Evaluation& e) { e.stages[1].shape[0] = -4; }},
      {"stage's shape far", [](Evaluation& e) { e.stages[1].shape = {kFar, kFar}; }},
      {"result's shape", [](Evaluation& e) { e.stages[1].result.shape[1] = 7; }},
      {"result's strides", [](Evaluation& e) { e.stages[1].result.strides[0] = 96; }},
      {"result's strides missing", [](Evaluation& e) { e.stages[1].result.strides.pop_back(); }},
      {"result's offset", [](Evaluation& e) { e.stages[1].result.offset = 8; }},
      {"result's dtype of the stage", [](Evaluation& e) { e.stages[1].result.dtype = DType::kInt64; }},
      {"result's dtype of no kind", [](Evaluation& e) { e.stages[0].reduction->dtype = e.stages[0].result.dtype = kNoDType; }},
  };
  for (const Harm& harm : harms) {
    Evaluation evaluation = good();
    harm.done(evaluation);
    const auto verified = verify(evaluation, specs());
    ASSERT_FALSE(verified) << harm.name;
    EXPECT_EQ(verified.error().code, ErrorCode::kComputationFailed) << harm.name;
  }
}

TEST(ExpressionVerify, RefusesOperandsThatAreOthers) {
  const Evaluation evaluation = good();
  for (std::size_t i = 0; i < 3; ++i) {
    auto smaller = specs();
    smaller[i].shape[0] -= 1;
    EXPECT_FALSE(verify(evaluation, smaller)) << i;
    auto other = specs();
    other[i].dtype = DType::kUint8;
    EXPECT_FALSE(verify(evaluation, other)) << i;
    auto moved = specs();
    moved[i].offset = 64;
    EXPECT_FALSE(verify(evaluation, moved)) << i;
  }
  EXPECT_FALSE(verify(evaluation, std::vector<ArraySpec>{}));
}

TEST(ExpressionVerify, RefusesPositionsAlongSeveralAxes) {
  const std::vector<ExpressionOperand> one{{"a", *make_spec(DType::kFloat64, {2, 3, 4})}};
  auto evaluation = compile_expression("argmin(a, axis=0)", one, std::nullopt);
  ASSERT_TRUE(evaluation);
  const std::vector<ArraySpec> operand{one[0].spec};
  EXPECT_TRUE(verify(*evaluation, operand));
  evaluation->stages[0].reduction->axes = {true, true, false};
  evaluation->stages[0].result = *make_spec(DType::kInt64, {4});
  EXPECT_FALSE(verify(*evaluation, operand));
}

TEST(ExpressionVerify, RefusesReductionsOfNothing) {
  const std::vector<ExpressionOperand> one{{"a", *make_spec(DType::kFloat64, {0, 3})}};
  auto evaluation = compile_expression("sum(a, axis=0)", one, std::nullopt);
  ASSERT_TRUE(evaluation);
  const std::vector<ArraySpec> operand{one[0].spec};
  EXPECT_TRUE(verify(*evaluation, operand));
  evaluation->stages[0].reduction->reducer = Reducer::kMax;
  EXPECT_FALSE(verify(*evaluation, operand));
}

}  // namespace
}  // namespace parcompute
