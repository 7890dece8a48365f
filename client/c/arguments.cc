#include "client/c/arguments.h"

#include <cstring>

#include <fmt/format.h>

#include "common/base/suggestion.h"
#include "common/base/utf8.h"

namespace parcompute::c {
namespace {

const char* name_of(const parcompute_argument& argument) {
  return argument.name == nullptr ? "" : argument.name;
}

std::size_t length_of(const parcompute_argument& argument) {
  return argument.count > 0 ? static_cast<std::size_t>(argument.count) : 0;
}

// An array may be none; an empty list needs no place.
bool points_nowhere(const parcompute_argument& argument) {
  switch (argument.kind) {
    case PARCOMPUTE_KIND_TEXT: return argument.value.text == nullptr;
    case PARCOMPUTE_KIND_COMPLEX: return argument.value.reals == nullptr;
    case PARCOMPUTE_KIND_ARRAYS: return argument.value.arrays == nullptr && argument.count > 0;
    case PARCOMPUTE_KIND_INTEGERS: return argument.value.integers == nullptr && argument.count > 0;
    case PARCOMPUTE_KIND_REALS: return argument.value.reals == nullptr && argument.count > 0;
    default: return false;
  }
}

}  // namespace

Arguments::Arguments(std::string_view call, const parcompute_argument* arguments, std::size_t count, const SharedSession* shared)
    : call_(call), arguments_(arguments, arguments == nullptr ? 0 : count), shared_(shared), is_used_(arguments_.size()) {
  for (std::size_t i = 0; i < arguments_.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (std::strcmp(name_of(arguments_[i]), name_of(arguments_[j])) == 0 && arguments_[i].kind == arguments_[j].kind) refuse(name_of(arguments_[i]), "it is given twice");
}

void Arguments::refuse(std::string_view name, std::string_view why) const {
  throw Failure(ErrorCode::kInvalidArgument, fmt::format("{}: '{}': {}", call_, to_utf8(std::string(name)), why));
}

const parcompute_argument* Arguments::find(std::string_view name) {
  known_.emplace_back(name);
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    const parcompute_argument& argument = arguments_[i];
    if (argument.kind == PARCOMPUTE_KIND_OPERAND || name != name_of(argument)) continue;
    is_used_[i] = true;
    if (points_nowhere(argument)) refuse(name, "it points to NULL");
    const bool is_none = argument.kind == PARCOMPUTE_KIND_ARRAY && argument.value.array == nullptr;
    return is_none ? nullptr : &argument;
  }
  return nullptr;
}

const parcompute_argument& Arguments::need(std::string_view name) {
  const parcompute_argument* argument = find(name);
  if (argument == nullptr) throw Failure(ErrorCode::kInvalidArgument, fmt::format("{} needs '{}'", call_, name));
  return *argument;
}

Array Arguments::array_in(const parcompute_array* handle, std::string_view name) const {
  if (handle == nullptr) refuse(name, "it is no array handle");
  handle->shared->check_process();
  if (shared_ != nullptr && handle->shared.get() != shared_) refuse(name, "the array is another session's: find it by its name in this one");
  return handle->array;
}

Array Arguments::array_or_none(std::string_view name) {
  const parcompute_argument* argument = find(name);
  if (argument == nullptr) return {};
  if (argument->kind != PARCOMPUTE_KIND_ARRAY) refuse(name, "it takes an array");
  return array_in(argument->value.array, name);
}

Array Arguments::array(std::string_view name) {
  Array found = array_or_none(name);
  if (!found) throw Failure(ErrorCode::kInvalidArgument, fmt::format("{} needs the array '{}'", call_, name));
  return found;
}

std::vector<Array> Arguments::arrays(std::string_view name) {
  const parcompute_argument& argument = need(name);
  if (argument.kind != PARCOMPUTE_KIND_ARRAYS) refuse(name, "it takes a list of arrays");
  std::vector<Array> found;
  for (std::size_t i = 0; i < length_of(argument); ++i) found.push_back(array_in(argument.value.arrays[i], name));
  return found;
}

std::vector<Evaluate::Operand> Arguments::operands() {
  std::vector<Evaluate::Operand> found;
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    if (arguments_[i].kind != PARCOMPUTE_KIND_OPERAND) continue;
    is_used_[i] = true;
    found.push_back({name_of(arguments_[i]), array_in(arguments_[i].value.array, name_of(arguments_[i]))});
  }
  return found;
}

std::string Arguments::text_or(std::string_view name, std::string otherwise) {
  const parcompute_argument* argument = find(name);
  if (argument == nullptr) return otherwise;
  if (argument->kind != PARCOMPUTE_KIND_TEXT || argument->value.text == nullptr) refuse(name, "it takes a text");
  return argument->value.text;
}

std::string Arguments::text(std::string_view name) {
  need(name);
  return text_or(name, {});
}

std::optional<Number> Arguments::number_or_none(std::string_view name) {
  const parcompute_argument* argument = find(name);
  if (argument == nullptr) return std::nullopt;
  Number number;
  switch (argument->kind) {
    case PARCOMPUTE_KIND_INTEGER: number.integer = argument->value.integer; return number;
    case PARCOMPUTE_KIND_NATURAL: number.integer = argument->value.natural; return number;
    case PARCOMPUTE_KIND_REAL:
      number.is_integer = false;
      number.real = argument->value.real;
      return number;
    case PARCOMPUTE_KIND_COMPLEX:
      number.is_integer = false;
      number.is_complex = true;
      number.real = argument->value.reals[0];
      number.imaginary = argument->value.reals[1];
      return number;
    default: refuse(name, "it takes a number");
  }
}

Number Arguments::number(std::string_view name) {
  need(name);
  return *number_or_none(name);
}

std::optional<std::int64_t> Arguments::integer_or_none(std::string_view name) {
  const parcompute_argument* argument = find(name);
  if (argument == nullptr) return std::nullopt;
  if (argument->kind == PARCOMPUTE_KIND_INTEGER) return argument->value.integer;
  refuse(name, argument->kind == PARCOMPUTE_KIND_NATURAL ? "the number is above what it may be" : "it takes a whole number");
}

std::int64_t Arguments::integer_or(std::string_view name, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
  const std::int64_t value = integer_or_none(name).value_or(otherwise);
  if (value < least || value > most) refuse(name, fmt::format("{} is not within {} and {}", value, least, most));
  return value;
}

std::optional<double> Arguments::real_or_none(std::string_view name) {
  const auto number = number_or_none(name);
  if (!number) return std::nullopt;
  if (number->is_complex) refuse(name, "it takes a real number");
  return number->as_double();
}

std::optional<std::vector<std::int64_t>> Arguments::integers_or_none(std::string_view name) {
  const parcompute_argument* argument = find(name);
  if (argument == nullptr) return std::nullopt;
  if (argument->kind == PARCOMPUTE_KIND_INTEGER) return std::vector{argument->value.integer};
  if (argument->kind != PARCOMPUTE_KIND_INTEGERS) refuse(name, "it takes whole numbers");
  return std::vector<std::int64_t>(argument->value.integers, argument->value.integers + length_of(*argument));
}

std::vector<std::int64_t> Arguments::integers(std::string_view name) {
  need(name);
  return *integers_or_none(name);
}

std::vector<double> Arguments::reals(std::string_view name) {
  const parcompute_argument& argument = need(name);
  if (argument.kind == PARCOMPUTE_KIND_REALS) return {argument.value.reals, argument.value.reals + length_of(argument)};
  return {*real_or_none(name)};
}

std::optional<DType> Arguments::dtype_or_none(std::string_view name) {
  const std::string word = text_or(name, "");
  if (word.empty()) return std::nullopt;
  const auto found = dtype_from_name(word);
  if (!found) refuse(name, fmt::format("'{}' is no dtype; there are {}", to_utf8(word), dtype_names()));
  return found;
}

DType Arguments::dtype(std::string_view name) {
  need(name);
  return dtype_or_none(name).value_or(DType::kFloat64);
}

void Arguments::finish() const {
  for (std::size_t i = 0; i < arguments_.size(); ++i)
    if (!is_used_[i]) {
      const std::string name = to_utf8(std::string(name_of(arguments_[i])));
      throw Failure(ErrorCode::kInvalidArgument, fmt::format("{} takes no argument '{}'{}", call_, name, suggestion(name, known_)));
    }
}

Scalar scalar_of(const Number& number, DType dtype, std::string_view what) {
  if (const auto fits = check_fits(number, dtype, what); !fits) throw Failure(fits.error().code, fits.error().message);
  Scalar scalar;
  scalar.dtype = dtype;
  visit_dtype(dtype, [&]<class T>(T) {
    if constexpr (std::is_same_v<T, bool>) {
      const bool element = !number.is_zero();
      std::memcpy(scalar.bytes.data(), &element, sizeof element);
    } else {
      const T element = element_of<T>(number);
      std::memcpy(scalar.bytes.data(), &element, sizeof element);
    }
  });
  return scalar;
}

}  // namespace parcompute::c
