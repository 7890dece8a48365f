#include "common/base/units.h"

#include <gtest/gtest.h>

namespace parcompute {
namespace {

TEST(Units, SizesAreReadInPowersOf1024And1000) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("17B"), 17u);
  EXPECT_EQ(parse_size("64k"), 64 * kKiB);
  EXPECT_EQ(parse_size("64KiB"), 64 * kKiB);
  EXPECT_EQ(parse_size("1.5GiB"), 3 * kGiB / 2);
  EXPECT_EQ(parse_size("2G"), 2 * kGiB);
  EXPECT_EQ(parse_size("2 g"), 2 * kGiB);
  EXPECT_EQ(parse_size("10MB"), 10'000'000u);
  EXPECT_EQ(parse_size("3T"), 3 * 1024 * kGiB);
  EXPECT_EQ(parse_size("0"), 0u);
}

TEST(Units, WhatIsNoSizeIsRefusedAndNamed) {
  for (const char* text : {"", " ", "k", "-1", "-1k", "+1", "1x", "1 kk", "1e3", "nan", "inf", "0x10", "1,5G",
                           "1..5", "9223372036854775808", "1e400", "99999999999T", "1G ", " 1G"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << "'" << text << "' was read as " << *size;
    EXPECT_EQ(size.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(size.error().message.find("is not a size"), std::string::npos) << size.error().message;
  }
}

TEST(Units, BytesAreShownInTheUnitThatFits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(17), "17 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(kGiB), "1.0 GiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(Units, BytesJustBelowAUnitDoNotShowAs1024) {
  EXPECT_EQ(format_bytes(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(kGiB - 1), "1.0 GiB");
}

TEST(Units, SecondsAreShownInTheUnitThatFits) {
  EXPECT_EQ(format_seconds(12.34e-6), "12.3 us");
  EXPECT_EQ(format_seconds(4.56e-3), "4.56 ms");
  EXPECT_EQ(format_seconds(1.2), "1.20 s");
  EXPECT_EQ(format_seconds(125), "2 min 05 s");
}

TEST(Units, SecondsJustBelowAUnitDoNotShowAs1000) {
  EXPECT_EQ(format_seconds(0.9996), "1.00 s");
  EXPECT_EQ(format_seconds(0.99996e-3), "1 ms");
}

}  // namespace
}  // namespace parcompute
