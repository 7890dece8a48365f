// Differential: NumPy makes random operands and answers, and the kernels give the same bits on every
// instruction set. (Float sums are math.fsum's, correctly rounded, which NumPy's own are not.)
#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/operation/plans.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/oracle.h"
#include "tests/support/temporary_directory.h"
#include "worker/kernels/linspace.h"

namespace parcompute {
namespace {

using testing::Operand;
using testing::OracleReader;
using testing::python_with_numpy;
using testing::run_job;
using testing::run_oracle;
using testing::TemporaryDirectory;
using testing::WithInstructionSet;

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
  void check_reduction(OracleReader& reader) {
    wire::Operation operation;
    operation.mutable_evaluate()->set_expression(reader.bytes() + "(a)");
    operation.mutable_evaluate()->add_names()->push_back('a');  // g++ 12 takes add_names("a") for an overflow
    Operand a = reader.array(seed_ % 8);
    const DType dtype = reader.dtype();
    const std::string wanted = reader.bytes();
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      const auto outcome = run_job(operation, {a.view()}, {.seed = ++seed_});
      ASSERT_TRUE(outcome) << outcome.error().message;
      ASSERT_EQ(outcome->plan.scalar, dtype);
      const std::string got = text_of(outcome->scalar.data(), wanted.size());
      EXPECT_TRUE(got == wanted || both_nan(dtype, got, wanted)) << fmt::format(
          "{} of ({}) on {}: got {}, wanted {}", operation.evaluate().expression(), format_spec(a.spec), isa,
          outcome->scalar_as<double>(), *reinterpret_cast<const double*>((wanted + "12345678").data()));
    }
  }

  static void check_linspace(OracleReader& reader) {
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

  void check_mandelbrot(OracleReader& reader) {
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

  void check_product(OracleReader& reader) {
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
  if (python_with_numpy().empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  ASSERT_TRUE(run_oracle(PARCOMPUTE_KERNEL_ORACLE, path, "20261"));
  OracleReader reader(path);
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
