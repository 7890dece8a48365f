// float16 files become float32 arrays.
#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/plans.h"
#include "common/os/unique_fd.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/temporary_directory.h"
#include "worker/kernels/half.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::run_job;

// From the definition: sign, 5 bits of exponent, 10 of fraction.
double value_of(unsigned half) {
  const unsigned exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction == 0 ? HUGE_VAL : std::nan(""))
                                            : std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
  return half >> 15 != 0 ? -magnitude : magnitude;
}

std::vector<std::uint16_t> all_halves() {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  return halves;
}

TEST(Half, EveryOneIsTheFloat32ThatItIs) {
  const auto halves = all_halves();
  std::vector<float> floats(halves.size());
  widen_halves(reinterpret_cast<const std::byte*>(halves.data()), halves.size(), false,
               reinterpret_cast<std::byte*>(floats.data()));
  for (unsigned i = 0; i < 65536; ++i) {
    const double wanted = value_of(i);
    if (std::isnan(wanted)) {
      // Sign and fraction stay.
      EXPECT_EQ(std::bit_cast<std::uint32_t>(floats[i]), (i >> 15) << 31 | 255U << 23 | (i & 1023) << 13);
    } else {
      EXPECT_EQ(static_cast<double>(floats[i]), wanted) << i;
      EXPECT_EQ(std::signbit(floats[i]), i >> 15 != 0) << i;
    }
  }
}

class ReadHalves : public ::testing::Test {
 protected:
  View view_of(const std::vector<std::uint16_t>& halves, Dims shape, Order order, off_t offset) {
    fd_ = UniqueFd(::open((directory_ / "half").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(::pwrite(fd_.get(), halves.data(), 2 * halves.size(), offset), static_cast<ssize_t>(2 * halves.size()));
    return {*make_spec(DType::kUint16, std::move(shape), order), "half.npy", nullptr, fd_.get(),
            static_cast<std::uint64_t>(offset)};
  }
  static wire::Operation read_file(bool swap) {
    wire::Operation operation;
    operation.mutable_read_file()->set_is_half(true);
    operation.mutable_read_file()->set_swap_bytes(swap);
    return operation;
  }

  testing::TemporaryDirectory directory_;
  UniqueFd fd_;
};

TEST_F(ReadHalves, FilesOfEitherOrderBecomeFloat32) {
  std::vector<std::uint16_t> halves(16 * 65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i * 7);
  for (const bool swap : {false, true})
    for (const Order order : {Order::kC, Order::kFortran}) {
      auto in_file = halves;
      if (swap)
        for (std::uint16_t& half : in_file) half = __builtin_bswap16(half);
      const auto outcome = run_job(read_file(swap), {view_of(in_file, {1024, 1024}, order, 81)}, {.seed = 5});
      ASSERT_TRUE(outcome) << outcome.error().message;
      EXPECT_EQ(*outcome->plan.output, *make_spec(DType::kFloat32, {1024, 1024}, order));
      const auto floats = outcome->output_as<float>();
      for (std::size_t i = 0; i < halves.size(); ++i) {
        const double wanted = value_of(halves[i]);
        ASSERT_TRUE(std::isnan(wanted) ? std::isnan(floats[i]) : static_cast<double>(floats[i]) == wanted) << i;
      }
    }
}

TEST_F(ReadHalves, ShortenedFilesAndOtherDTypesAreRefused) {
  const View view = view_of(all_halves(), {65536}, Order::kC, 128);
  ASSERT_EQ(::ftruncate(fd_.get(), 1000), 0);
  EXPECT_EQ(run_job(read_file(false), {view}).error().code, ErrorCode::kBadData);
  View other = view;
  other.spec = *make_spec(DType::kInt16, {3});
  EXPECT_THAT(run_job(read_file(false), {other}).error().message, HasSubstr("cannot be read as float16"));
}

}  // namespace
}  // namespace parcompute
