// NumPy's typing rules: from operands' dtypes to an op's, with the casts in between (NEP 50). Internal to common/expression.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "common/expression/syntax.h"
#include "common/expression/terms.h"
#include "common/expression/weak.h"

namespace parcompute::expression {

// What a node is worth: a number that has no dtype yet, or a term.
using Value = std::variant<Weak, TermId>;

// Errors of rules end in the column that they were made with.
class Rules {
 public:
  Rules(Terms& terms, std::uint32_t column) : terms_(terms), column_(column) {}

  // An op of NumPy's on values of any dtypes. `written` is what errors call it ("'+'", "'sin'").
  Result<TermId> element(Op op, const std::vector<Value>& values, std::string_view written) const;

  // The dtype that values of any kind share.
  Result<DType> common_dtype(const std::vector<Value>& values) const;
  // A value in a dtype: numbers become constants, terms are cast.
  Result<TermId> as(const Value& value, DType dtype) const;
  // Numbers take their own dtype.
  Result<TermId> as_term(const Value& value) const;
  Result<TermId> as_truth(const Value& value) const { return as_term_then_cast(value, DType::kBool); }

  // The first failure, with its column.
  tl::unexpected<Error> refuse(std::string_view sentence) const { return fail_at(column_, sentence); }

 private:
  Result<TermId> as_term_then_cast(const Value& value, DType dtype) const;
  Result<TermId> apply(Op op, std::vector<TermId> in) const;
  Result<TermId> compare(Op op, const std::vector<Value>& values) const;
  Result<TermId> compare_signs(Op op, TermId with_sign, TermId without) const;
  Result<TermId> power(const std::vector<Value>& values) const;
  Result<TermId> uniform(Op op, const std::vector<Value>& values, DType dtype) const;

  Terms& terms_;
  std::uint32_t column_;
};

// sum, mean, nanvar, ...: rewritten to the reducers that stages have.
struct ReductionCall {
  TermId x = 0;
  std::optional<std::vector<std::int64_t>> axes;  // absent: all
  bool keepdims = false;
  double ddof = 0;
};
// Null where no reduction has the name.
using ReductionRule = Result<TermId> (*)(Terms& terms, const Rules& rules, const ReductionCall& call);
ReductionRule find_reduction(std::string_view name);

}  // namespace parcompute::expression
