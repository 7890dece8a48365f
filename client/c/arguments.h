// Arguments by name, as calls of the C interface bring them. Internal to the library.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/c/handles.h"
#include "client/c/parcompute.h"
#include "common/operation/number.h"

namespace parcompute::c {

// Each getter throws where an argument is of another kind, and the plain ones where it was not given. What nobody asked for is an error in the end.
class Arguments {
 public:
  // `call` is for messages: "sort". Arrays must be handles of `shared`, where that is not null.
  Arguments(std::string_view call, const parcompute_argument* arguments, std::size_t count, const SharedSession* shared = nullptr);

  Array array(std::string_view name);
  Array array_or_none(std::string_view name);
  std::vector<Array> arrays(std::string_view name);
  // Those of an expression.
  std::vector<Evaluate::Operand> operands();
  std::string text(std::string_view name);
  std::string text_or(std::string_view name, std::string otherwise);
  std::optional<std::int64_t> integer_or_none(std::string_view name);
  std::int64_t integer_or(std::string_view name, std::int64_t otherwise, std::int64_t least, std::int64_t most);
  std::optional<double> real_or_none(std::string_view name);
  double real_or(std::string_view name, double otherwise) { return real_or_none(name).value_or(otherwise); }
  std::optional<Number> number_or_none(std::string_view name);
  Number number(std::string_view name);
  std::vector<std::int64_t> integers(std::string_view name);
  std::optional<std::vector<std::int64_t>> integers_or_none(std::string_view name);
  std::vector<double> reals(std::string_view name);
  DType dtype(std::string_view name);
  std::optional<DType> dtype_or_none(std::string_view name);

  // One that will be asked for.
  void expect(std::string_view name) { find(name); }
  // Throws for what was not asked for.
  void finish() const;

 private:
  const parcompute_argument* find(std::string_view name);
  const parcompute_argument& need(std::string_view name);
  Array array_in(const parcompute_array* handle, std::string_view name) const;
  [[noreturn]] void refuse(std::string_view name, std::string_view why) const;

  std::string_view call_;
  std::span<const parcompute_argument> arguments_;
  const SharedSession* shared_;
  std::vector<bool> is_used_;
  std::vector<std::string> known_;
};

// As an element. Throws where it does not fit.
Scalar scalar_of(const Number& number, DType dtype, std::string_view what);

}  // namespace parcompute::c
