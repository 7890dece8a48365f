// Differential: arrays that NumPy makes and joins, and ours, have the same bits on every instruction set.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/operation/number.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/oracle.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::Operand;
using testing::OracleAnswer;
using testing::OracleReader;
using testing::python_with_numpy;
using testing::run_job;
using testing::run_oracle;
using testing::TemporaryDirectory;
using testing::WithInstructionSet;

// A number without a dtype, as create_oracle.py writes one.
void read_number(OracleReader& reader, wire::Number& to) {
  const std::int64_t kind = reader.number();
  if (kind == 0) {
    const std::string digits = reader.bytes();
    if (digits.front() == '-')
      to.set_integer(std::strtoll(digits.c_str(), nullptr, 10));
    else
      to.set_natural(std::strtoull(digits.c_str(), nullptr, 10));
  } else {
    const auto parts = reader.values<double>();
    to.set_real(parts[0]);
    if (kind == 2) to.set_imaginary(parts[1]);
  }
}

class CreateNumPy : public ::testing::Test {
 protected:
  void check(const wire::Operation& operation, std::vector<View> inputs, const OracleAnswer& wanted,
             bool on_every_set = false) {
    for (const std::string_view isa :
         on_every_set ? available_instruction_sets() : std::vector<std::string_view>{""}) {
      const WithInstructionSet with(isa);
      const auto outcome = run_job(operation, inputs, {.seed = ++seed_});
      ASSERT_TRUE(outcome) << outcome.error().message << " " << describe(operation);
      EXPECT_EQ(outcome->plan.output->shape, wanted.shape)
          << describe(operation) << " of " << (inputs.empty() ? "" : format_spec(inputs[0].spec));
      EXPECT_EQ(outcome->plan.output->dtype, wanted.dtype);
      ASSERT_EQ(outcome->output.size(), wanted.bytes.size());
      if (std::memcmp(outcome->output.data(), wanted.bytes.data(), wanted.bytes.size()) == 0) continue;
      std::size_t at = 0;
      while (outcome->output.data()[at] == static_cast<std::byte>(wanted.bytes[at])) ++at;
      at = at / itemsize(wanted.dtype);
      ADD_FAILURE() << describe(operation) << " differs from element " << at << " on, on '" << isa << "' got "
                    << element(wanted.dtype, reinterpret_cast<const char*>(outcome->output.data()), at) << ", wanted "
                    << element(wanted.dtype, wanted.bytes.data(), at);
    }
  }

  static std::string describe(const wire::Operation& operation) {
    if (operation.has_concatenate())
      return fmt::format("{} along {}", operation.concatenate().stack() ? "stack" : "concatenate",
                         operation.concatenate().axis());
    if (!operation.has_fill()) return fmt::format("operation {}", static_cast<int>(operation.kind_case()));
    const wire::Fill& fill = operation.fill();
    std::string text =
        fmt::format("fill {} of {}", static_cast<int>(fill.how()), format_spec(*from_wire(fill.spec())));
    for (const wire::Number* number : {&fill.start(), &fill.step(), &fill.stop()})
      if (const auto value = number_from_wire(*number, ""); value) text.append(" ").append(format_number(*value));
    return text + (fill.excludes_stop() ? " without stop" : "");
  }
  static std::string element(DType dtype, const char* bytes, std::size_t index) {
    return visit_dtype(dtype, [&](auto x) {
      if (sizeof x > 1 || !std::is_same_v<decltype(x), bool>) std::memcpy(&x, bytes + index * sizeof x, sizeof x);
      if constexpr (std::is_arithmetic_v<decltype(x)>)
        return fmt::format("{}", x);
      else
        return fmt::format("{}{:+}j", x.real(), x.imag());
    });
  }

  void check_uniform(OracleReader& reader) {
    const auto stream = reader.values<std::uint64_t>();
    const auto ends = reader.values<double>();
    const OracleAnswer wanted = reader.answer();
    wire::Operation operation;
    wire::Random& random = *operation.mutable_random();
    to_wire(*make_spec(wanted.dtype, wanted.shape), *random.mutable_spec());
    random.set_key_low(stream[0]);
    random.set_key_high(stream[1]);
    random.set_counter(stream[2]);
    random.mutable_uniform()->set_low(ends[0]);
    random.mutable_uniform()->set_high(ends[1]);
    check(operation, {}, wanted, true);
  }

  void check_arange(OracleReader& reader) {
    wire::Operation operation;
    wire::Fill& fill = *operation.mutable_fill();
    fill.set_how(wire::Fill::ARANGE);
    wire::Number stop;
    read_number(reader, *fill.mutable_start());
    read_number(reader, stop);
    read_number(reader, *fill.mutable_step());
    const OracleAnswer wanted = reader.answer();
    const auto length = arange_length(*number_from_wire(fill.start(), "start"), *number_from_wire(stop, "stop"),
                                      *number_from_wire(fill.step(), "step"));
    ASSERT_TRUE(length) << length.error().message;
    ASSERT_EQ(*length, static_cast<std::uint64_t>(wanted.shape[0]))
        << format_number(*number_from_wire(fill.start(), "")) << " " << format_number(*number_from_wire(stop, ""))
        << " " << format_number(*number_from_wire(fill.step(), ""));
    to_wire(*make_spec(wanted.dtype, wanted.shape), *fill.mutable_spec());
    check(operation, {}, wanted);
  }

  void check_linspace(OracleReader& reader) {
    wire::Operation operation;
    wire::Fill& fill = *operation.mutable_fill();
    fill.set_how(wire::Fill::LINSPACE);
    read_number(reader, *fill.mutable_start());
    read_number(reader, *fill.mutable_stop());
    fill.set_excludes_stop(reader.number() == 0);
    const OracleAnswer wanted = reader.answer();
    to_wire(*make_spec(wanted.dtype, wanted.shape), *fill.mutable_spec());
    check(operation, {}, wanted);
  }

  void check_eye(OracleReader& reader) {
    wire::Operation operation;
    wire::Fill& fill = *operation.mutable_fill();
    fill.set_how(wire::Fill::EYE);
    fill.set_diagonal(reader.number());
    const OracleAnswer wanted = reader.answer();
    to_wire(*make_spec(wanted.dtype, wanted.shape), *fill.mutable_spec());
    check(operation, {}, wanted);
  }

  void check_concatenation(OracleReader& reader) {
    wire::Operation operation;
    operation.mutable_concatenate()->set_axis(static_cast<std::int32_t>(reader.number()));
    operation.mutable_concatenate()->set_stack(reader.number() != 0);
    const std::int64_t count = reader.number();
    std::vector<Operand> operands;
    for (std::int64_t i = 0; i < count; ++i) operands.push_back(reader.array(seed_ % 8));
    std::vector<View> views;
    for (Operand& operand : operands) views.push_back(operand.view());
    check(operation, views, reader.answer());
  }

  std::uint32_t seed_ = 0;
};

TEST_F(CreateNumPy, GivesTheSameBits) {
  if (python_with_numpy().empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  ASSERT_TRUE(run_oracle(PARCOMPUTE_CREATE_ORACLE, path, "20263"));
  OracleReader reader(path);
  std::size_t cases = 0;
  for (std::string kind = reader.kind(); kind != "end."; kind = reader.kind(), ++cases) {
    if (kind == "unif")
      check_uniform(reader);
    else if (kind == "aran")
      check_arange(reader);
    else if (kind == "lins")
      check_linspace(reader);
    else if (kind == "eye.")
      check_eye(reader);
    else if (kind == "conc")
      check_concatenation(reader);
    else
      FAIL() << "the oracle wrote a record of kind '" << kind << "'";
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(cases, 3000U);
}

}  // namespace
}  // namespace parcompute
