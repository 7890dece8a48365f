// Differential: products of random views in all pairs of dtypes against NumPy's, on every instruction set. Integers have
// the same bits; floats lie within the bound of their arithmetic, and have the same bits on every set.
#include <cmath>
#include <complex>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/operation/products_plan.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/oracle.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::Operand;
using testing::OracleReader;
using testing::python_with_numpy;
using testing::run_job;
using testing::run_oracle;
using testing::TemporaryDirectory;
using testing::WithInstructionSet;

wire::Operation operation_of(std::int64_t number) {
  wire::Operation operation;
  if (number == 1) operation.mutable_matmul();
  if (number == 2) operation.mutable_dot();
  if (number == 3) operation.mutable_vecdot();
  if (number == 4) operation.mutable_outer();
  return operation;
}

// Real and imaginary parts, one after another.
std::vector<double> parts_of(DType dtype, const std::string& bytes) {
  std::vector<double> parts;
  visit_dtype(dtype, [&](auto element) {
    using T = decltype(element);
    for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
      T x;
      std::memcpy(&x, bytes.data() + at, sizeof x);
      if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
        parts.push_back(x.real());
        parts.push_back(x.imag());
      } else {
        parts.push_back(static_cast<double>(x));
        parts.push_back(0);
      }
    }
  });
  return parts;
}

bool is_near(double got, double wanted, double bound) {
  if (std::isnan(wanted)) return std::isnan(got);
  if (std::isinf(wanted)) return got == wanted;
  return std::abs(got - wanted) <= bound || std::isinf(bound) || std::isnan(bound);
}

// Equal but for the bits of NaNs.
bool same(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i] && std::signbit(a[i]) == std::signbit(b[i])) && !(std::isnan(a[i]) && std::isnan(b[i])))
      return false;
  return true;
}

class ProductsNumPy : public ::testing::Test {
 protected:
  void check(OracleReader& reader) {
    const std::int64_t number = reader.number();
    const wire::Operation operation = operation_of(number);
    Operand a = reader.array(0), b = reader.array(0);
    const DType dtype = reader.dtype();
    const std::int64_t ndim = reader.number();
    const Dims shape = reader.numbers(ndim);
    const bool exact = reader.number() == 1;
    SCOPED_TRACE(fmt::format("operation {}: ({}) by ({})", number, format_spec(a.spec), format_spec(b.spec)));
    std::string wanted;
    std::vector<double> real, imaginary, bounds;
    if (exact) {
      wanted = reader.bytes();
    } else {
      real = reader.values<double>();
      imaginary = reader.values<double>();
      bounds = reader.values<double>();
    }
    std::vector<double> first;
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      const auto outcome = run_job(operation, {a.view(), b.view()}, {.seed = ++seed_});
      ASSERT_TRUE(outcome) << outcome.error().message;
      ASSERT_EQ(outcome->plan.output->dtype, dtype);
      ASSERT_EQ(outcome->plan.output->shape, shape);
      const std::string got(reinterpret_cast<const char*>(outcome->output.data()), outcome->output.size());
      if (shape.empty()) {
        EXPECT_EQ(std::memcmp(outcome->scalar.data(), got.data(), got.size()), 0);
        const auto bare = run_job(operation, {a.view(), b.view()}, {.seed = seed_, .with_output = false});
        EXPECT_EQ(std::memcmp(bare->scalar.data(), got.data(), got.size()), 0);
      }
      if (exact) {
        ASSERT_EQ(got, wanted) << isa;
        continue;
      }
      const std::vector<double> parts = parts_of(dtype, got);
      ASSERT_EQ(parts.size(), 2 * real.size());
      for (std::size_t i = 0; i < real.size(); ++i) {
        ASSERT_TRUE(is_near(parts[2 * i], real[i], bounds[i]))
            << isa << " element " << i << " got " << parts[2 * i] << " wanted " << real[i] << " +- " << bounds[i];
        ASSERT_TRUE(is_near(parts[2 * i + 1], imaginary[i], bounds[i]))
            << isa << " element " << i << " got " << parts[2 * i + 1] << " i, wanted " << imaginary[i];
      }
      if (first.empty()) first = parts;
      EXPECT_TRUE(same(parts, first)) << isa;
    }
  }

  std::uint32_t seed_ = 0;
};

TEST_F(ProductsNumPy, AreNumPys) {
  if (python_with_numpy().empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  const char* seed = std::getenv("PARCOMPUTE_TEST_SEED");
  ASSERT_TRUE(run_oracle(PARCOMPUTE_PRODUCTS_ORACLE, path, seed != nullptr ? seed : "7"));
  OracleReader reader(path);
  std::size_t cases = 0;
  for (std::string kind = reader.kind(); kind != "end."; kind = reader.kind(), ++cases) {
    ASSERT_EQ(kind, "prod");
    check(reader);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(cases, 1400U);
}

}  // namespace
}  // namespace parcompute
