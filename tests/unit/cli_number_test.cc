// Numbers as the client prints and reads them; the expected texts are Python's and NumPy's own.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/number_text.h"
#include "client/cli/value_text.h"

namespace parcompute::cli {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

TEST(CliNumbers, DoublesPrintAsPythonsRepr) {
  const std::vector<std::pair<double, std::string>> cases{
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {0.1, "0.1"},
      {1.0 / 3, "0.3333333333333333"},
      {100.0, "100.0"},
      {1e15, "1000000000000000.0"},
      {0x1.1c37937e07fffp+53, "9999999999999998.0"},
      {1e16, "1e+16"},
      {0x1.b69b4ba630f35p+56, "1.2345678901234568e+17"},
      {1e20, "1e+20"},
      {1.5e300, "1.5e+300"},
      {1e-4, "0.0001"},
      {1e-5, "1e-05"},
      {0.00012345, "0.00012345"},
      {0x0.0000000000001p-1022, "5e-324"},
      {0x1.0p-1022, "2.2250738585072014e-308"},
      {0x1.fffffffffffffp+1023, "1.7976931348623157e+308"},
      {0x1.921fb54442d18p+1, "3.141592653589793"},
      {0x1.0p+53, "9007199254740992.0"},
      {-2.5e-7, "-2.5e-07"},
      {1e100, "1e+100"},
      {kNan, "nan"},
      {-kNan, "nan"},
      {kInf, "inf"},
      {-kInf, "-inf"},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(python_repr(value), text);
}

TEST(CliNumbers, FloatsPrintTheirOwnShortestDigits) {
  const std::vector<std::pair<float, std::string>> cases{
      {0.1F, "0.1"},
      {1.0F / 3, "0.33333334"},
      {16777216.0F, "16777216.0"},
      {0x1.1ec1f8p+26F, "75171810.0"},
      {1e16F, "1e+16"},
      {1e20F, "1e+20"},
      {0x1.fffffep+127F, "3.4028235e+38"},
      {0x1.0p-149F, "1e-45"},
      {1e-5F, "1e-05"},
      {-7.25F, "-7.25"},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(python_repr(value), text);
}

TEST(CliNumbers, ComplexNumbersPrintAsPythonsRepr) {
  const std::vector<std::pair<std::complex<double>, std::string>> cases{
      {{1.0, 2.0}, "(1+2j)"},
      {{0.0, 2.0}, "2j"},
      {{-0.0, 2.0}, "(-0+2j)"},
      {{0.0, 0.0}, "0j"},
      {{1e20, -1e-7}, "(1e+20-1e-07j)"},
      {{kNan, -kInf}, "(nan-infj)"},
      {{1.5, -0.0}, "(1.5-0j)"},
      {{3.0, kInf}, "(3+infj)"},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(python_repr(value), text);
}

template <class T>
Scalar scalar_of(T value) {
  Scalar scalar;
  scalar.dtype = dtype_of<T>();
  std::memcpy(scalar.bytes.data(), &value, sizeof value);
  return scalar;
}

TEST(CliNumbers, IntegersAndBooleansPrintExactly) {
  EXPECT_EQ(scalar_repr(scalar_of(std::numeric_limits<std::uint64_t>::max())), "18446744073709551615");
  EXPECT_EQ(scalar_repr(scalar_of(std::numeric_limits<std::int64_t>::min())), "-9223372036854775808");
  EXPECT_EQ(scalar_repr(scalar_of(std::int8_t{-1})), "-1");
  EXPECT_EQ(scalar_repr(scalar_of(std::uint8_t{65})), "65");
  EXPECT_EQ(scalar_repr(scalar_of(true)), "True");
}

TEST(CliNumbers, MeasuredSecondsHaveThreeDigitsAndNoExponent) {
  EXPECT_EQ(measured_seconds(0.18349), "0.183");
  EXPECT_EQ(measured_seconds(0.0000214), "0.0000214");
  EXPECT_EQ(measured_seconds(75.24), "75.2");
  EXPECT_EQ(measured_seconds(1234.5), "1234");
  EXPECT_EQ(measured_seconds(0), "0");
}

TEST(CliNumbers, PrefixesAreDecimal) {
  EXPECT_EQ(with_si_prefix(17), "17.0 ");
  EXPECT_EQ(with_si_prefix(999.6), "1.00 k");
  EXPECT_EQ(with_si_prefix(78.1e9), "78.1 G");
  EXPECT_EQ(with_si_prefix(4.12e5), "412 k");
}

// ---- reading

template <class T>
void expect_value(std::string_view text, T expected) {
  const auto value = parse_value(text, dtype_of<T>());
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->dtype, dtype_of<T>());
  EXPECT_EQ(scalar_repr(*value), scalar_repr(scalar_of(expected))) << text;
}

TEST(CliValues, AreReadExactly) {
  expect_value<std::uint8_t>("255", 255);
  expect_value<std::uint8_t>("+7", 7);
  expect_value<std::int8_t>("-128", -128);
  expect_value<std::uint64_t>("18446744073709551615", std::numeric_limits<std::uint64_t>::max());
  expect_value<double>("0.1", 0.1);
  expect_value<double>("+1e3", 1000);
  expect_value<double>("-inf", -kInf);
  expect_value<double>("nan", kNan);
  expect_value<double>("1e-400", 0);
  expect_value<float>("0.1", 0.1F);
  expect_value<bool>("true", true);
  expect_value<bool>("0", false);
  expect_value<std::complex<double>>("1+2j", {1, 2});
  expect_value<std::complex<double>>("(1-2j)", {1, -2});
  expect_value<std::complex<double>>("-1.5e-3-2e+3j", {-1.5e-3, -2e3});
  expect_value<std::complex<double>>("2j", {0, 2});
  expect_value<std::complex<double>>("-2j", {0, -2});
  expect_value<std::complex<double>>("7", {7, 0});
  expect_value<std::complex<double>>("nan+infj", {kNan, kInf});
  expect_value<std::complex<float>>("1e3j", {0, 1000});
}

TEST(CliValues, ThatTheDtypeCannotHoldAreRefused) {
  const std::vector<std::pair<std::string_view, DType>> cases{
      {"300", DType::kUint8},     {"-1", DType::kUint8},        {"-129", DType::kInt8},
      {"1.5", DType::kInt64},     {"1e3", DType::kInt64},       {"nan", DType::kInt32},
      {"0x10", DType::kInt32},    {"", DType::kInt32},          {"1 ", DType::kInt32},
      {"1e400", DType::kFloat64}, {"1e39", DType::kFloat32},    {"one", DType::kFloat64},
      {"", DType::kFloat64},      {"1,5", DType::kFloat64},     {"2", DType::kBool},
      {"yes", DType::kBool},      {"1+2", DType::kComplex128},  {"1+j", DType::kComplex128},
      {"j", DType::kComplex128},  {"(1+2j", DType::kComplex64}, {"18446744073709551616", DType::kUint64},
  };
  for (const auto& [text, dtype] : cases) {
    const auto value = parse_value(text, dtype);
    ASSERT_FALSE(value) << text << " as " << name(dtype);
    EXPECT_EQ(value.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(value.error().message.find(name(dtype)), std::string::npos);
  }
  EXPECT_EQ(parse_value("300", DType::kUint8).error().message,
            "'300' is no value for uint8: it holds 0 to 255");
}

}  // namespace
}  // namespace parcompute::cli
