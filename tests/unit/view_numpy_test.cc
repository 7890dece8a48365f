// Differential: views as text, broadcasting and stretching are NumPy's, to the stride.
#include <charconv>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/array/view.h"
#include "tests/support/numpy.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::fields_of;
using testing::python_with_numpy;

Dims numbers_of(const std::string& text) {
  Dims numbers;
  if (text.empty()) return numbers;
  for (const std::string& field : fields_of(text, ',')) numbers.push_back(std::strtoll(field.c_str(), nullptr, 10));
  return numbers;
}

// "float64|2,3|24,8|0"
ArraySpec spec_of(const std::vector<std::string>& fields, std::size_t at) {
  return {*dtype_from_name(fields[at]), numbers_of(fields[at + 1]), numbers_of(fields[at + 2]), std::strtoull(fields[at + 3].c_str(), nullptr, 10)};
}

// Of one element or none a stride says nothing, and of no elements an offset.
void expect_same(const ArraySpec& got, const ArraySpec& wanted, const std::string& line) {
  EXPECT_EQ(got.dtype, wanted.dtype) << line;
  ASSERT_EQ(got.shape, wanted.shape) << line;
  ASSERT_EQ(got.strides.size(), got.shape.size()) << line;
  if (element_count(wanted) == 0) return;
  EXPECT_EQ(got.offset, wanted.offset) << line;
  for (std::size_t axis = 0; axis < wanted.ndim(); ++axis)
    if (wanted.shape[axis] > 1) EXPECT_EQ(got.strides[axis], wanted.strides[axis]) << line << ", axis " << axis;
}

void check_spec_line(const Result<ArraySpec>& got, const std::vector<std::string>& fields, std::size_t at, const std::string& line) {
  const std::string& answer = fields[at];
  if (answer != "ok") {
    ASSERT_FALSE(got) << line << ": got " << format_spec(*got);
    if (answer == "copy") EXPECT_NE(got.error().message.find("without a copy"), std::string::npos) << line << ": " << got.error().message;
    return;
  }
  ASSERT_TRUE(got) << line << ": " << got.error().message;
  ArraySpec wanted{got->dtype, numbers_of(fields[at + 1]), numbers_of(fields[at + 2]), std::strtoull(fields[at + 3].c_str(), nullptr, 10)};
  expect_same(*got, wanted, line);
}

TEST(ViewNumPy, ViewsAreNumPys) {
  if (python_with_numpy().empty()) GTEST_SKIP() << "no Python with NumPy";
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "views";
  ASSERT_EQ(std::system(fmt::format("{} {} {} 7 6000", python_with_numpy(), PARCOMPUTE_VIEW_ORACLE, path).c_str()), 0);
  std::ifstream file(path);
  int lines = 0;
  for (std::string line; std::getline(file, line) && !HasFailure(); ++lines) {
    const auto fields = fields_of(line, '|');
    if (fields[0] == "shapes") {
      const auto got = broadcast_shapes(numbers_of(fields[1]), numbers_of(fields[2]));
      ASSERT_EQ(got.has_value(), fields[3] == "ok") << line;
      if (got) EXPECT_EQ(*got, numbers_of(fields[4])) << line;
      continue;
    }
    const ArraySpec before = spec_of(fields, 1);
    const auto got = fields[0] == "view" ? apply_view(before, fields[5]) : broadcast_to(before, numbers_of(fields[5]));
    check_spec_line(got, fields, 6, line);
  }
  EXPECT_GT(lines, 10000);
}

}  // namespace
}  // namespace parcompute
