// Terms: an expression's values, typed and shaped, each distinct one once (internal to common/expression).
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "common/expression/program.h"

namespace parcompute::expression {

using TermId = std::uint32_t;

struct Term {
  enum class Kind : std::uint8_t { kOperand, kConstant, kApply, kCast, kReduce };
  Kind kind = Kind::kConstant;
  DType dtype = DType::kFloat64;
  Dims shape;
  std::uint32_t operand = 0;  // kOperand
  ArraySpec view;             // kOperand
  ElementBytes value{};       // kConstant: of every element
  Op op = Op::kAdd;           // kApply
  std::vector<TermId> in;
  Reduction reduction;        // kReduce
};

class Terms {
 public:
  TermId add(Term term);
  const Term& operator[](TermId id) const { return terms_[id]; }
  std::size_t size() const { return terms_.size(); }

  TermId constant(DType dtype, ElementBytes value, Dims shape = {});
  template <class T>
  TermId constant_of(T value, Dims shape = {}) {
    ElementBytes bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);
    return constant(dtype_of<T>(), bytes, std::move(shape));
  }
  TermId cast(TermId term, DType dtype);
  // Operands must have the dtype that op takes, and shapes that fit together.
  Result<TermId> apply(Op op, std::vector<TermId> in);

 private:
  std::vector<Term> terms_;
  std::map<std::string, TermId> known_;  // by everything that makes a term what it is
};

// Stages and programs for the last term.
Result<Evaluation> schedule(const Terms& terms, TermId root);

}  // namespace parcompute::expression
