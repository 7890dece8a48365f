// Differential: NumPy makes random operands and answers, and the kernels that order, scan, select and count give the
// same elements. The same bits, but for what NumPy leaves open: which of two equal zeros, and which NaN.
#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

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

template <class T>
bool same_element(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a == b || (a != a && b != b);
  else
    return std::memcmp(&a, &b, sizeof a) == 0;
}
template <class T>
bool same_element(std::complex<T> a, std::complex<T> b) {
  return same_element(a.real(), b.real()) && same_element(a.imag(), b.imag());
}
// Where all numbers with a NaN are one.
template <class T>
bool both_nan(std::complex<T> a, std::complex<T> b) {
  return a != a && b != b;
}
template <class T>
bool both_nan(T, T) {
  return false;
}

constexpr std::int64_t kFlat = 99;

template <class Message>
void set_axis(Message& message, std::int64_t axis) {
  if (axis != kFlat) message.set_axis(static_cast<std::int32_t>(axis));
}

class OrderNumPy : public ::testing::Test {
 protected:
  void check(OracleReader& reader, const std::string& kind, const wire::Operation& operation,
             std::vector<Operand> operands) {
    const OracleAnswer wanted = reader.answer();
    std::vector<View> views;
    std::string specs;
    for (Operand& operand : operands) {
      views.push_back(operand.view());
      specs += fmt::format(" ({})", format_spec(operand.spec));
    }
    const auto outcome = run_job(operation, views, {.seed = ++seed_, .output_shift = seed_ % 3 == 0 ? 8U : 0U});
    ASSERT_TRUE(outcome) << kind << specs << ": " << outcome.error().message;
    Dims shape = outcome->plan.output->shape;
    if (outcome->plan.answers_length) shape[0] = static_cast<std::int64_t>(outcome->scalar_as<std::uint64_t>());
    ASSERT_EQ(outcome->plan.output->dtype, wanted.dtype) << kind << specs;
    ASSERT_EQ(shape, wanted.shape) << kind << specs;
    visit_dtype(wanted.dtype, [&](auto x) {
      using T = decltype(x);
      for (std::size_t at = 0; at < wanted.bytes.size(); at += sizeof(T)) {
        T a, b;
        std::memcpy(&a, outcome->output.data() + at, sizeof a);
        std::memcpy(&b, wanted.bytes.data() + at, sizeof b);
        if (same_element(a, b) || (kind == "uniq" && both_nan(a, b))) continue;
        ADD_FAILURE() << fmt::format("{}{}, case {}: element {} differs", kind, specs, seed_, at / sizeof(T));
        if constexpr (std::is_arithmetic_v<T>) ADD_FAILURE() << fmt::format("got {}, wanted {}", a, b);
        return;
      }
    });
  }

  std::uint32_t seed_ = 0;
};

TEST_F(OrderNumPy, GivesTheSameElements) {
  if (python_with_numpy().empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  ASSERT_TRUE(run_oracle(PARCOMPUTE_ORDER_ORACLE, path, "20262"));
  OracleReader reader(path);

  using Operands = std::vector<Operand>;
  std::size_t read = 0;
  const auto arrays = [&](std::size_t count) {
    Operands all;
    // Every other one at an address that is no multiple of anything.
    for (std::size_t i = 0; i < count; ++i) all.push_back(reader.array(++read % 2 * 3));
    return all;
  };
  // Reads a record's parameters into the operation and answers its operands.
  const std::map<std::string, std::function<Operands(wire::Operation&)>> kinds{
      {"sort", [&](auto& op) { return set_axis(*op.mutable_sort(), reader.number()), arrays(1); }},
      {"args", [&](auto& op) { return set_axis(*op.mutable_argsort(), reader.number()), arrays(1); }},
      {"uniq", [&](auto& op) { return op.mutable_unique(), reader.number(), arrays(1); }},
      {"comp", [&](auto& op) { return op.mutable_compress(), reader.number(), arrays(2); }},
      {"take", [&](auto& op) { return set_axis(*op.mutable_take(), reader.number()), arrays(2); }},
      {"srch", [&](auto& op) { return op.mutable_searchsorted()->set_right(reader.number() != 0), arrays(2); }},
      {"binc",
       [&](auto& op) {
         return op.mutable_bincount()->set_length(static_cast<std::uint64_t>(reader.number())), arrays(1);
       }},
      {"binw",
       [&](auto& op) {
         return op.mutable_bincount()->set_length(static_cast<std::uint64_t>(reader.number())), arrays(2);
       }},
      {"scan",
       [&](auto& op) {
         op.mutable_scan()->set_op(static_cast<wire::Scan::Operator>(reader.number()));
         set_axis(*op.mutable_scan(), reader.number());
         return arrays(1);
       }},
      {"hist",
       [&](auto& op) {
         wire::Histogram& message = *op.mutable_histogram();
         message.set_bins(static_cast<std::uint64_t>(reader.number()));
         message.set_weighted(reader.number() != 0);
         const auto ends = reader.values<double>();
         message.set_low(ends[0]);
         message.set_high(ends[1]);
         return arrays(1U + (message.bins() == 0) + message.weighted());
       }},
      {"perc",
       [&](auto& op) {
         wire::Percentile& message = *op.mutable_percentile();
         set_axis(message, reader.number());
         message.set_drop_q(reader.number() != 0);
         reader.number();
         for (const double q : reader.values<double>()) message.add_q(q);
         return arrays(1);
       }},
  };
  std::map<std::string, std::size_t> cases;
  for (std::string kind = reader.kind(); kind != "end."; kind = reader.kind()) {
    const auto row = kinds.find(kind);
    ASSERT_NE(row, kinds.end()) << "the oracle wrote a record of kind '" << kind << "'";
    wire::Operation operation;
    Operands operands = row->second(operation);
    check(reader, kind, operation, std::move(operands));
    if (HasFatalFailure()) return;
    ++cases[kind];
  }
  for (const auto& [kind, row] : kinds) EXPECT_GT(cases[kind], 40U) << kind;
}

}  // namespace
}  // namespace parcompute
