// Differential: NumPy makes random operands and answers, and the kernels that order, scan, select and count give the
// same elements. The same bits, but for what NumPy leaves open: which of two equal zeros, and which NaN.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/kernel_runner.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::Buffer;
using testing::Operand;
using testing::run_job;
using testing::TemporaryDirectory;

// An interpreter that has NumPy; empty where none has. PARCOMPUTE_TEST_PYTHON comes first.
std::string python_with_numpy() {
  std::vector<std::string> candidates{"python3", "/usr/bin/python3"};
  if (const char* wanted = std::getenv("PARCOMPUTE_TEST_PYTHON"); wanted != nullptr)
    candidates.insert(candidates.begin(), wanted);
  for (const std::string& candidate : candidates)
    if (std::system((candidate + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return candidate;
  return {};
}

struct Answer {
  DType dtype;
  Dims shape;
  std::string bytes;
};

// The oracle's records (tests/python/order_oracle.py).
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
  std::vector<double> doubles() {
    const std::string text = bytes();
    std::vector<double> all(text.size() / sizeof(double));
    std::memcpy(all.data(), text.data(), text.size());
    return all;
  }
  // At an address that is no multiple of anything, every other time.
  Operand array() {
    Operand operand;
    operand.spec.dtype = dtype();
    const std::int64_t ndim = number();
    operand.spec.shape = numbers(ndim);
    operand.spec.strides = numbers(ndim);
    operand.spec.offset = static_cast<std::uint64_t>(number());
    const std::string text = bytes();
    operand.buffer = Buffer(text.size(), ++arrays_ % 2 * 3);
    std::memcpy(operand.buffer.data(), text.data(), text.size());
    return operand;
  }
  Answer answer() {
    const DType of = dtype();
    const std::int64_t ndim = number();
    Dims shape = numbers(ndim);
    return {of, std::move(shape), bytes()};
  }

 private:
  DType dtype() { return *dtype_from_number(static_cast<std::uint32_t>(number())); }

  std::ifstream file_;
  std::size_t arrays_ = 0;
};

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
  void check(Reader& reader, const std::string& kind, const wire::Operation& operation,
             std::vector<Operand> operands) {
    const Answer wanted = reader.answer();
    std::vector<View> views;
    std::string specs;
    for (Operand& operand : operands) {
      views.push_back(operand.view());
      specs += fmt::format(" ({})", format_spec(operand.spec));
    }
    const auto outcome = run_job(operation, views, {.seed = ++seed_, .output_shift = seed_ % 3 == 0 ? 5U : 0U});
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
  const std::string python = python_with_numpy();
  if (python.empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "cases";
  const std::string command = fmt::format("{} '{}' '{}' 20262", python, PARCOMPUTE_ORDER_ORACLE, path);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  Reader reader(path);

  using Operands = std::vector<Operand>;
  const auto arrays = [&](std::size_t count) {
    Operands all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(reader.array());
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
         const auto ends = reader.doubles();
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
         for (const double q : reader.doubles()) message.add_q(q);
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
