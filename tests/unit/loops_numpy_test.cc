// Differential: NumPy's answers, element by element, by every loop and cast on every instruction set.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/instruction_sets.h"
#include "tests/support/loop_runner.h"
#include "tests/support/numpy.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::Bytes;
using testing::LoopOperand;
using testing::LoopRun;
using testing::python_with_numpy;
using testing::run_loop;
using testing::TemporaryDirectory;
using testing::WithInstructionSet;

struct Record {
  std::string kind, name;
  DType dtype, result;
  std::size_t count;
  std::vector<Bytes> operands;
  Bytes answer;
};

bool read_record(std::ifstream& file, Record& record) {
  char kind[4], name[16];
  if (!file.read(kind, sizeof kind) || !file.read(name, sizeof name)) return false;
  record.kind.assign(kind, sizeof kind);
  record.name.assign(name, ::strnlen(name, sizeof name));
  std::int64_t numbers[4];
  file.read(reinterpret_cast<char*>(numbers), sizeof numbers);
  record.dtype = *dtype_from_number(static_cast<std::uint32_t>(numbers[0]));
  record.result = *dtype_from_number(static_cast<std::uint32_t>(numbers[1]));
  record.count = static_cast<std::size_t>(numbers[3]);
  const auto bytes = [&](std::size_t size) {
    Bytes all(size);
    file.read(reinterpret_cast<char*>(all.data()), static_cast<std::streamsize>(size));
    return all;
  };
  record.operands.clear();
  for (std::int64_t k = 0; k < numbers[2]; ++k) record.operands.push_back(bytes(record.count * itemsize(record.dtype)));
  record.answer = bytes(record.count * itemsize(record.result));
  return static_cast<bool>(file);
}

Op op_named(std::string_view name) {
  for (const OpInfo& row : kOps)
    if (row.name == name) return row.op;
  ADD_FAILURE() << "no op is named " << name;
  return Op::kNegative;
}

// How near to NumPy's an element has to be.
enum class Match { kBits, kUpToZeroSigns, kNearly };

Match match_of(const Record& record) {
  if (record.kind == "cast") return Match::kBits;
  switch (const Op op = op_named(record.name); op) {
    // Which of two zeros it is, NumPy leaves to the machine.
    case Op::kMinimum:
    case Op::kMaximum:
    case Op::kFmin:
    case Op::kFmax: return info(record.dtype).kind == Kind::kFloat ? Match::kUpToZeroSigns : Match::kBits;
    default: {
      const bool is_function = (op >= Op::kCbrt && op <= Op::kArctanh) || op == Op::kSqrt || op == Op::kPower ||
                               op == Op::kAbsolute || op == Op::kSign;
      return info(record.dtype).kind == Kind::kComplex && is_function ? Match::kNearly : Match::kBits;
    }
  }
}

template <class T>
bool parts_match(Match match, const std::byte* got, const std::byte* wanted, std::size_t parts) {
  for (std::size_t i = 0; i < parts; ++i) {
    T a, b;
    std::memcpy(&a, got + i * sizeof(T), sizeof(T));
    std::memcpy(&b, wanted + i * sizeof(T), sizeof(T));
    if (std::isnan(a) && std::isnan(b)) continue;
    if (std::memcmp(&a, &b, sizeof(T)) == 0) continue;
    if (match == Match::kUpToZeroSigns && a == 0 && b == 0) continue;
    if (match == Match::kNearly && std::fabs(a - b) <= 8 * std::numeric_limits<T>::epsilon() * std::fabs(b)) continue;
    return false;
  }
  return true;
}

bool elements_match(Match match, DType dtype, const std::byte* got, const std::byte* wanted) {
  switch (dtype) {
    case DType::kFloat32: return parts_match<float>(match, got, wanted, 1);
    case DType::kFloat64: return parts_match<double>(match, got, wanted, 1);
    case DType::kComplex64: return parts_match<float>(match, got, wanted, 2);
    case DType::kComplex128: return parts_match<double>(match, got, wanted, 2);
    default: return std::memcmp(got, wanted, itemsize(dtype)) == 0;
  }
}

std::string text_of(DType dtype, const std::byte* bytes) {
  double parts[2] = {};
  const Strip strip{.in = {bytes}, .out = parts, .count = 1};
  if (info(dtype).kind == Kind::kComplex) {
    find_cast(dtype, DType::kComplex128)(strip);
    return fmt::format("{}{:+}j", parts[0], parts[1]);
  }
  if (info(dtype).kind == Kind::kFloat) {
    find_cast(dtype, DType::kFloat64)(strip);
    return fmt::format("{}", parts[0]);
  }
  std::int64_t whole = 0;
  const Strip other{.in = {bytes}, .out = &whole, .count = 1};
  find_cast(dtype, DType::kInt64)(other);
  return fmt::format("{}", whole);
}

class LoopsNumPy : public ::testing::Test {
 protected:
  // Elements [first, first + count) alone, somewhere in memory.
  void check_part(const Record& record, Loop loop, std::string_view isa, std::size_t first, std::size_t count) {
    const std::size_t size = itemsize(record.dtype), out_size = itemsize(record.result);
    std::vector<LoopOperand> operands;
    for (const Bytes& bytes : record.operands) operands.push_back({bytes.data() + first * size, size});
    LoopRun run{.shift = random_() % 17, .in_place = static_cast<int>(random_() % (operands.size() + 1)) - 1};
    bool touched_outside = false;
    const Bytes got = run_loop(loop, operands, count, out_size, run, touched_outside);
    ASSERT_EQ(run.fault, LoopFault::kNone);
    ASSERT_FALSE(touched_outside) << record.name << " of " << name(record.dtype) << " on " << isa;
    const Match match = match_of(record);
    int shown = 0;
    for (std::size_t i = 0; i < count && shown < 4; ++i) {
      const std::byte* wanted = record.answer.data() + (first + i) * out_size;
      if (elements_match(match, record.result, got.data() + i * out_size, wanted)) continue;
      std::string arguments;
      for (const LoopOperand& operand : operands)
        arguments += fmt::format("{}{}", arguments.empty() ? "" : ", ", text_of(record.dtype, operand.data + i * size));
      ADD_FAILURE() << fmt::format("{}({}) of {} to {} on {}: got {}, wanted {}; in place {}, element {} of {}",
                                   record.name, arguments, name(record.dtype), name(record.result), isa,
                                   text_of(record.result, got.data() + i * out_size), text_of(record.result, wanted),
                                   run.in_place, i, count);
      ++shown;
    }
  }

  void check(const Record& record) {
    for (const std::string_view isa : available_instruction_sets()) {
      const WithInstructionSet with(isa);
      Loop loop = nullptr;
      if (record.kind == "cast") {
        loop = find_cast(record.dtype, record.result);
      } else {
        const Op op = op_named(record.name);
        ASSERT_EQ(result_dtype(op, record.dtype), record.result) << record.name << " of " << name(record.dtype);
        loop = find_loop(op, record.dtype);
      }
      ASSERT_NE(loop, nullptr) << record.name << " of " << name(record.dtype);
      check_part(record, loop, isa, 0, record.count);
      for (int part = 0; part < 12; ++part) {
        const std::size_t count = std::min<std::size_t>(record.count, random_() % 150);
        check_part(record, loop, isa, random_() % (record.count - count + 1), count);
      }
    }
  }

  std::mt19937 random_{20240817};
};

TEST_F(LoopsNumPy, AnswersAreNumPys) {
  if (python_with_numpy().empty()) GTEST_SKIP() << "no Python with NumPy";
  const TemporaryDirectory directory;
  const std::string path = directory / "answers";
  ASSERT_EQ(std::system(fmt::format("{} {} {} 1", python_with_numpy(), PARCOMPUTE_LOOPS_ORACLE, path).c_str()), 0);
  std::ifstream file(path, std::ios::binary);
  Record record;
  int records = 0, failed = 0;
  while (read_record(file, record) && failed < 30) {
    ++records;
    const auto before = ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
    check(record);
    failed += ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() > before;
  }
  EXPECT_GT(records, 400);
}

}  // namespace
}  // namespace parcompute
