// promote() against np.result_type, for every pair of dtypes.
#include "common/array/promotion.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/numpy.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

TEST(Promotion, IsSymmetricAndKeepsEachDType) {
  for (const DTypeInfo& a : kDTypes) {
    EXPECT_EQ(promote(a.dtype, a.dtype), a.dtype);
    for (const DTypeInfo& b : kDTypes) EXPECT_EQ(promote(a.dtype, b.dtype), promote(b.dtype, a.dtype));
  }
}

// The names of np.result_type(types) in the order of `loops`: "for a in names for b in names".
std::vector<std::string> answers_of_numpy(std::string_view types, std::string_view loops) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "answers";
  const std::string command = fmt::format(
      "{} -c \"import numpy as np, sys; names = sys.argv[2].replace(',', '').split(); "
      "print(*(np.result_type({}).name {}), file=open(sys.argv[1], 'w'))\" '{}' '{}'",
      testing::python_with_numpy(), types, loops, path, dtype_names());
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream file(path);
  return {std::istream_iterator<std::string>(file), {}};
}

TEST(Promotion, IsNumPysForEveryPair) {
  if (testing::python_with_numpy().empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const auto wanted = answers_of_numpy("a, b", "for a in names for b in names");
  ASSERT_EQ(wanted.size(), kDTypes.size() * kDTypes.size());
  std::size_t at = 0;
  for (const DTypeInfo& a : kDTypes)
    for (const DTypeInfo& b : kDTypes) EXPECT_EQ(name(promote(a.dtype, b.dtype)), wanted[at++]) << a.name << " and " << b.name;
}

TEST(Promotion, OfSeveralIsNumPysWhateverTheirOrder) {
  if (testing::python_with_numpy().empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const auto wanted = answers_of_numpy("a, b, c", "for a in names for b in names for c in names");
  ASSERT_EQ(wanted.size(), kDTypes.size() * kDTypes.size() * kDTypes.size());
  std::size_t at = 0;
  for (const DTypeInfo& a : kDTypes)
    for (const DTypeInfo& b : kDTypes)
      for (const DTypeInfo& c : kDTypes)
        EXPECT_EQ(name(promote(std::array{a.dtype, b.dtype, c.dtype})), wanted[at++]) << a.name << ", " << b.name << " and " << c.name;
}

}  // namespace
}  // namespace parcompute
