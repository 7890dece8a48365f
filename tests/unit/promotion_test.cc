// promote() against np.result_type, for every pair of dtypes.
#include "common/array/promotion.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

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

TEST(Promotion, IsNumPysForEveryPair) {
  const std::string python = testing::python_with_numpy();
  if (python.empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "pairs";
  const std::string command = fmt::format(
      "{} -c \"import numpy as np, sys; names = sys.argv[2].replace(',', '').split(); "
      "print(*(np.result_type(a, b).name for a in names for b in names), file=open(sys.argv[1], 'w'))\" '{}' '{}'",
      python, path, dtype_names());
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream answers(path);
  for (const DTypeInfo& a : kDTypes)
    for (const DTypeInfo& b : kDTypes) {
      std::string wanted;
      answers >> wanted;
      EXPECT_EQ(name(promote(a.dtype, b.dtype)), wanted) << a.name << " and " << b.name;
    }
}

TEST(Promotion, OfSeveralIsNumPysWhateverTheirOrder) {
  const std::string python = testing::python_with_numpy();
  if (python.empty()) GTEST_SKIP() << "no python3 on this machine has NumPy";
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "triples";
  const std::string command = fmt::format(
      "{} -c \"import numpy as np, sys; names = sys.argv[2].replace(',', '').split(); "
      "print(*(np.result_type(a, b, c).name for a in names for b in names for c in names), file=open(sys.argv[1], 'w'))\" '{}' '{}'",
      python, path, dtype_names());
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream answers(path);
  for (const DTypeInfo& a : kDTypes)
    for (const DTypeInfo& b : kDTypes)
      for (const DTypeInfo& c : kDTypes) {
        std::string wanted;
        answers >> wanted;
        EXPECT_EQ(name(promote(std::array{a.dtype, b.dtype, c.dtype})), wanted) << a.name << ", " << b.name << " and " << c.name;
      }
}

}  // namespace
}  // namespace parcompute
