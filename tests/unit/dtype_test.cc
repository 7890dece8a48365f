#include "common/array/dtype.h"

#include <complex>
#include <string>

#include <gtest/gtest.h>

namespace parcompute {
namespace {

TEST(DType, EveryRowIsFoundByItsNumberAndItsName) {
  for (const DTypeInfo& row : kDTypes) {
    EXPECT_EQ(dtype_from_number(static_cast<std::uint32_t>(row.dtype)), row.dtype);
    EXPECT_EQ(dtype_from_name(row.name), row.dtype);
    EXPECT_EQ(name(row.dtype), row.name);
    EXPECT_NE(dtype_names().find(row.name), std::string_view::npos) << row.name;
  }
}

TEST(DType, NumbersAndNamesOfNoDTypeAreNothing) {
  for (const std::uint32_t number : {0u, 14u, 255u, 256u + 1u, 0xffffffffu})
    EXPECT_FALSE(dtype_from_number(number));
  for (const char* text : {"", "float", "Float64", "float16", "float64 ", "f8", "object"})
    EXPECT_FALSE(dtype_from_name(text));
}

TEST(DType, ItemSizesAgreeWithTheNames) {
  for (const DTypeInfo& row : kDTypes) {
    EXPECT_EQ(std::string(row.descr.substr(1)), std::to_string(row.itemsize)) << row.name;
    if (row.kind == Kind::kBool) continue;
    EXPECT_TRUE(row.name.ends_with(std::to_string(row.itemsize * 8))) << row.name;
  }
}

TEST(DType, ElementTypesOfCppAndDTypesAgreeBothWays) {
  for (const DTypeInfo& row : kDTypes) {
    visit_dtype(row.dtype, [&](auto element) {
      EXPECT_EQ(dtype_of<decltype(element)>(), row.dtype) << row.name;
      EXPECT_EQ(sizeof element, row.itemsize) << row.name;
    });
  }
  EXPECT_EQ(dtype_of<long>(), DType::kInt64);
  EXPECT_EQ(dtype_of<long long>(), DType::kInt64);
  EXPECT_EQ(dtype_of<unsigned long long>(), DType::kUint64);
  EXPECT_EQ(dtype_of<std::complex<float>>(), DType::kComplex64);
}

}  // namespace
}  // namespace parcompute
