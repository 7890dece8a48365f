// fill and read_file.
#include <fcntl.h>
#include <unistd.h>

#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/plans.h"
#include "common/os/unique_fd.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::run_job;
using testing::TemporaryDirectory;

wire::Operation fill(const ArraySpec& spec, wire::Fill::How how, std::string value = {}) {
  wire::Operation operation;
  to_wire(spec, *operation.mutable_fill()->mutable_spec());
  operation.mutable_fill()->set_how(how);
  operation.mutable_fill()->set_value(std::move(value));
  return operation;
}

template <class T>
std::string bytes_of_value(T x) {
  return {reinterpret_cast<const char*>(&x), sizeof x};
}

TEST(Fill, ZerosNeedNoBlocks) {
  const auto outcome = run_job(fill(*make_spec(DType::kFloat64, {1000, 1000}), wire::Fill::ZEROS), {});
  EXPECT_TRUE(outcome->plan.phases.empty());
  EXPECT_EQ(outcome->plan.bytes_written, 8'000'000U);
}

TEST(Fill, WritesTheValueEverywhere) {
  for (const std::int64_t size : {1, 3, 131'072, 131'073, 400'000}) {
    const auto doubles = run_job(
        fill(*make_spec(DType::kFloat64, {size}), wire::Fill::VALUE, bytes_of_value(-0.1)), {}, {.seed = 3});
    EXPECT_EQ(doubles->output_as<double>(), std::vector<double>(static_cast<std::size_t>(size), -0.1));
    const std::complex<double> z(1, -2);
    const auto complex = run_job(
        fill(*make_spec(DType::kComplex128, {size}, Order::kFortran), wire::Fill::VALUE, bytes_of_value(z)),
        {});
    EXPECT_EQ(complex->output_as<std::complex<double>>(),
              std::vector<std::complex<double>>(static_cast<std::size_t>(size), z));
  }
}

TEST(Fill, ArangeCountsInEveryDType) {
  for (const DTypeInfo& row : kDTypes) {
    if (row.dtype == DType::kBool) continue;
    SCOPED_TRACE(row.name);
    visit_dtype(row.dtype, [&](auto zero) {
      using T = std::conditional_t<std::is_same_v<decltype(zero), bool>, std::uint8_t, decltype(zero)>;
      constexpr std::size_t kSize = 300'000;
      const auto outcome =
          run_job(fill(*make_spec(row.dtype, {3, 100'000}), wire::Fill::ARANGE), {}, {.seed = 8});
      const auto elements = outcome->template output_as<T>();
      ASSERT_EQ(elements.size(), kSize);
      for (std::size_t i = 0; i < kSize; i += 997) {
        if constexpr (std::is_arithmetic_v<T>)
          EXPECT_EQ(elements[i], static_cast<T>(i));
        else
          EXPECT_EQ(elements[i], T(static_cast<typename T::value_type>(i)));
      }
    });
  }
}

TEST(Fill, ArangeOfBoolsEndsAtTwo) {
  const auto two = run_job(fill(*make_spec(DType::kBool, {2}), wire::Fill::ARANGE), {});
  EXPECT_EQ(two->output_as<std::uint8_t>(), (std::vector<std::uint8_t>{0, 1}));
  EXPECT_THAT(run_job(fill(*make_spec(DType::kBool, {3}), wire::Fill::ARANGE), {}).error().message,
              HasSubstr("at most 2 bools"));
}

TEST(Fill, RefusesWhatMakesNoSense) {
  const ArraySpec spec = *make_spec(DType::kFloat64, {4, 5});
  EXPECT_THAT(run_job(fill(spec, wire::Fill::VALUE, "1234"), {}).error().message,
              HasSubstr("has 4 bytes; an element has 8"));
  EXPECT_FALSE(run_job(fill(spec, static_cast<wire::Fill::How>(99)), {}));
  ArraySpec gaps = spec;
  gaps.strides = {80, 16};
  EXPECT_THAT(run_job(fill(gaps, wire::Fill::ZEROS), {}).error().message, HasSubstr("gaps"));
  EXPECT_FALSE(run_job(fill(*make_spec(DType::kFloat64, {4, 5}, Order::kFortran), wire::Fill::ARANGE), {}));
  EXPECT_FALSE(run_job(fill(*make_spec(DType::kBool, {4}), wire::Fill::VALUE, "\x07"), {}));
}

TEST(Fill, EmptyArrayNeedsNoBlocks) {
  EXPECT_TRUE(run_job(fill(*make_spec(DType::kInt16, {0, 3}), wire::Fill::ARANGE), {})->plan.phases.empty());
}

// A file of these bytes after `offset` others.
class ReadFile : public ::testing::Test {
 protected:
  View view_of(const ArraySpec& spec, const std::string& bytes, std::uint64_t offset) {
    fd_ = UniqueFd(::open((directory_ / "data").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_EQ(::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    return {spec, "data.npy", nullptr, fd_.get(), offset};
  }
  static wire::Operation read_file(bool swap) {
    wire::Operation operation;
    operation.mutable_read_file()->set_swap_bytes(swap);
    return operation;
  }

  TemporaryDirectory directory_;
  UniqueFd fd_;
};

TEST_F(ReadFile, CopiesTheElementsInTheirOrder) {
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 256);
  for (const Order order : {Order::kC, Order::kFortran}) {
    const ArraySpec spec = *make_spec(DType::kInt16, {1500, 1000}, order);
    const auto outcome = run_job(read_file(false), {view_of(spec, bytes, 128)}, {.seed = 6});
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(*outcome->plan.output, spec);
    EXPECT_EQ(std::memcmp(outcome->output.data(), bytes.data(), bytes.size()), 0);
  }
}

TEST_F(ReadFile, SwapsTheBytesOfEachComponent) {
  std::string bytes(2'400'000, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  for (const DTypeInfo& row : kDTypes) {
    const std::size_t component = row.kind == Kind::kComplex ? row.itemsize / 2U : row.itemsize;
    const auto elements = static_cast<std::int64_t>(bytes.size() / row.itemsize);
    std::string wanted = bytes;
    for (std::size_t at = 0; at < wanted.size(); at += component)
      std::reverse(wanted.begin() + static_cast<std::ptrdiff_t>(at),
                   wanted.begin() + static_cast<std::ptrdiff_t>(at + component));
    const auto outcome =
        run_job(read_file(true), {view_of(*make_spec(row.dtype, {elements}), bytes, 80)}, {.seed = 1});
    ASSERT_TRUE(outcome);
    EXPECT_EQ(std::memcmp(outcome->output.data(), wanted.data(), wanted.size()), 0) << row.name;
  }
}

TEST_F(ReadFile, ShortenedFileIsBadData) {
  const View view = view_of(*make_spec(DType::kUint8, {3'000'000}), std::string(3'000'000, 'x'), 64);
  ASSERT_EQ(::ftruncate(fd_.get(), 2'000'000), 0);
  const auto outcome = run_job(read_file(false), {view});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kBadData);
  EXPECT_THAT(outcome.error().message, HasSubstr("'data.npy' ended at byte 2000000"));
}

TEST_F(ReadFile, UnreadableDescriptorIsTheSystemsError) {
  const View view = view_of(*make_spec(DType::kUint8, {10}), std::string(10, 'x'), 0);
  View closed = view;
  closed.fd = -1;
  const auto outcome = run_job(read_file(false), {closed});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().system_errno, EBADF);
}

TEST_F(ReadFile, OperandWithGapsIsRefused) {
  View view = view_of(*make_spec(DType::kUint8, {10}), std::string(10, 'x'), 0);
  view.spec = {DType::kUint8, {5}, {2}, 0};
  const auto outcome = run_job(read_file(false), {view});
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("'data.npy' (uint8, 5) has gaps"));
}

}  // namespace
}  // namespace parcompute
