// Differential: arrays that NumPy makes and joins, and ours, have the same bits on every instruction set.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/operation/number.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::Buffer;
using testing::Operand;
using testing::run_job;
using testing::TemporaryDirectory;
using testing::WithInstructionSet;

std::string python_with_numpy() {
  std::vector<std::string> candidates{"python3", "/usr/bin/python3"};
  if (const char* wanted = std::getenv("PARCOMPUTE_TEST_PYTHON"); wanted != nullptr)
    candidates.insert(candidates.begin(), wanted);
  for (const std::string& candidate : candidates)
    if (std::system((candidate + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return candidate;
  return {};
}

// What NumPy answered.
struct Wanted {
  DType dtype;
  Dims shape;
  std::string bytes;
};

// The oracle's records (tests/python/create_oracle.py).
class Reader {
 public:
  explicit Reader(const std::string& path) : file_(path, std::ios::binary) {}

  std::string kind() {
    std::string text(4, '\0');
    file_.read(text.data(), 4);
    return file_ ? text : "cut short";
  }
  std::int64_t number() {
    std::int64_t x = 0;
    file_.read(reinterpret_cast<char*>(&x), sizeof x);
    return x;
  }
  Dims numbers(std::int64_t count) {
    Dims all;
    for (std::int64_t i = 0; i < count; ++i) all.push_back(number());
    return all;
  }
  std::string bytes() {
    std::string text(static_cast<std::size_t>(number()), '\0');
    file_.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
  }
  template <class T>
  std::vector<T> values() {
    const std::string text = bytes();
    std::vector<T> all(text.size() / sizeof(T));
    if (!all.empty()) std::memcpy(all.data(), text.data(), text.size());
    return all;
  }
  DType dtype() { return *dtype_from_number(static_cast<std::uint32_t>(number())); }
  Operand array(std::size_t shift) {
    Operand operand;
    operand.spec.dtype = dtype();
    const std::int64_t ndim = number();
    operand.spec.shape = numbers(ndim);
    operand.spec.strides = numbers(ndim);
    operand.spec.offset = static_cast<std::uint64_t>(number());
    const std::string text = bytes();
    operand.buffer = Buffer(text.size(), shift);
    if (!text.empty()) std::memcpy(operand.buffer.data(), text.data(), text.size());
    return operand;
  }
  void plain(wire::Number& to) {
    const std::int64_t kind = number();
    if (kind == 0) {
      const std::string digits = bytes();
      if (digits.front() == '-')
        to.set_integer(std::strtoll(digits.c_str(), nullptr, 10));
      else
        to.set_natural(std::strtoull(digits.c_str(), nullptr, 10));
    } else {
      const auto parts = values<double>();
      to.set_real(parts[0]);
      if (kind == 2) to.set_imaginary(parts[1]);
    }
  }
  Wanted wanted() {
    Wanted wanted{dtype(), {}, {}};
    const std::int64_t ndim = number();
    wanted.shape = numbers(ndim);
    wanted.bytes = bytes();
    return wanted;
  }

 private:
  std::ifstream file_;
};

class CreateNumPy : public ::testing::Test {
 protected:
  void check(const wire::Operation& operation, std::vector<View> inputs, const Wanted& wanted,
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

  void check_uniform(Reader& reader) {
    const auto stream = reader.values<std::uint64_t>();
    const auto ends = reader.values<double>();
    const Wanted wanted = reader.wanted();
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

  void check_arange(Reader& reader) {
    wire::Operation operation;
    wire::Fill& fill = *operation.mutable_fill();
    fill.set_how(wire::Fill::ARANGE);
    wire::Number stop;
    reader.plain(*fill.mutable_start());
    reader.plain(stop);
    reader.plain(*fill.mutable_step());
    const Wanted wanted = reader.wanted();
    const auto length = arange_length(*number_from_wire(fill.start(), "start"), *number_from_wire(stop, "stop"),
                                      *number_from_wire(fill.step(), "step"));
    ASSERT_TRUE(length) << length.error().message;
    ASSERT_EQ(*length, static_cast<std::uint64_t>(wanted.shape[0]))
        << format_number(*number_from_wire(fill.start(), "")) << " " << format_number(*number_from_wire(stop, ""))
        << " " << format_number(*number_from_wire(fill.step(), ""));
    to_wire(*make_spec(wanted.dtype, wanted.shape), *fill.mutable_spec());
    check(operation, {}, wanted);
  }

  void check_linspace(Reader& reader) {
    wire::Operation operation;
    wire::Fill& fill = *operation.mutable_fill();
    fill.set_how(wire::Fill::LINSPACE);
    reader.plain(*fill.mutable_start());
    reader.plain(*fill.mutable_stop());
    fill.set_excludes_stop(reader.number() == 0);
    const Wanted wanted = reader.wanted();
    to_wire(*make_spec(wanted.dtype, wanted.shape), *fill.mutable_spec());
    check(operation, {}, wanted);
  }

  void check_eye(Reader& reader) {
    wire::Operation operation;
    wire::Fill& fill = *operation.mutable_fill();
    fill.set_how(wire::Fill::EYE);
    fill.set_diagonal(reader.number());
    const Wanted wanted = reader.wanted();
    to_wire(*make_spec(wanted.dtype, wanted.shape), *fill.mutable_spec());
    check(operation, {}, wanted);
  }

  void check_concatenation(Reader& reader) {
    wire::Operation operation;
    operation.mutable_concatenate()->set_axis(static_cast<std::int32_t>(reader.number()));
    operation.mutable_concatenate()->set_stack(reader.number() != 0);
    const std::int64_t count = reader.number();
    std::vector<Operand> operands;
    for (std::int64_t i = 0; i < count; ++i) operands.push_back(reader.array(seed_ % 8));
    std::vector<View> views;
    for (Operand& operand : operands) views.push_back(operand.view());
    check(operation, views, reader.wanted());
  }

  std::uint32_t seed_ = 0;
};

TEST_F(CreateNumPy, GivesTheSameBits) {
  const std::string python = python_with_numpy();
  if (python.empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  const std::string command = fmt::format("{} '{}' '{}' 20263", python, PARCOMPUTE_CREATE_ORACLE, path);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  Reader reader(path);
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
