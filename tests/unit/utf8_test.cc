#include "common/base/utf8.h"

#include <gtest/gtest.h>

namespace parcompute {
namespace {

TEST(Utf8, TakesEveryShortestForm) {
  for (const char* text :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "größe λ 配列"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
    EXPECT_EQ(to_utf8(text), text);
  }
}

TEST(Utf8, RefusesWhatIsNoCharacter) {
  for (const char* text :
       {"\x80", "\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc2", "\xe2\x82", "\xf0\x9f\x98",
        "a\xc2"
        "b"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(Utf8, ClipsBetweenCharacters) {
  EXPECT_EQ(clip_utf8("abc", 3), "abc");
  EXPECT_EQ(clip_utf8("abc", 2), "ab");
  EXPECT_EQ(clip_utf8("a\xe2\x82\xac"
                      "b",
                      3),
            "a");
  EXPECT_EQ(clip_utf8("a\xe2\x82\xac"
                      "b",
                      4),
            "a\xe2\x82\xac");
  EXPECT_EQ(clip_utf8("\xe2\x82\xac", 0), "");
}

TEST(Utf8, ReplacesEachLostByteAndKeepsTheRest) {
  EXPECT_EQ(to_utf8("gr\xf6\xdf"
                    "e"),
            "gr\xef\xbf\xbd\xef\xbf\xbd"
            "e");
  EXPECT_EQ(to_utf8("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_TRUE(is_utf8(to_utf8("\xff\xfe\xc2")));
}

}  // namespace
}  // namespace parcompute
