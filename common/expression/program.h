// What an expression computes, typed: stages, each a program over elements with or without a reduction behind it.
//
// An expression without reductions is one stage. Each reduction inside is a stage of its own, whose result later stages
// read like an operand: `x - mean(x)` is a sum, and a subtraction. A stage's program runs once per element of its shape;
// its registers are the stage's inputs, then its constants, then temporaries.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/array/array_spec.h"
#include "common/base/error.h"
#include "common/expression/op.h"

namespace parcompute {

// One element of any dtype, in its first bytes.
using ElementBytes = std::array<std::byte, 16>;

// As many as operands and stages together may give; a program names registers in 16 bits.
inline constexpr std::size_t kMaxRegisters = 4096;
inline constexpr std::size_t kMaxStages = 64;

using Register = std::uint16_t;

struct ProgramInput {
  enum class From : std::uint8_t { kOperand, kStage };
  From from = From::kOperand;
  std::uint32_t index = 0;  // of the operand or the stage
  // How the operand (or the stage's dense result) is read: of the stage's shape, by broadcasting.
  ArraySpec spec;
};

struct Constant {
  DType dtype = DType::kFloat64;
  ElementBytes value{};
};

struct Instruction {
  enum class Kind : std::uint8_t { kApply, kCast };
  Kind kind = Kind::kApply;
  Op op = Op::kAdd;                 // kApply
  DType dtype = DType::kFloat64;    // of the operands (of where: of its values)
  DType to = DType::kFloat64;       // of the result
  std::uint8_t operands = 0;
  Register in[3] = {};
  Register out = 0;                 // a temporary; may be one of `in` where their sizes are the same
};

struct Program {
  std::vector<ProgramInput> inputs;
  std::vector<Constant> constants;
  std::vector<Instruction> code;
  std::size_t temporaries = 0;
  Register result = 0;
  DType dtype = DType::kFloat64;  // of the result

  std::size_t registers() const { return inputs.size() + constants.size() + temporaries; }
};

enum class Reducer : std::uint8_t { kSum, kProd, kMin, kMax, kFmin, kFmax, kAny, kAll, kArgmin, kArgmax, kNanargmin, kNanargmax, kVar };

// NumPy's name.
std::string_view name(Reducer reducer);
// Has an answer for no elements at all.
bool has_identity(Reducer reducer);

struct Reduction {
  Reducer reducer = Reducer::kSum;
  std::vector<bool> axes;  // of the program's shape: which go
  bool keepdims = false;
  double ddof = 0;         // kVar
  DType dtype = DType::kFloat64;  // of the result
};

struct Stage {
  Dims shape;  // that the program runs over
  Program program;
  std::optional<Reduction> reduction;
  ArraySpec result;  // dense, in C order
};

struct Evaluation {
  std::vector<Stage> stages;  // a stage reads earlier ones alone; the last one's result is the expression's
};

// "sum", "mean", "nanargmax", ...: what `run reduce` may ask for.
std::vector<std::string> reduction_names();
// "sqrt", "where", "clip", ...: what else an expression may call, but for the dtypes, which are casts.
std::vector<std::string> function_names();
// "pi", "e", ..., "True", "False".
std::vector<std::string> constant_names();

// Constants and words that stand for no array: an operand must be given for the name to mean one.
bool is_reserved_name(std::string_view name);

struct ExpressionOperand {
  std::string name;
  ArraySpec spec;
};

// Parses and types. `dtype` casts the result. Errors are sentences that tell a column; kNotFound of a name that stands for
// nothing, with the nearest of the operands', the functions' and the `known` names.
Result<Evaluation> compile_expression(std::string_view text, std::span<const ExpressionOperand> operands, std::optional<DType> dtype,
                                      std::span<const std::string> known = {});

// That every register, operand, stage and shape that an evaluation speaks of is there and of the right dtype: what a worker
// asks before it runs one. `operands` are the arrays behind the inputs.
Result<void> verify(const Evaluation& evaluation, std::span<const ArraySpec> operands);

}  // namespace parcompute
