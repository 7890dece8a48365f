// Differential: NumPy makes random operands and answers, and the kernels give the same bits on every
// instruction set. (Float sums are math.fsum's, correctly rounded, which NumPy's own are not.)
#include <cmath>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/operation/plans.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/temporary_directory.h"
#include "worker/kernels/linspace.h"

namespace parcompute {
namespace {

using testing::Buffer;
using testing::Operand;
using testing::run_job;
using testing::TemporaryDirectory;
using testing::WithInstructionSet;

// An interpreter that has NumPy; empty where none has. PARCOMPUTE_TEST_PYTHON comes first.
std::string python_with_numpy() {
  std::vector<std::string> candidates{"python3", "/usr/bin/python3"};
  if (const char* wanted = std::getenv("PARCOMPUTE_TEST_PYTHON"); wanted != nullptr)
    candidates.insert(candidates.begin(), wanted);
  for (const std::string& candidate : candidates)
    if (std::system((candidate + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return candidate;
  return {};
}

// The oracle's records (tests/python/kernel_oracle.py).
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
  Operand array(std::size_t shift) {
    Operand operand;
    operand.spec.dtype = *dtype_from_number(static_cast<std::uint32_t>(number()));
    const std::int64_t ndim = number();
    operand.spec.shape = numbers(ndim);
    operand.spec.strides = numbers(ndim);
    operand.spec.offset = static_cast<std::uint64_t>(number());
    const std::string text = bytes();
    operand.buffer = Buffer(text.size(), shift);
    std::memcpy(operand.buffer.data(), text.data(), text.size());
    return operand;
  }

 private:
  std::ifstream file_;
};

std::string text_of(const std::byte* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// NaNs differ in sign and payload; ours are canonical.
bool both_nan(DType dtype, const std::string& a, const std::string& b) {
  const auto is_nan = [&](const std::string& text) {
    if (dtype == DType::kFloat64) {
      double x;
      std::memcpy(&x, text.data(), sizeof x);
      return std::isnan(x);
    }
    float x;
    std::memcpy(&x, text.data(), sizeof x);
    return std::isnan(x);
  };
  return info(dtype).kind == Kind::kFloat && is_nan(a) && is_nan(b);
}

class KernelNumPy : public ::testing::Test {
 protected:
  void check_reduction(Reader& reader) {
    wire::Operation operation;
    operation.mutable_reduce()->set_op(static_cast<wire::Reduce::Operator>(reader.number()));
    Operand a = reader.array(seed_ % 8);
    const DType dtype = *dtype_from_number(static_cast<std::uint32_t>(reader.number()));
    const std::string wanted = reader.bytes();
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      const auto outcome = run_job(operation, {a.view()}, {.seed = ++seed_});
      ASSERT_TRUE(outcome) << outcome.error().message;
      ASSERT_EQ(outcome->plan.scalar, dtype);
      const std::string got = text_of(outcome->scalar.data(), wanted.size());
      EXPECT_TRUE(got == wanted || both_nan(dtype, got, wanted)) << fmt::format(
          "operator {} of ({}) on {}: got {}, wanted {}", operation.reduce().op(), format_spec(a.spec), isa,
          outcome->scalar_as<double>(), *reinterpret_cast<const double*>((wanted + "12345678").data()));
    }
  }

  static void check_linspace(Reader& reader) {
    const auto ends = reader.values<double>();
    const auto num = static_cast<std::uint64_t>(reader.number());
    const auto wanted = reader.values<std::uint64_t>();
    const Linspace axis(ends[0], ends[1], num);
    for (std::uint64_t i = 0; i < num; ++i) {
      const double value = axis(i);
      std::uint64_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      double numpys;
      std::memcpy(&numpys, &wanted[i], sizeof numpys);
      if (std::isnan(value) && std::isnan(numpys)) continue;
      ASSERT_EQ(bits, wanted[i]) << fmt::format("linspace({}, {}, {})[{}]: got {}", ends[0], ends[1], num, i,
                                                value);
    }
  }

  void check_mandelbrot(Reader& reader) {
    wire::Operation operation;
    wire::Mandelbrot& grid = *operation.mutable_mandelbrot();
    grid.set_nx(static_cast<std::uint64_t>(reader.number()));
    grid.set_ny(static_cast<std::uint64_t>(reader.number()));
    grid.set_max_iter(static_cast<std::uint64_t>(reader.number()));
    const auto region = reader.values<double>();
    grid.set_x_min(region[0]);
    grid.set_x_max(region[1]);
    grid.set_y_min(region[2]);
    grid.set_y_max(region[3]);
    const auto wanted = reader.values<std::int64_t>();
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      EXPECT_EQ(run_job(operation, {}, {.seed = ++seed_})->output_as<std::int64_t>(), wanted)
          << fmt::format("{}x{} over {}, {}, {}, {}, {} iterations on {}", grid.nx(), grid.ny(), region[0],
                         region[1], region[2], region[3], grid.max_iter(), isa);
    }
  }

  void check_product(Reader& reader) {
    wire::Operation operation;
    operation.mutable_matmul();
    Operand a = reader.array(0), b = reader.array(0);
    const std::int64_t ndim = reader.number();
    const Dims shape = reader.numbers(ndim);
    const std::string wanted = reader.bytes();
    const auto outcome = run_job(operation, {a.view(), b.view()}, {.seed = ++seed_});
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->plan.output->shape, shape);
    EXPECT_EQ(text_of(outcome->output.data(), outcome->output.size()), wanted)
        << fmt::format("({}) by ({})", format_spec(a.spec), format_spec(b.spec));
  }

  std::uint32_t seed_ = 0;
};

TEST_F(KernelNumPy, GivesTheSameBits) {
  const std::string python = python_with_numpy();
  if (python.empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  const std::string command = fmt::format("{} '{}' '{}' 20261", python, PARCOMPUTE_KERNEL_ORACLE, path);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  Reader reader(path);
  std::size_t cases = 0;
  for (std::string kind = reader.kind(); kind != "end."; kind = reader.kind(), ++cases) {
    if (kind == "redu")
      check_reduction(reader);
    else if (kind == "lins")
      check_linspace(reader);
    else if (kind == "mand")
      check_mandelbrot(reader);
    else if (kind == "matm")
      check_product(reader);
    else
      FAIL() << "the oracle wrote a record of kind '" << kind << "'";
  }
  EXPECT_GT(cases, 2000U);
}

}  // namespace
}  // namespace parcompute
