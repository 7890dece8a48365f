// Differential: numbers among themselves are Python's, and dtypes NumPy 2's.
#include <bit>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/expression/program.h"
#include "tests/support/numpy.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::fields_of;
using testing::python_with_numpy;

template <class T>
T element_as(const Constant& constant) {
  T x;
  std::memcpy(&x, constant.value.data(), sizeof x);
  return x;
}

std::string hexadecimal(double x) {
  return fmt::format("{:016x}", std::bit_cast<std::uint64_t>(x));
}

// The fields of a number's answer, as the oracle writes them.
std::string number_of(const Evaluation& evaluation) {
  const Program& program = evaluation.stages.at(0).program;
  if (evaluation.stages.size() != 1 || !program.code.empty() || program.constants.size() != 1) return "no number";
  const Constant& constant = program.constants[0];
  switch (constant.dtype) {
    case DType::kBool: return element_as<bool>(constant) ? "bool\t1" : "bool\t0";
    case DType::kInt64: return fmt::format("int\t{}", element_as<std::int64_t>(constant));
    case DType::kUint64: return fmt::format("int\t{}", element_as<std::uint64_t>(constant));
    case DType::kFloat64: return "float\t" + hexadecimal(element_as<double>(constant));
    case DType::kComplex128: {
      const auto z = element_as<std::complex<double>>(constant);
      return "complex\t" + hexadecimal(z.real()) + "\t" + hexadecimal(z.imag());
    }
    default: return "another dtype";
  }
}

void check_number(const std::string& line, const std::vector<std::string>& fields) {
  const auto evaluation = compile_expression(fields[1], {}, std::nullopt);
  std::string wanted = fields[2];
  for (std::size_t i = 3; i < fields.size(); ++i) wanted += "\t" + fields[i];
  if (wanted == "error") {
    EXPECT_FALSE(evaluation) << line << ": got " << number_of(*evaluation);
    return;
  }
  ASSERT_TRUE(evaluation) << line << ": " << evaluation.error().message;
  EXPECT_EQ(number_of(*evaluation), wanted) << line;
}

void check_type(const std::string& line, const std::vector<std::string>& fields) {
  const auto spec = [&](std::string_view dtype) { return *make_spec(*dtype_from_name(dtype), {3}); };
  const std::vector<ExpressionOperand> operands{{"a", spec(fields[2])}, {"b", spec(fields[3])}, {"c", spec("bool")}};
  const auto evaluation = compile_expression(fields[1], operands, std::nullopt);
  if (fields[4] == "error") {
    EXPECT_FALSE(evaluation) << line << ": got " << name(evaluation->stages.back().result.dtype);
    return;
  }
  ASSERT_TRUE(evaluation) << line << ": " << evaluation.error().message;
  EXPECT_EQ(name(evaluation->stages.back().result.dtype), fields[4]) << line;
  const std::vector<ArraySpec> specs{operands[0].spec, operands[1].spec, operands[2].spec};
  const auto verified = verify(*evaluation, specs);
  EXPECT_TRUE(verified) << line << ": " << verified.error().message;
}

TEST(ExpressionNumPy, NumbersArePythonsAndDtypesNumPys) {
  if (python_with_numpy().empty()) GTEST_SKIP() << "no Python with NumPy";
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "expressions";
  ASSERT_EQ(std::system(fmt::format("{} {} {} 5", python_with_numpy(), PARCOMPUTE_EXPRESSION_ORACLE, path).c_str()), 0);
  std::ifstream file(path);
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const auto fields = fields_of(line, '\t');
    fields[0] == "number" ? check_number(line, fields) : check_type(line, fields);
  }
  EXPECT_GT(lines, 15000);
}

}  // namespace
}  // namespace parcompute
