// arange, linspace and eye: what NumPy does is in create_numpy_test.cc; here are refusals, orders and lengths.
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/number.h"
#include "common/operation/plans.h"
#include "tests/support/kernel_runner.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::run_job;

wire::Operation fill(wire::Fill::How how, DType dtype, Dims shape) {
  wire::Operation operation;
  to_wire(*make_spec(dtype, std::move(shape)), *operation.mutable_fill()->mutable_spec());
  operation.mutable_fill()->set_how(how);
  return operation;
}
wire::Number integer(std::int64_t x) {
  wire::Number number;
  number.set_integer(x);
  return number;
}
wire::Number natural(std::uint64_t x) {
  wire::Number number;
  number.set_natural(x);
  return number;
}
wire::Number real(double x) {
  wire::Number number;
  number.set_real(x);
  return number;
}
wire::Number complex(double x, double y) {
  wire::Number number = real(x);
  number.set_imaginary(y);
  return number;
}
wire::Operation arange(DType dtype, std::int64_t size, const wire::Number& start, const wire::Number& step) {
  auto operation = fill(wire::Fill::ARANGE, dtype, {size});
  *operation.mutable_fill()->mutable_start() = start;
  *operation.mutable_fill()->mutable_step() = step;
  return operation;
}
wire::Operation linspace(DType dtype, std::int64_t size, const wire::Number& start, const wire::Number& stop) {
  auto operation = fill(wire::Fill::LINSPACE, dtype, {size});
  *operation.mutable_fill()->mutable_start() = start;
  *operation.mutable_fill()->mutable_stop() = stop;
  return operation;
}
std::string message_of(const wire::Operation& operation) {
  const auto plan = plan_operation(operation, {});
  return plan ? "planned" : plan.error().message;
}

const double kNaN = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

TEST(Arange, CountsInAnyShapeOverBlockBorders) {
  auto operation = arange(DType::kInt64, 1, integer(-7), integer(3));
  to_wire(*make_spec(DType::kInt64, {3, 100'000}), *operation.mutable_fill()->mutable_spec());
  const auto got = run_job(operation, {}, {.seed = 3})->output_as<std::int64_t>();
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], -7 + 3 * static_cast<std::int64_t>(i));
}

TEST(Arange, IntegersAreExactToTheirEnds) {
  const auto top = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(run_job(arange(DType::kUint64, 3, natural(top - 2), integer(1)), {})->output_as<std::uint64_t>(),
            (std::vector<std::uint64_t>{top - 2, top - 1, top}));
  EXPECT_EQ(run_job(arange(DType::kInt64, 2, integer(std::numeric_limits<std::int64_t>::min()), natural(top)), {})
                ->output_as<std::int64_t>(),
            (std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max()}));
}

TEST(Arange, WithoutNumbersItCountsFromZero) {
  EXPECT_EQ(run_job(fill(wire::Fill::ARANGE, DType::kFloat32, {3}), {})->output_as<float>(),
            (std::vector<float>{0, 1, 2}));
}

TEST(Arange, RefusesWhatTheDTypeDoesNotHold) {
  EXPECT_THAT(message_of(arange(DType::kFloat64, 3, real(kNaN), integer(1))),
              HasSubstr("arange's start is nan; give a finite number"));
  EXPECT_THAT(message_of(arange(DType::kFloat64, 3, integer(1), real(kInfinity))), HasSubstr("arange's step is inf"));
  EXPECT_THAT(message_of(arange(DType::kFloat64, 3, integer(1), real(-0.0))), HasSubstr("arange's step is 0"));
  EXPECT_THAT(message_of(arange(DType::kInt8, 3, integer(128), integer(1))),
              HasSubstr("arange's start is 128, which is no element of int8: choose integers from -128 to 127"));
  EXPECT_THAT(message_of(arange(DType::kInt8, 3, integer(0), integer(200))),
              HasSubstr("arange's second element is 200"));
  EXPECT_EQ(message_of(arange(DType::kInt8, 1, integer(0), integer(200))), "planned");
  EXPECT_THAT(message_of(arange(DType::kUint8, 3, integer(-1), integer(1))), HasSubstr("integers from 0 to 255"));
  EXPECT_THAT(message_of(arange(DType::kInt64, 3, real(0.5), integer(1))),
              HasSubstr("is 0.5, which is no element of int64"));
  EXPECT_EQ(message_of(arange(DType::kInt64, 3, real(4), integer(1))), "planned");
  EXPECT_THAT(message_of(arange(DType::kInt64, 3, real(1e300), integer(1))), HasSubstr("no element of int64"));
  EXPECT_THAT(message_of(arange(DType::kInt64, 3, natural(std::uint64_t{1} << 63), integer(1))),
              HasSubstr("is 9223372036854775808, which"));
  EXPECT_THAT(message_of(arange(DType::kFloat32, 3, real(1e39), integer(1))),
              HasSubstr("choose float64 or a smaller number"));
  EXPECT_THAT(message_of(arange(DType::kFloat64, 3, real(1e308), real(1.7e308))), HasSubstr("second element is inf"));
  EXPECT_THAT(message_of(arange(DType::kFloat64, 3, complex(1, 2), integer(1))),
              HasSubstr("1+2j, which is no element of float64: it is complex"));
  EXPECT_THAT(message_of(arange(DType::kComplex64, 3, complex(1, 1e39), integer(1))), HasSubstr("choose complex128"));
  EXPECT_THAT(message_of(arange(DType::kBool, 2, integer(0), integer(2))), HasSubstr("choose 0 or 1"));
  EXPECT_THAT(message_of(arange(DType::kFloat64, 3, wire::Number(), integer(1))),
              HasSubstr("arange's start is empty"));
}

Result<std::uint64_t> length_of(const wire::Number& start, const wire::Number& stop, const wire::Number& step) {
  return arange_length(*number_from_wire(start, "start"), *number_from_wire(stop, "stop"),
                       *number_from_wire(step, "step"));
}

TEST(Arange, LengthsAreExactBetweenIntegersAndBounded) {
  const auto top = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(*length_of(natural(top - 3), natural(top), integer(1)), 3U);
  EXPECT_EQ(*length_of(natural(top), integer(std::numeric_limits<std::int64_t>::min()),
                       integer(std::numeric_limits<std::int64_t>::min())),
            3U);
  EXPECT_EQ(*length_of(integer(0), integer(-3), integer(1)), 0U);
  EXPECT_EQ(*length_of(integer(0), integer(-3), integer(-1)), 3U);
  EXPECT_EQ(*length_of(real(0), real(1), real(0.1)), 10U);
  EXPECT_EQ(*length_of(real(1), real(1.3), real(0.1)), 4U) << "as NumPy's: 0.30000000000000004 / 0.1 is above 3";
  EXPECT_EQ(*length_of(real(0), real(5e-324), real(1e300)), 1U) << "a quotient that underflows";
  EXPECT_FALSE(length_of(integer(0), natural(top), integer(1)));
  EXPECT_FALSE(length_of(real(0), real(1e300), real(1e-300)));
  EXPECT_THAT(length_of(integer(3), integer(5), integer(0)).error().message,
              HasSubstr("arange from 3 to 5 in steps of 0 never ends"));
  EXPECT_THAT(length_of(complex(0, 1), integer(5), integer(1)).error().message,
              HasSubstr("complex numbers have no order"));
}

TEST(LinspaceFill, RefusesEndsThatMakeNoSense) {
  EXPECT_THAT(message_of(linspace(DType::kFloat64, 3, real(kNaN), integer(1))), HasSubstr("linspace's start is nan"));
  EXPECT_THAT(message_of(linspace(DType::kFloat64, 3, integer(1), real(kInfinity))),
              HasSubstr("linspace's stop is inf"));
  EXPECT_THAT(message_of(linspace(DType::kFloat64, 3, real(-1e308), real(1e308))), HasSubstr("choose nearer ends"));
  EXPECT_THAT(message_of(linspace(DType::kUint8, 3, real(0.5), real(256))), HasSubstr("linspace's stop is 256"));
  EXPECT_EQ(message_of(linspace(DType::kUint8, 3, real(0.5), real(255.9))), "planned");
  EXPECT_THAT(message_of(linspace(DType::kInt64, 3, real(0), natural(std::numeric_limits<std::int64_t>::max()))),
              HasSubstr("stop is 9.2"));
  EXPECT_THAT(message_of(linspace(DType::kFloat32, 3, real(0), real(1e39))), HasSubstr("choose float64"));
  EXPECT_THAT(message_of(linspace(DType::kFloat64, 3, real(0), complex(1, 1))), HasSubstr("it is complex"));
  EXPECT_THAT(message_of(fill(wire::Fill::LINSPACE, DType::kFloat64, {3})), HasSubstr("needs both its ends"));
}

TEST(Eye, LiesInEitherOrder) {
  for (const Order order : {Order::kC, Order::kFortran})
    for (const std::int64_t diagonal : {0, 3, -3, 400, -700, 1'000'000'000})
      for (const Dims& shape : {Dims{700, 500}, Dims{500, 700}, Dims{1, 300'000}, Dims{300'000, 1}}) {
        auto operation = fill(wire::Fill::EYE, DType::kInt32, shape);
        const ArraySpec spec = *make_spec(DType::kInt32, shape, order);
        to_wire(spec, *operation.mutable_fill()->mutable_spec());
        operation.mutable_fill()->set_diagonal(diagonal);
        const auto got = run_job(operation, {}, {.seed = 3})->output_as<std::int32_t>();
        std::vector<std::int32_t> wanted(got.size(), 0);
        for (std::int64_t row = 0; row < shape[0]; ++row)
          if (row + diagonal >= 0 && row + diagonal < shape[1])
            wanted[static_cast<std::size_t>((row * spec.strides[0] + (row + diagonal) * spec.strides[1]) / 4)] = 1;
        ASSERT_EQ(got, wanted) << format_spec(spec) << " " << diagonal;
      }
}

TEST(Eye, IsAMatrix) {
  EXPECT_THAT(message_of(fill(wire::Fill::EYE, DType::kFloat64, {3})),
              HasSubstr("of 2 dimensions; a new array of float64, 3 has 1"));
  auto operation = fill(wire::Fill::EYE, DType::kFloat64, {3, 4});
  for (const std::int64_t extreme :
       {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    operation.mutable_fill()->set_diagonal(extreme);
    EXPECT_EQ(run_job(operation, {})->output_as<double>(), std::vector<double>(12, 0));
  }
}

}  // namespace
}  // namespace parcompute
