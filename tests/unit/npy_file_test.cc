#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/array/npy.h"
#include "tests/support/process_state.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDirectory;

class NpyFile : public testing::DescriptorsKept {
 protected:
  Result<NpyHeader> read(const std::string& path) {
    const auto fd = open_npy(path, false);
    if (!fd) return fail(fd.error());
    return read_npy_header(fd->get(), path);
  }
  void expect_refused(const std::string& path, ErrorCode code, const std::string& why) {
    const auto header = read(path);
    ASSERT_FALSE(header);
    EXPECT_EQ(header.error().code, code) << header.error().message;
    EXPECT_THAT(header.error().message, HasSubstr("'" + path + "'"));
    EXPECT_THAT(header.error().message, HasSubstr(why));
  }
  template <class T>
  std::vector<T> data(const std::string& path) {
    const auto header = read(path);
    if (!header) {
      ADD_FAILURE() << header.error().message;
      return {};
    }
    const std::string bytes = testing::read_file(path).substr(header->data_offset);
    std::vector<T> elements(bytes.size() / sizeof(T));
    std::memcpy(elements.data(), bytes.data(), elements.size() * sizeof(T));
    return elements;
  }
  static const std::byte* at(const std::vector<std::int32_t>& elements, std::size_t index = 0) {
    return std::as_bytes(std::span(elements)).data() + index * 4;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "x.npy";
};

std::vector<std::int32_t> count_to(std::size_t n) {
  std::vector<std::int32_t> elements(n);
  std::iota(elements.begin(), elements.end(), 0);
  return elements;
}

TEST_F(NpyFile, DenseArraysKeepTheirOrder) {
  const auto elements = count_to(12);
  for (const Order order : {Order::kC, Order::kFortran}) {
    const ArraySpec spec = *make_spec(DType::kInt32, {3, 4}, order);
    ASSERT_TRUE(write_npy(path_, spec, at(elements)));
    EXPECT_EQ(read(path_)->spec, spec);
    EXPECT_EQ(data<std::int32_t>(path_), elements);
  }
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"x.npy"});
}

TEST_F(NpyFile, StridedArraysAreWrittenInCOrder) {
  const auto elements = count_to(24);
  // a[:, ::-2] of a 4 x 6 array
  const ArraySpec spec{DType::kInt32, {4, 3}, {24, -8}, 20};
  ASSERT_TRUE(write_npy(path_, spec, at(elements, 5)));
  EXPECT_EQ(read(path_)->spec, *make_spec(DType::kInt32, {4, 3}));
  EXPECT_EQ(data<std::int32_t>(path_),
            (std::vector<std::int32_t>{5, 3, 1, 11, 9, 7, 17, 15, 13, 23, 21, 19}));
}

TEST_F(NpyFile, StridedElementsOfEverySizeAreWritten) {
  std::vector<std::byte> bytes(64 * 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  for (const DTypeInfo& row : kDTypes) {
    const std::int64_t item = row.itemsize;
    ASSERT_TRUE(write_npy(path_, {row.dtype, {3}, {3 * item}, 0}, bytes.data()));
    const auto written = data<std::uint8_t>(path_);
    ASSERT_EQ(written.size(), static_cast<std::size_t>(3 * item)) << row.name;
    for (std::int64_t i = 0; i < 3 * item; ++i)
      EXPECT_EQ(written[static_cast<std::size_t>(i)], i / item * 3 * item + i % item) << row.name;
  }
}

TEST_F(NpyFile, LongRowsAndBroadcastsPassTheGatheringBuffer) {
  constexpr std::size_t kRow = 700'000;
  const auto elements = count_to(kRow);
  const ArraySpec spec{DType::kInt32, {3, kRow}, {0, 4}, 0};
  ASSERT_TRUE(write_npy(path_, spec, at(elements)));
  const auto written = data<std::int32_t>(path_);
  ASSERT_EQ(written.size(), 3 * kRow);
  for (std::size_t row = 0; row < 3; ++row)
    EXPECT_TRUE(std::equal(elements.begin(), elements.end(),
                           written.begin() + static_cast<std::ptrdiff_t>(row * kRow)));
  const ArraySpec reversed{DType::kInt32, {kRow}, {-4}, 0};
  ASSERT_TRUE(write_npy(path_, reversed, at(elements, kRow - 1)));
  const auto backwards = data<std::int32_t>(path_);
  ASSERT_EQ(backwards.size(), kRow);
  EXPECT_TRUE(std::equal(elements.rbegin(), elements.rend(), backwards.begin()));
}

TEST_F(NpyFile, ScalarsAndEmptyArraysAreFilesToo) {
  const auto elements = count_to(2);
  ASSERT_TRUE(write_npy(path_, *make_spec(DType::kInt32, {}), at(elements, 1)));
  EXPECT_EQ(data<std::int32_t>(path_), std::vector<std::int32_t>{1});
  ASSERT_TRUE(write_npy(path_, *make_spec(DType::kInt32, {3, 0}), nullptr));
  EXPECT_EQ(read(path_)->spec.shape, (Dims{3, 0}));
}

TEST_F(NpyFile, ATruncatedFileIsRefusedWithTheFigures) {
  const std::string header = format_npy_header(*make_spec(DType::kFloat64, {100}));
  testing::write_file(path_, header + std::string(100, 'x'));
  expect_refused(path_, ErrorCode::kBadData, "is truncated: its header promises 800 bytes of data");
  expect_refused(path_, ErrorCode::kBadData, "100 are there");
  testing::write_file(path_, header.substr(0, 40));
  expect_refused(path_, ErrorCode::kBadData, "ends inside its header");
  testing::write_file(path_, header);
  expect_refused(path_, ErrorCode::kBadData, ", 0 are there");
}

TEST_F(NpyFile, BytesBehindTheDataDoNoHarm) {
  testing::write_file(path_, format_npy_header(*make_spec(DType::kFloat64, {2})) + std::string(160, 'x'));
  EXPECT_TRUE(read(path_));
}

TEST_F(NpyFile, AMissingFileIsNotFound) {
  expect_refused(path_, ErrorCode::kNotFound, "No such file");
  expect_refused(directory_ / "no/x.npy", ErrorCode::kNotFound, "No such file");
}

TEST_F(NpyFile, WhatIsNoRegularFileIsRefusedAtOnce) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  expect_refused(path_, ErrorCode::kBadData, "no regular file");
  EXPECT_FALSE(open_npy(path_, true));
  expect_refused(directory_.path(), ErrorCode::kBadData, "no regular file");
  const auto writable = open_npy(directory_.path(), true);
  ASSERT_FALSE(writable);
  EXPECT_EQ(writable.error().code, ErrorCode::kBadData);
  expect_refused("/dev/zero", ErrorCode::kBadData, "no regular file");
}

TEST_F(NpyFile, AHeaderIsNeverReadFromADeviceOrAFifo) {
  const UniqueFd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(read_npy_header(zero.get(), "zero"));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const UniqueFd fifo(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(read_npy_header(fifo.get(), "fifo"));
  EXPECT_FALSE(read_npy_header(-1, "closed"));
}

TEST_F(NpyFile, AFailedWriteLeavesTheOldFileAndNothingElse) {
  testing::write_file(path_, "old");
  const ArraySpec spec = *make_spec(DType::kUint8, {1 << 20});
  // A source that cannot be read: the middle of the write fails.
  const auto written = write_npy(path_, spec, reinterpret_cast<const std::byte*>(16));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kBadData);
  EXPECT_THAT(written.error().message, HasSubstr("'" + path_ + "'"));
  EXPECT_EQ(testing::read_file(path_), "old");
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"x.npy"});
}

}  // namespace
}  // namespace parcompute
