#include "common/shm/segment_header.h"

#include <cstring>

#include <gmock/gmock.h>

namespace parcompute {
namespace {

using ::testing::HasSubstr;

SegmentHeader example() {
  SegmentHeader header;
  header.spec = ArraySpec{DType::kFloat64, {3, 4}, {32, 8}, 0};
  header.name.push_back('a');  // g++ 12 takes = "a" for an overflow
  header.owner_uid = 1000;
  header.complete = true;
  header.data_offset = kSegmentHeaderBytes;
  header.data_bytes = 96;
  return header;
}

constexpr std::uint64_t kSize = kSegmentHeaderBytes + 96;
constexpr std::size_t kChecksumAt = 8, kVersionAt = 16, kModeAt = 832;

// As the first servers wrote it: without mode and inode, and a check sum over less.
SegmentHeaderPage of_version_1(SegmentHeaderPage page) {
  const std::uint32_t version = 1;
  std::memcpy(page.data() + kVersionAt, &version, sizeof version);
  std::memset(page.data() + kChecksumAt, 0, 8);
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : std::span(page).first(kModeAt)) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  std::memcpy(page.data() + kChecksumAt, &hash, sizeof hash);
  return page;
}

TEST(SegmentHeaderPageTest, IsReadAsItWasWritten) {
  for (const ArrayMode mode : {ArrayMode::kPrivate, ArrayMode::kGroupRead, ArrayMode::kGroupWrite})
    for (const std::uint64_t inode : {std::uint64_t{0}, std::uint64_t{1} << 40}) {
      SegmentHeader header = example();
      header.mode = mode;
      header.inode = inode;
      const auto read = decode_segment_header(encode_segment_header(header), "s", kSize);
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_EQ(read->spec, header.spec);
      EXPECT_EQ(read->name, "a");
      EXPECT_EQ(read->owner_uid, 1000u);
      EXPECT_TRUE(read->complete);
      EXPECT_EQ(read->mode, mode);
      EXPECT_EQ(read->inode, inode);
    }
}

TEST(SegmentHeaderPageTest, OfAServerWithoutModesDescribesAPrivateArray) {
  SegmentHeaderPage page = of_version_1(encode_segment_header(example()));
  const std::uint32_t whatever = 77;
  std::memcpy(page.data() + kModeAt, &whatever, sizeof whatever);
  const auto read = decode_segment_header(page, "s", kSize);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->mode, ArrayMode::kPrivate);
  EXPECT_EQ(read->inode, 0u);
}

TEST(SegmentHeaderPageTest, ThatSaysNothingNewIsReadByServersWithoutModes) {
  const SegmentHeaderPage page = encode_segment_header(example());
  EXPECT_EQ(page, of_version_1(page));
}

TEST(SegmentHeaderPageTest, OfANewerServerIsToldFromRubbish) {
  const auto code_of = [](const SegmentHeaderPage& page) { return decode_segment_header(page, "s", kSize).error().code; };
  SegmentHeaderPage page = encode_segment_header(example());
  for (const std::uint32_t version : {3u, 4u, ~0u}) {
    std::memcpy(page.data() + kVersionAt, &version, sizeof version);
    EXPECT_EQ(code_of(page), ErrorCode::kUnsupported) << version;
  }
  std::memset(page.data() + kVersionAt, 0, 4);
  EXPECT_EQ(code_of(page), ErrorCode::kBadData);
  std::memset(page.data() + kVersionAt, 3, 1);
  page[0] ^= std::byte{1};
  EXPECT_EQ(code_of(page), ErrorCode::kBadData) << "whatever its version, it has not the magic";
}

TEST(SegmentHeaderPageTest, WithAByteChangedIsRefused) {
  SegmentHeader header = example();
  header.mode = ArrayMode::kGroupRead;
  const SegmentHeaderPage good = encode_segment_header(header);
  for (std::size_t at = 0; at < kModeAt + 16; ++at) {
    SegmentHeaderPage page = good;
    page[at] ^= std::byte{1};
    EXPECT_FALSE(decode_segment_header(page, "s", kSize)) << at;
  }
}

TEST(ArrayModes, AreReadByNameAndAsFilesModes) {
  for (const ArrayMode mode : {ArrayMode::kPrivate, ArrayMode::kGroupRead, ArrayMode::kGroupWrite}) {
    EXPECT_EQ(*parse_array_mode(name(mode)), mode);
    EXPECT_EQ(array_mode_from_number(static_cast<std::uint32_t>(mode)), mode);
  }
  EXPECT_EQ(*parse_array_mode("600"), ArrayMode::kPrivate);
  EXPECT_EQ(*parse_array_mode("640"), ArrayMode::kGroupRead);
  EXPECT_EQ(*parse_array_mode("0660"), ArrayMode::kGroupWrite);
  EXPECT_FALSE(array_mode_from_number(3));
  for (const char* text : {"", "0", "644", "666", "00600", "Private", "group", "g+r", "group-read "}) {
    const auto mode = parse_array_mode(text);
    ASSERT_FALSE(mode) << text;
    EXPECT_THAT(mode.error().message, HasSubstr("private (600), group-read (640) and group-write (660)"));
  }
}

}  // namespace
}  // namespace parcompute
