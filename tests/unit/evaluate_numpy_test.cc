// Differential: expressions over arrays of every dtype, shape and layout are NumPy's, on every instruction set, however a job is cut.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/numpy.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::Buffer;
using testing::fields_of;
using testing::python_with_numpy;
using testing::run_job;
using testing::WithInstructionSet;

Dims numbers_of(const std::string& text) {
  Dims numbers;
  if (text.empty()) return numbers;
  for (const std::string& field : fields_of(text, ',')) numbers.push_back(std::strtoll(field.c_str(), nullptr, 10));
  return numbers;
}

using Bytes = std::vector<char>;

struct Record {
  std::string expression;
  bool fails = false;
  ArraySpec result;
  std::vector<std::string> names;
  std::vector<ArraySpec> specs;
  std::vector<Bytes> memories;
  Bytes answer;
  std::vector<double> tolerances;
};

Bytes read_bytes(std::ifstream& file, std::size_t size) {
  Bytes bytes(size);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  return bytes;
}

bool read_record(std::ifstream& file, Record& record) {
  std::string line;
  if (!std::getline(file, line)) return false;
  const auto fields = fields_of(line, '\t');
  record = {};
  record.expression = fields[0];
  record.fails = fields[1] == "error";
  if (!record.fails) record.result = *make_spec(*dtype_from_name(fields[2]), numbers_of(fields[3]));
  for (std::size_t at = 4; at + 6 <= fields.size(); at += 6) {
    record.names.push_back(fields[at]);
    record.specs.push_back({*dtype_from_name(fields[at + 1]), numbers_of(fields[at + 2]), numbers_of(fields[at + 3]), std::strtoull(fields[at + 4].c_str(), nullptr, 10)});
    record.memories.push_back(read_bytes(file, std::strtoull(fields[at + 5].c_str(), nullptr, 10)));
  }
  // Operands' bytes follow the line in their order, and were read in it.
  if (!record.fails) {
    record.answer = read_bytes(file, byte_count(record.result));
    const Bytes tolerances = read_bytes(file, element_count(record.result) * sizeof(double));
    record.tolerances.resize(element_count(record.result));
    if (!tolerances.empty()) std::memcpy(record.tolerances.data(), tolerances.data(), tolerances.size());
  }
  return static_cast<bool>(file);
}

template <class T>
bool part_matches(T got, T wanted, double tolerance) {
  if (std::isnan(got) || std::isnan(wanted)) return std::isnan(got) && std::isnan(wanted);
  if (tolerance == 0) return std::memcmp(&got, &wanted, sizeof got) == 0;
  if (got == wanted) return true;
  if (tolerance < 0 || std::isinf(wanted)) return false;
  return std::fabs(static_cast<double>(got) - static_cast<double>(wanted)) <= tolerance;
}

template <class T>
std::string check_floats(const char* got, const char* wanted, double tolerance, int parts) {
  T x[2] = {}, y[2] = {};
  std::memcpy(x, got, sizeof(T) * static_cast<std::size_t>(parts));
  std::memcpy(y, wanted, sizeof(T) * static_cast<std::size_t>(parts));
  // Which part of a complex number is NaN is asked for only where bits are.
  if (parts == 2 && tolerance != 0 && (std::isnan(y[0]) || std::isnan(y[1])) && (std::isnan(x[0]) || std::isnan(x[1]))) return {};
  for (int i = 0; i < parts; ++i)
    if (!part_matches(x[i], y[i], tolerance)) return fmt::format("part {}: got {} ({:a}), wanted {} ({:a}), tolerance {}", i, x[i], x[i], y[i], y[i], tolerance);
  return {};
}

// Nothing where the element is near enough.
std::string check_element(DType dtype, const char* got, const char* wanted, double tolerance) {
  switch (dtype) {
    case DType::kFloat32: return check_floats<float>(got, wanted, tolerance, 1);
    case DType::kFloat64: return check_floats<double>(got, wanted, tolerance, 1);
    case DType::kComplex64: return check_floats<float>(got, wanted, tolerance, 2);
    case DType::kComplex128: return check_floats<double>(got, wanted, tolerance, 2);
    default: break;
  }
  if (std::memcmp(got, wanted, itemsize(dtype)) == 0) return {};
  return visit_dtype(dtype, [&](auto x) {
    auto y = x;
    std::memcpy(&x, got, sizeof x);
    std::memcpy(&y, wanted, sizeof y);
    if constexpr (std::is_integral_v<decltype(x)>) return fmt::format("got {}, wanted {}", x, y);
    else return std::string();
  });
}

std::string description(const Record& record) {
  std::string text = record.expression;
  for (std::size_t i = 0; i < record.names.size(); ++i) {
    const ArraySpec& spec = record.specs[i];
    text += fmt::format("; {}: {}, strides", record.names[i], format_spec(spec));
    for (const std::int64_t stride : spec.strides) text += fmt::format(" {}", stride);
    text += fmt::format(", offset {}", spec.offset);
  }
  return text;
}

class EvaluateNumPy : public ::testing::Test {
 protected:
  void check(const std::string& what, int seed, int count) {
    if (python_with_numpy().empty()) GTEST_SKIP() << "no Python with NumPy";
    // Other cases, for who has the time: PARCOMPUTE_TEST_SEED is added to the seed.
    if (const char* more = std::getenv("PARCOMPUTE_TEST_SEED"); more != nullptr) seed += std::atoi(more);
    const testing::TemporaryDirectory directory;
    const std::string path = directory / "answers";
    ASSERT_EQ(std::system(fmt::format("{} {} {} {} {} {}", python_with_numpy(), PARCOMPUTE_EVALUATE_ORACLE, path, seed, what, count).c_str()), 0);
    std::ifstream file(path, std::ios::binary);
    Record record;
    int records = 0;
    while (read_record(file, record) && failed_ < 20) {
      ++records;
      check(record);
    }
    EXPECT_GE(records, failed_ < 20 ? count : 0);
  }

 private:
  Result<testing::Outcome> run(const Record& record, std::uint32_t seed, std::size_t shift) {
    wire::Operation operation;
    operation.mutable_evaluate()->set_expression(record.expression);
    std::vector<View> views;
    buffers_.clear();
    for (std::size_t i = 0; i < record.specs.size(); ++i) {
      operation.mutable_evaluate()->add_names(record.names[i]);
      buffers_.emplace_back(record.memories[i].size(), shift);
      if (!record.memories[i].empty()) std::memcpy(buffers_.back().data(), record.memories[i].data(), record.memories[i].size());
    }
    for (std::size_t i = 0; i < record.specs.size(); ++i)
      views.push_back({record.specs[i], record.names[i], element_count(record.specs[i]) == 0 ? nullptr : buffers_[i].data(), -1, 0});
    auto outcome = run_job(operation, views, {.seed = seed});
    for (std::size_t i = 0; i < record.specs.size(); ++i)
      EXPECT_TRUE(std::equal(record.memories[i].begin(), record.memories[i].end(), reinterpret_cast<const char*>(buffers_[i].data()))) << "an operand was written to";
    return outcome;
  }

  bool matches(const Record& record, const testing::Outcome& outcome, std::string_view isa) {
    const ArraySpec& got = *outcome.plan.output;
    if (got != record.result) {
      ADD_FAILURE() << description(record) << " on " << isa << ": got " << format_spec(got) << ", wanted " << format_spec(record.result);
      return false;
    }
    const std::size_t size = itemsize(got.dtype);
    const auto* bytes = reinterpret_cast<const char*>(outcome.output.data());
    for (std::size_t i = 0; i < record.tolerances.size(); ++i) {
      const std::string wrong = check_element(got.dtype, bytes + i * size, record.answer.data() + i * size, record.tolerances[i]);
      if (wrong.empty()) continue;
      ADD_FAILURE() << description(record) << " on " << isa << ", element " << i << " of " << record.tolerances.size() << ": " << wrong;
      return false;
    }
    return true;
  }

  void check(const Record& record) {
    const auto first = run(record, 0, 0);
    if (record.fails) {
      if (first) ADD_FAILURE() << description(record) << ": got " << format_spec(*first->plan.output) << ", wanted an error", ++failed_;
      return;
    }
    if (!first) {
      ADD_FAILURE() << description(record) << ": " << first.error().message;
      ++failed_;
      return;
    }
    if (!matches(record, *first, "the best instruction set")) {
      ++failed_;
      return;
    }
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      for (const std::size_t shift : {std::size_t{0}, std::size_t{1} + random_() % 16}) {
        const auto again = run(record, static_cast<std::uint32_t>(1 + random_() % 1'000'000), shift);
        const bool same = again && again->output.size() == first->output.size() && std::memcmp(again->output.data(), first->output.data(), first->output.size()) == 0 &&
                          again->scalar == first->scalar;
        if (same) continue;
        ADD_FAILURE() << description(record) << ": other bits on " << isa << " at addresses shifted by " << shift;
        ++failed_;
        return;
      }
      if (testing::kSanitized) break;
    }
  }

  int failed_ = 0;
  std::mt19937 random_{20240901};
  std::vector<Buffer> buffers_;
};

TEST_F(EvaluateNumPy, ExactOperationsAreNumPysToTheBit) {
  check("elements", 1, 700);
}
TEST_F(EvaluateNumPy, FunctionsAreWithinTwoUlp) {
  check("functions", 2, 60);
}
TEST_F(EvaluateNumPy, WhatTruthsMakeIsNumPys) {
  check("truths", 5, 900);
}
TEST_F(EvaluateNumPy, ReductionsAreNumPysOrBetter) {
  check("reductions", 3, 650);
}
TEST_F(EvaluateNumPy, WhatPeopleWriteIsNumPys) {
  check("compounds", 4, 120);
}

}  // namespace
}  // namespace parcompute
